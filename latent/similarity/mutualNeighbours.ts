import { countUp } from '../base/integers.js';
import { sharedRows } from '../kernels/sharedRows.js';
import type { Neighbours } from '../neighbours/neighbours.js';

/**
 * Mutual k-nearest neighbours (Huh et al. 2024, platonic-rep), row by row: |N_x(i) ∩ N_y(i)| / k. Their mean is the similarity; chance is k / (n - 1).
 * @throws RangeError when the two differ in rows or k
 */
export function neighbourOverlaps(x: Neighbours, y: Neighbours): Float64Array {
  const shares = new Float64Array(x.rows);
  visitSharedNeighbours(x, y, (i) => shares[i]++);
  for (let i = 0; i < shares.length; i++) shares[i] /= x.k;
  return shares;
}

/**
 * The mean overlap after the rows of y are permuted: row i of x then stands beside row `permutation[i]` of y, or row i for null.
 * @throws RangeError when the two differ in rows or k
 */
export function permutedOverlap(x: Neighbours, y: Neighbours, permutation: Int32Array | null): number {
  return permutedOverlaps(x, y, [permutation ?? countUp(x.rows)])[0];
}

/** `permutedOverlap` for many permutations. Neighbour sets are only relabelled, so that one permutation costs O(n k²) comparisons, many at a time. */
export function permutedOverlaps(x: Neighbours, y: Neighbours, permutations: readonly Int32Array[]): Float64Array {
  checkAlike(x, y);
  return sharedRows(x.indices, y.indices, x.k, permutations).map((shared) => shared / (x.rows * x.k));
}

/**
 * Neighbours that both clouds have, row by row.
 * @param visit gets the row and where its neighbour stands in `x.indices` and `y.indices`
 * @throws RangeError when the two differ in rows or k
 */
export function visitSharedNeighbours(
  x: Neighbours,
  y: Neighbours,
  visit: (i: number, atX: number, atY: number) => void,
): void {
  checkAlike(x, y);
  const { rows, k } = x;
  const marked = new Int32Array(rows);
  const places = new Int32Array(rows);
  for (let i = 0; i < rows; i++) {
    for (let at = i * k, end = at + k; at < end; at++) {
      marked[x.indices[at]] = i + 1;
      places[x.indices[at]] = at;
    }
    for (let at = i * k, end = at + k; at < end; at++)
      if (marked[y.indices[at]] === i + 1) visit(i, places[y.indices[at]], at);
  }
}

function checkAlike(x: Neighbours, y: Neighbours): void {
  if (x.rows !== y.rows || x.k !== y.k)
    throw new RangeError(
      `latent/similarity: ${x.rows} rows with ${x.k} neighbours against ${y.rows} rows with ${y.k}; rows are paired`,
    );
}
