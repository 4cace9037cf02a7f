import { matrix, type Matrix } from '../matrix.js';
import { innerProducts, PairwiseDistances, squaredDistance, squaredNorms } from '../pairwise.js';

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
 * Exact nearest neighbours in float64. A matrix product screens all pairs; those within its error of the k-th are compared again by a plain sum over
 * coordinates, so that equal rows are at equal distances; ties go to the lower index.
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
  const points = measure === 'cosine' ? unitRows(x) : x;
  const exact =
    measure === 'inner'
      ? (i: number, j: number) => -innerProduct(points, i, j)
      : (i: number, j: number) => squaredDistance(points, i, points, j);
  const indices = new Int32Array(n * k);
  const nearest = new Float64Array(k);
  let candidates = new Int32Array(4 * k);
  let distances = new Float64Array(4 * k);

  const select = (error: number) => (i: number, values: Float64Array, offset: number) => {
    values[offset + i] = Infinity;
    nearest.fill(Infinity);
    let worst = Infinity;
    for (let j = offset; j < offset + n; j++) {
      const value = values[j];
      if (value >= worst) continue;
      let at = k - 1;
      for (; at > 0 && nearest[at - 1] > value; at--) nearest[at] = nearest[at - 1];
      nearest[at] = value;
      worst = nearest[k - 1];
    }
    const limit = worst + 2 * error;
    let count = 0;
    for (let j = 0; j < n; j++) {
      if (values[offset + j] > limit || j === i) continue;
      if (count === candidates.length) {
        candidates = extended(candidates, new Int32Array(2 * count));
        distances = extended(distances, new Float64Array(2 * count));
      }
      // Insertion by (distance, index): candidates come in order of index, so an equal distance stays behind.
      const distance = exact(i, j);
      let at = count++;
      for (; at > 0 && distances[at - 1] > distance; at--) {
        distances[at] = distances[at - 1];
        candidates[at] = candidates[at - 1];
      }
      distances[at] = distance;
      candidates[at] = j;
    }
    indices.set(candidates.subarray(0, k), i * k);
  };

  if (measure === 'inner') {
    const error = 64 * Number.EPSILON * squaredNorms(points).reduce((max, norm) => Math.max(max, norm), 0);
    const visit = select(error);
    await innerProducts(points, points, (i, values, offset) => {
      for (let j = offset; j < offset + n; j++) values[j] = -values[j];
      visit(i, values, offset);
    });
  } else {
    const pairs = new PairwiseDistances(points, points);
    await pairs.scan(select(pairs.error));
  }
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

function extended<T extends Int32Array | Float64Array>(from: T, into: T): T {
  into.set(from);
  return into;
}
