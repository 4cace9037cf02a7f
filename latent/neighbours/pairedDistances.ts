import type { PairwiseDistances } from './pairwise.js';

/** Distances of one cloud held at a time: 2 MiB. */
const BLOCK_VALUES = 1 << 18;

/**
 * Squared Euclidean distances within two clouds of n paired rows, in step: row i of both before row i + 1, a block of rows at a time, so that nothing of
 * size n x n is held.
 * @param visit gets |x_i - x_j|² [n] and |y_i - y_j|² [n], to the errors of `inX` and `inY`; both arrays are reused
 */
export async function scanPairedDistances(
  inX: PairwiseDistances,
  inY: PairwiseDistances,
  n: number,
  visit: (i: number, ofX: Float64Array, ofY: Float64Array) => void,
): Promise<void> {
  const perBlock = Math.max(1, Math.min(n, Math.floor(BLOCK_VALUES / n)));
  const held = new Float64Array(perBlock * n);
  for (let first = 0; first < n; first += perBlock) {
    const rows = Int32Array.from({ length: Math.min(perBlock, n - first) }, (_, r) => first + r);
    await inX.scan((i, values, offset) => held.set(values.subarray(offset, offset + n), (i - first) * n), rows);
    await inY.scan(
      (i, values, offset) =>
        visit(i, held.subarray((i - first) * n, (i - first + 1) * n), values.subarray(offset, offset + n)),
      rows,
    );
  }
}
