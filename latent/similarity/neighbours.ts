import { centred, matrix, type Matrix } from '../matrix.js';
import { screeningError, screenInnerProducts, squaredDistance, squaredNorms } from '../pairwise.js';

/** What makes a neighbour near: a small Euclidean distance, a large cosine, or a large inner product (the notebook's; ruled by hubs). */
export const neighbourMeasures = ['euclidean', 'cosine', 'inner'] as const;
/** See `neighbourMeasures`. */
export type NeighbourMeasure = (typeof neighbourMeasures)[number];

/** The k nearest rows of each row, itself excluded: `indices` [rows, k], nearest first. */
export interface Neighbours {
  indices: Int32Array;
  rows: number;
  k: number;
}

/**
 * Exact nearest neighbours in float64. A float32 matrix product screens all pairs; those within its error bound of the k-th are compared again by plain
 * float64 sums over coordinates, so that equal rows are at equal distances; ties go to the lower index.
 * @param x finite float64 values [n, p]
 * @throws RangeError when k is not within 1 .. n - 1, or, for cosine, a row is zero
 */
export async function nearestNeighbours(
  x: Matrix<Float64Array>,
  k: number,
  measure: NeighbourMeasure,
): Promise<Neighbours> {
  const n = x.rows;
  if (!(Number.isInteger(k) && k >= 1 && k < n))
    throw new RangeError(`latent/similarity: ${k} neighbours among ${n} rows; k must be within 1 and ${n - 1}`);
  // Distances do not see the centre, the error of a product does. Screened is |y|² - 2xy, or -xy for inner products.
  const points = measure === 'cosine' ? unitRows(x) : measure === 'inner' ? x : centred(x);
  const squares = squaredNorms(points);
  const weight = measure === 'inner' ? 1 : 2;
  const offsets = measure === 'inner' ? new Float64Array(n) : squares;
  const longest = Math.sqrt(squares.reduce((max, square) => Math.max(max, square), 0));
  const compared = measure === 'cosine' ? points : x; // differences of the rows as given: centring rounds
  const distance =
    measure === 'inner'
      ? (i: number, j: number) => -innerProduct(compared, i, j)
      : (i: number, j: number) => squaredDistance(compared, i, compared, j);

  const indices = new Int32Array(n * k);
  const nearest = new Float64Array(k);
  const chosen = new Int32Array(k);
  const candidates = new Int32Array(n);
  const screened = new Float64Array(n);
  await screenInnerProducts(points, (i, products, offset) => {
    const slack = 2 * weight * screeningError(x.columns) * Math.sqrt(squares[i]) * longest;
    // One pass keeps the k smallest and everything within the slack of the k-th so far: a superset of what the final k-th needs.
    nearest.fill(Infinity);
    let limit = Infinity;
    let count = 0;
    for (let j = 0; j < n; j++) {
      const value = offsets[j] - weight * products[offset + j];
      if (value > limit || j === i) continue;
      candidates[count] = j;
      screened[count++] = value;
      if (value >= nearest[k - 1]) continue;
      let at = k - 1;
      for (; at > 0 && nearest[at - 1] > value; at--) nearest[at] = nearest[at - 1];
      nearest[at] = value;
      limit = nearest[k - 1] + slack;
    }
    nearest.fill(Infinity);
    for (let c = 0; c < count; c++) {
      if (screened[c] > limit) continue;
      // Candidates come in order of index, so one at an equal distance stays behind.
      const value = distance(i, candidates[c]);
      if (value >= nearest[k - 1]) continue;
      let at = k - 1;
      for (; at > 0 && nearest[at - 1] > value; at--) {
        nearest[at] = nearest[at - 1];
        chosen[at] = chosen[at - 1];
      }
      nearest[at] = value;
      chosen[at] = candidates[c];
    }
    indices.set(chosen, i * k);
  });
  return { indices, rows: n, k };
}

/**
 * Hubness: skewness of the k-occurrence counts (Radovanovic et al. 2010), how often each row is a neighbour of another. 0 for a symmetric spread of
 * counts and when all are equal; above 1 a few rows are neighbours of very many.
 */
export function hubness({ indices, rows, k }: Neighbours): number {
  const counts = new Float64Array(rows);
  for (const index of indices) counts[index]++;
  let second = 0;
  let third = 0;
  for (const count of counts) {
    second += (count - k) ** 2 / rows;
    third += (count - k) ** 3 / rows;
  }
  return second === 0 ? 0 : third / second ** 1.5;
}

function unitRows(x: Matrix<Float64Array>): Matrix<Float64Array> {
  const data = new Float64Array(x.data.length);
  squaredNorms(x).forEach((norm, row) => {
    if (norm === 0) throw new RangeError(`latent/similarity: row ${row} is zero and has no cosine; leave it out`);
    const scale = 1 / Math.sqrt(norm);
    for (let at = row * x.columns; at < (row + 1) * x.columns; at++) data[at] = x.data[at] * scale;
  });
  return matrix(data, x.rows, x.columns);
}

function innerProduct(x: Matrix<Float64Array>, i: number, j: number): number {
  let sum = 0;
  for (let c = 0; c < x.columns; c++) sum += x.data[i * x.columns + c] * x.data[j * x.columns + c];
  return sum;
}
