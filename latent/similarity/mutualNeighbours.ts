import type { Neighbours } from './neighbours.js';

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
  return new PermutedOverlap(x, y).of(permutation);
}

/** Bits that tell, for nearly all rows that are not neighbours of a row, that they are not: 8 words a row. */
const FILTER_WORDS = 8;

/** `permutedOverlap` for many permutations. Neighbour sets are only relabelled, so that one permutation costs O(n k). */
export class PermutedOverlap {
  private readonly filter: Int32Array;

  /** @throws RangeError when the two differ in rows or k */
  constructor(
    private readonly x: Neighbours,
    private readonly y: Neighbours,
  ) {
    checkAlike(x, y);
    this.filter = new Int32Array(y.rows * FILTER_WORDS);
    for (let row = 0, at = 0; row < y.rows; row++)
      for (let end = at + y.k; at < end; at++) this.filter[wordOf(row, y.indices[at])] |= 1 << y.indices[at];
  }

  /** See `permutedOverlap`. */
  of(permutation: Int32Array | null): number {
    const { rows, k } = this.x;
    const inX = this.x.indices;
    const inY = this.y.indices;
    const filter = this.filter;
    const order = permutation ?? Int32Array.from({ length: rows }, (_, row) => row);
    let shared = 0;
    for (let i = 0; i < rows; i++) {
      const row = order[i];
      const end = (i + 1) * k;
      for (let at = i * k; at < end; at++) {
        const neighbour = order[inX[at]];
        if ((filter[wordOf(row, neighbour)] & (1 << neighbour)) === 0) continue;
        for (let other = row * k, last = other + k; other < last; other++) if (inY[other] === neighbour) shared++;
      }
    }
    return shared / (rows * k);
  }
}

/** The word of a row's filter that has the bit of a neighbour, which is its number modulo 32. */
function wordOf(row: number, neighbour: number): number {
  return row * FILTER_WORDS + ((neighbour >>> 5) & (FILTER_WORDS - 1));
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

/** Mean of values; 0 of none. */
export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < values.length; at++) sum += values[at];
  return values.length === 0 ? 0 : sum / values.length;
}

function checkAlike(x: Neighbours, y: Neighbours): void {
  if (x.rows !== y.rows || x.k !== y.k)
    throw new RangeError(
      `latent/similarity: ${x.rows} rows with ${x.k} neighbours against ${y.rows} rows with ${y.k}; rows are paired`,
    );
}
