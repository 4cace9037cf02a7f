import { matrix, type Matrix } from '../base/matrix.js';
import { Kernel } from './kernel.js';

/** Rows a call: the output stays in cache, and every call has the same shape (see `rowProducts`). */
export const CHUNK_ROWS = 4096;

const gram = new Kernel({
  name: 'gram',
  inputs: { x: { type: 'float64', shape: ['n', 'd'] } },
  outputs: { g: { type: 'float64', shape: ['d', 'd'] } },
  nodes: [{ op: 'Gemm', inputs: ['x', 'x'], outputs: ['g'], attributes: { transA: { int: 1 } } }],
});

const product = new Kernel({
  name: 'product',
  inputs: { x: { type: 'float64', shape: ['n', 'd'] }, w: { type: 'float64', shape: ['d', 'k'] } },
  outputs: { y: { type: 'float64', shape: ['n', 'k'] } },
  nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
});

const remainder = new Kernel({
  name: 'remainder',
  inputs: {
    x: { type: 'float64', shape: ['k', 'n'] },
    y: { type: 'float64', shape: ['k', 'm'] },
    from: { type: 'float64', shape: ['n', 'm'] },
  },
  outputs: { rest: { type: 'float64', shape: ['n', 'm'] } },
  nodes: [
    {
      op: 'Gemm',
      inputs: ['x', 'y', 'from'],
      outputs: ['rest'],
      attributes: { transA: { int: 1 }, alpha: { float: -1 } },
    },
  ],
});

const tensor = ({ data, rows, columns }: Matrix<Float64Array>) => ({ data, shape: [rows, columns] });

/** X W of x [n, d] and w [d, k] in float64: [n, k]. */
export async function matrixProduct(x: Matrix<Float64Array>, w: Matrix<Float64Array>): Promise<Matrix<Float64Array>> {
  const { y } = await product.run({ x: tensor(x), w: tensor(w) });
  return matrix(y as Float64Array, x.rows, w.columns);
}

/** A - XᵀY of `from` [n, m], x [k, n] and y [k, m] in float64: [n, m]. */
export async function subtractProduct(
  from: Matrix<Float64Array>,
  x: Matrix<Float64Array>,
  y: Matrix<Float64Array>,
): Promise<Matrix<Float64Array>> {
  const { rest } = await remainder.run({ x: tensor(x), y: tensor(y), from: tensor(from) });
  return matrix(rest as Float64Array, from.rows, from.columns);
}

/** XᵀX of x [n, d] in float64: [d, d]. */
export async function gramMatrix(x: Float64Array, n: number, d: number): Promise<Float64Array> {
  const { g } = await gram.run({ x: { data: x, shape: [n, d] } });
  return g as Float64Array;
}

/**
 * Multiplies many rows by one matrix, a chunk at a time. A row's result depends on that row alone, to the last bit: matrix kernels may
 * treat the last rows of a block by other code, so every call has exactly `CHUNK_ROWS` rows, the missing ones zero.
 * @param n number of rows
 * @param fill writes rows [first, first + count) to the start of the buffer [CHUNK_ROWS, d]
 * @param w [d, k] row-major
 * @param take receives the products [count, k] of the rows from `first`; the array is reused by the next call
 */
export async function rowProducts(
  n: number,
  d: number,
  fill: (buffer: Float64Array, first: number, count: number) => void,
  w: Float64Array,
  k: number,
  take: (products: Float64Array, first: number, count: number) => void,
): Promise<void> {
  const buffer = new Float64Array(CHUNK_ROWS * d);
  const products = new Float64Array(CHUNK_ROWS * k);
  const weights = { data: w, shape: [d, k] };
  for (let first = 0; first < n; first += CHUNK_ROWS) {
    const count = Math.min(CHUNK_ROWS, n - first);
    fill(buffer, first, count);
    if (count < CHUNK_ROWS) buffer.fill(0, count * d);
    await product.run(
      { x: { data: buffer, shape: [CHUNK_ROWS, d] }, w: weights },
      { y: { data: products, shape: [CHUNK_ROWS, k] } },
    );
    take(products, first, count);
  }
}
