import type { Neighbours } from './neighbours.js';

/**
 * Mutual k-nearest neighbours (Huh et al. 2024, platonic-rep), row by row: |N_x(i) ∩ N_y(i)| / k. Their mean is the similarity; chance is k / (n - 1).
 * @throws RangeError when the two differ in rows or k
 */
export function neighbourOverlaps(x: Neighbours, y: Neighbours): Float64Array {
  checkAlike(x, y);
  return overlaps(x, y, identity(x.rows), identity(x.rows));
}

/**
 * The mean overlap after the rows of y are permuted: row i of x then stands beside row `permutation[i]` of y. Neighbour sets are only relabelled, so
 * that one permutation costs O(n k).
 */
export function permutedOverlap(x: Neighbours, y: Neighbours, permutation: Int32Array): number {
  checkAlike(x, y);
  const inverse = new Int32Array(permutation.length);
  permutation.forEach((from, to) => (inverse[from] = to));
  return mean(overlaps(x, y, permutation, inverse));
}

/** Mean of values; 0 of none. */
export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < values.length; at++) sum += values[at];
  return values.length === 0 ? 0 : sum / values.length;
}

function overlaps(x: Neighbours, y: Neighbours, rowOf: Int32Array, nameOf: Int32Array): Float64Array {
  const { rows, k } = x;
  const marked = new Int32Array(rows).fill(-1);
  const shares = new Float64Array(rows);
  for (let i = 0; i < rows; i++) {
    for (let at = i * k; at < (i + 1) * k; at++) marked[x.indices[at]] = i;
    let common = 0;
    for (let at = rowOf[i] * k, end = at + k; at < end; at++) if (marked[nameOf[y.indices[at]]] === i) common++;
    shares[i] = common / k;
  }
  return shares;
}

function identity(length: number): Int32Array {
  return Int32Array.from({ length }, (_, at) => at);
}

function checkAlike(x: Neighbours, y: Neighbours): void {
  if (x.rows !== y.rows || x.k !== y.k)
    throw new RangeError(
      `latent/similarity: ${x.rows} rows with ${x.k} neighbours against ${y.rows} rows with ${y.k}; rows are paired`,
    );
}
