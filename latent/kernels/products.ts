import { matrix, type Matrix } from '../base/matrix.js';
import { Kernel, type KernelTensor } from './kernel.js';

/** Rows a call: the output stays in cache, and every call has the same shape (see `rowProducts`). */
export const CHUNK_ROWS = 4096;

const product = new Kernel({
  name: 'product',
  inputs: { x: { type: 'float64', shape: ['n', 'd'] }, w: { type: 'float64', shape: ['d', 'k'] } },
  outputs: { y: { type: 'float64', shape: ['n', 'k'] } },
  nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
});

const rowsTimesRows = new Kernel({
  name: 'rows_times_rows',
  inputs: { x: { type: 'float64', shape: ['n', 'p'] }, y: { type: 'float64', shape: ['m', 'p'] } },
  outputs: { xy: { type: 'float64', shape: ['n', 'm'] } },
  nodes: [{ op: 'Gemm', inputs: ['x', 'y'], outputs: ['xy'], attributes: { transB: { int: 1 } } }],
});

const columnsTimesColumns = new Kernel({
  name: 'columns_times_columns',
  inputs: { x: { type: 'float64', shape: ['n', 'p'] }, y: { type: 'float64', shape: ['n', 'q'] } },
  outputs: { xy: { type: 'float64', shape: ['p', 'q'] } },
  nodes: [{ op: 'Gemm', inputs: ['x', 'y'], outputs: ['xy'], attributes: { transA: { int: 1 } } }],
});

const orderedProduct = new Kernel({
  name: 'ordered_product',
  inputs: {
    x: { type: 'float64', shape: ['p', 'n'] },
    y: { type: 'float64', shape: ['n', 'q'] },
    order: { type: 'int32', shape: ['n'] },
  },
  outputs: { xy: { type: 'float64', shape: ['p', 'q'] } },
  nodes: [
    { op: 'Gather', inputs: ['y', 'order'], outputs: ['ordered'] },
    { op: 'MatMul', inputs: ['x', 'ordered'], outputs: ['xy'] },
  ],
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
export function gramMatrix(x: Float64Array, n: number, d: number): Promise<Float64Array> {
  const rows = matrix(x, n, d);
  return crossProduct(rows, rows);
}

/** XᵀY of x [n, p] and y [n, q] in float64: [p, q]. */
export async function crossProduct(x: Matrix<Float64Array>, y: Matrix<Float64Array>): Promise<Float64Array> {
  const { xy } = await columnsTimesColumns.run({ x: tensor(x), y: tensor(y) });
  return xy as Float64Array;
}

/** XᵀY of x [n, p] and y [n, q] in float64 for many orders of the rows of y: faster than `crossProduct` of permuted rows. */
export class PermutedCrossProduct {
  private readonly x: KernelTensor;
  private readonly y: KernelTensor;
  private readonly xy: { data: Float64Array; shape: number[] };

  /** @param y is read in every call of `of` */
  constructor(x: Matrix<Float64Array>, y: Matrix<Float64Array>) {
    const [n, p, q] = [x.rows, x.columns, y.columns];
    const transposed = new Float64Array(n * p);
    for (let i = 0, at = 0; i < n; i++) for (let c = 0; c < p; c++, at++) transposed[c * n + i] = x.data[at];
    this.x = { data: transposed, shape: [p, n] };
    this.y = { data: y.data, shape: [n, q] };
    this.xy = { data: new Float64Array(p * q), shape: [p, q] };
  }

  /**
   * The product once row i of x stands beside row `permutation[i]` of y.
   * @returns [p, q], overwritten by the next call
   */
  async of(permutation: Int32Array): Promise<Float64Array> {
    const { x, y, xy } = this;
    await orderedProduct.run({ x, y, order: { data: permutation, shape: [permutation.length] } }, { xy });
    return xy.data;
  }
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

/** Values of one block of a pairwise matrix: 2 MiB, so that it is still in cache when it is read. */
const BLOCK_VALUES = 1 << 18;

/**
 * All inner products of the rows of x [n, p] and y [m, p] in float64, a block of rows at a time.
 * @param visit gets row i's products as values[offset .. offset + m); the array is reused by the next block
 * @param rows the rows of x to visit, in this order; all by default
 */
export async function innerProducts(
  x: Matrix<Float64Array>,
  y: Matrix<Float64Array>,
  visit: (i: number, values: Float64Array, offset: number) => void,
  rows?: Int32Array,
): Promise<void> {
  const count = rows?.length ?? x.rows;
  const [p, m] = [x.columns, y.rows];
  const perBlock = Math.max(1, Math.min(count, Math.floor(BLOCK_VALUES / m)));
  const gathered = rows && new Float64Array(perBlock * p);
  const buffer = new Float64Array(perBlock * m);
  const right = { data: y.data, shape: [m, p] };
  for (let first = 0; first < count; first += perBlock) {
    const size = Math.min(perBlock, count - first);
    let left = x.data.subarray(first * p, (first + size) * p);
    if (rows && gathered) {
      for (let r = 0; r < size; r++)
        gathered.set(x.data.subarray(rows[first + r] * p, (rows[first + r] + 1) * p), r * p);
      left = gathered.subarray(0, size * p);
    }
    const products = buffer.subarray(0, size * m);
    await rowsTimesRows.run(
      { x: { data: left, shape: [size, p] }, y: right },
      { xy: { data: products, shape: [size, m] } },
    );
    for (let r = 0; r < size; r++) visit(rows ? rows[first + r] : first + r, products, r * m);
  }
}
