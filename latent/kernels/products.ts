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
