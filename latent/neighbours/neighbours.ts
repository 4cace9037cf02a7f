import { centred, columnMeans, matrix, squaredNorms, type Matrix } from '../base/matrix.js';
import { squaredDistance } from './pairwise.js';
import { contentBits, pairBits } from '../base/random.js';
import { screenNeighbours, type Nearness } from './neighbourScreen.js';

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
 * float64 sums over coordinates, so that equal rows are at equal distances. Ties are drawn by lot, for each row and by the content of x: equal clouds
 * draw the same, others independently. (Were they decided by the index, clouds that do not tell rows apart would agree on which are near.)
 * @param x finite float64 values [n, p]; for the cosine see `directions`
 * @throws RangeError when k is not within 1 .. n - 1
 */
export async function nearestNeighbours(
  x: Matrix<Float64Array>,
  k: number,
  measure: NeighbourMeasure,
): Promise<Neighbours> {
  const [neighbours] = await nearestNeighboursByMeasure(x, k, [measure]);
  return neighbours;
}

/**
 * As `nearestNeighbours`, by several measures at the price of one matrix product: with c the rows about their mean m, all of them are functions of c_i.c_j
 * and of single rows. The inner product of two rows is c_i.c_j + c_j.m and terms of i alone.
 * @returns one for each measure, in their order
 */
export async function nearestNeighboursByMeasure(
  x: Matrix<Float64Array>,
  k: number,
  measures: readonly NeighbourMeasure[],
): Promise<Neighbours[]> {
  const n = x.rows;
  if (!(Number.isInteger(k) && k >= 1 && k < n))
    throw new RangeError(`latent/neighbours: ${k} neighbours among ${n} rows; k must be within 1 and ${n - 1}`);
  const cosine = measures.indexOf('cosine');
  if (cosine < 0 || !squaredNorms(x).includes(0)) return search(x, k, measures);
  // Among zero rows the cosine is told by distances of directions, which have a column more.
  const rest = measures.filter((measure) => measure !== 'cosine');
  const found = rest.length > 0 ? await search(x, k, rest) : [];
  return found.toSpliced(cosine, 0, ...(await search(directions(x), k, ['euclidean'])));
}

async function search(
  x: Matrix<Float64Array>,
  k: number,
  measures: readonly NeighbourMeasure[],
): Promise<Neighbours[]> {
  const n = x.rows;
  const mean = columnMeans(x);
  const points = centred(x, mean);
  const radius = Math.sqrt(largest(squaredNorms(points))) || 1; // float32 has the range for rows of length 1
  for (let at = 0; at < points.data.length; at++) points.data[at] /= radius;
  const views = measures.map((measure) => viewBy(measure, x, points, mean, radius));
  const lengths = squaredNorms(points).map(Math.sqrt);
  const found = measures.map(() => new Int32Array(n * k));
  const nearest = new Float64Array(k);
  const seed = contentBits(x.data);
  await screenNeighbours(points, lengths, views, k, (i, which, candidates, count) => {
    const { compared, inner } = views[which];
    const chosen = found[which].subarray(i * k, (i + 1) * k);
    nearest.fill(Infinity);
    const behind = (at: number, value: number, j: number) =>
      nearest[at] > value || (nearest[at] === value && pairBits(seed, i, chosen[at]) > pairBits(seed, i, j));
    for (let c = 0; c < count; c++) {
      const j = candidates[c];
      const value = inner ? -innerProduct(compared, i, j) : squaredDistance(compared, i, compared, j);
      if (!behind(k - 1, value, j)) continue;
      let at = k - 1;
      for (; at > 0 && behind(at - 1, value, j); at--) {
        nearest[at] = nearest[at - 1];
        chosen[at] = chosen[at - 1];
      }
      nearest[at] = value;
      chosen[at] = j;
    }
  });
  return found.map((indices) => ({ indices, rows: n, k }));
}

/** How a measure sees the rows: screened by products, decided by distances, or inner products, of the rows compared. */
interface View extends Nearness {
  compared: Matrix<Float64Array>;
  inner: boolean;
}

function viewBy(
  measure: NeighbourMeasure,
  x: Matrix<Float64Array>,
  points: Matrix<Float64Array>,
  mean: Float64Array,
  radius: number,
): View {
  if (measure === 'euclidean') {
    const offsets = squaredNorms(points).map((square) => -square / 2);
    return { offsets, rounding: 2 ** -26, compared: x, inner: false }; // differences of the rows as given: centring rounds
  }
  const offsets = new Float64Array(x.rows);
  for (let j = 0, at = 0; j < x.rows; j++)
    for (let c = 0; c < x.columns; c++, at++) offsets[j] += (points.data[at] * mean[c]) / radius;
  const squares = squaredNorms(x);
  const rounding = (2 ** -26 * largest(squares)) / radius ** 2;
  if (measure === 'inner') return { offsets, rounding, compared: x, inner: true };
  const meanSquare = mean.reduce((sum, value) => sum + value * value, 0) / radius ** 2;
  const scaled = {
    shifts: offsets.map((value) => value + meanSquare),
    scales: squares.map((square) => radius / Math.sqrt(square)),
  };
  return { offsets, scaled, rounding, compared: directions(x), inner: false };
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
    const excess = count - k;
    second += (excess * excess) / rows;
    third += (excess * excess * excess) / rows;
  }
  return second === 0 ? 0 : third / second ** 1.5;
}

/**
 * Rows of length 1. A row of zeros has a direction of its own, at right angles to all others and shared by all zero rows: where there is one, every row gets
 * a last column that is 1 for zero rows and 0 for the others. (One-hot elements have such coordinates where no anchor is of the element.)
 */
export function directions(x: Matrix<Float64Array>): Matrix<Float64Array> {
  const squares = squaredNorms(x);
  const columns = x.columns + (squares.includes(0) ? 1 : 0);
  const data = new Float64Array(x.rows * columns);
  squares.forEach((square, row) => {
    const to = row * columns;
    if (square === 0) {
      data[to + x.columns] = 1;
      return;
    }
    const scale = 1 / Math.sqrt(square);
    for (let c = 0; c < x.columns; c++) data[to + c] = x.data[row * x.columns + c] * scale;
  });
  return matrix(data, x.rows, columns);
}

function innerProduct(x: Matrix<Float64Array>, i: number, j: number): number {
  let sum = 0;
  for (let c = 0; c < x.columns; c++) sum += x.data[i * x.columns + c] * x.data[j * x.columns + c];
  return sum;
}

function largest(values: Float64Array): number {
  let max = 0;
  for (const value of values) if (value > max) max = value;
  return max;
}
