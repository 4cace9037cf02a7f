import { Kernel } from './kernel.js';

/** Rows a call; every call has exactly this many (see `rowProducts` for why). */
const CHUNK_ROWS = 1024;

const nearest = new Kernel({
  name: 'nearest-centroid',
  inputs: {
    y: { type: 'float64', shape: ['n', 'p'] },
    centroids: { type: 'float64', shape: ['p', 'l'] },
    halfSquares: { type: 'float64', shape: ['l'] },
  },
  outputs: { index: { type: 'int64', shape: ['n'] } },
  nodes: [
    { op: 'MatMul', inputs: ['y', 'centroids'], outputs: ['products'] },
    { op: 'Sub', inputs: ['products', 'halfSquares'], outputs: ['score'] },
    { op: 'ArgMax', inputs: ['score'], outputs: ['index'], attributes: { axis: { int: 1 }, keepdims: { int: 0 } } },
  ],
});

/** Index of the nearest centroid [l, p] of every row [n, p], the first of equals: [n]. */
export async function nearestCentroids(
  rows: Float64Array,
  n: number,
  p: number,
  centroids: Float64Array,
  l: number,
): Promise<Int32Array> {
  const transposed = new Float64Array(p * l);
  const halfSquares = new Float64Array(l);
  for (let i = 0; i < l; i++) {
    for (let j = 0; j < p; j++) {
      const value = centroids[i * p + j];
      transposed[j * l + i] = value;
      halfSquares[i] += 0.5 * value * value;
    }
  }
  const constants = { centroids: { data: transposed, shape: [p, l] }, halfSquares: { data: halfSquares, shape: [l] } };
  const buffer = new Float64Array(CHUNK_ROWS * p);
  const found = new BigInt64Array(CHUNK_ROWS);
  const labels = new Int32Array(n);
  for (let first = 0; first < n; first += CHUNK_ROWS) {
    const count = Math.min(CHUNK_ROWS, n - first);
    buffer.set(rows.subarray(first * p, (first + count) * p));
    buffer.fill(0, count * p);
    await nearest.run(
      { y: { data: buffer, shape: [CHUNK_ROWS, p] }, ...constants },
      { index: { data: found, shape: [CHUNK_ROWS] } },
    );
    for (let row = 0; row < count; row++) labels[first + row] = Number(found[row]);
  }
  return labels;
}
