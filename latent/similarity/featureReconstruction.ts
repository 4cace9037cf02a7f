import { centred, columnMeans, finiteFloat64, takeRows, type Matrix } from '../matrix.js';
import { seededRandom, shuffle } from '../random.js';
import { svd } from '../svd.js';

/** Rows that a map is fitted on and rows that it is judged by. */
export interface ReconstructionSplit {
  /** In an order that does not matter to the data: its first and second half are the folds of the cross-validation. */
  train: Int32Array;
  test: Int32Array;
}

/** Error of x predicting y and of y predicting x. */
export interface ReconstructionErrors {
  xToY: number;
  yToX: number;
}

/** Relative cut-offs of singular values that are tried: 20 from 1e-9 to 1, evenly in their logarithm; at 1 the map is 0. */
const CUTOFFS = Array.from({ length: 20 }, (_, at) => 10 ** (-9 + (9 * at) / 19));

/** Two random halves of n rows. */
export function reconstructionHalves(n: number, seed: number): ReconstructionSplit {
  const rows = shuffle(
    Int32Array.from({ length: n }, (_, at) => at),
    seededRandom(seed),
  );
  return { train: rows.slice(0, Math.ceil(n / 2)), test: rows.slice(Math.ceil(n / 2)) };
}

/** A cloud split and on the scale of its training rows: about their mean, their total standard deviation 1 (as it is where all of them are equal). */
export interface ScaledSplit {
  train: Matrix<Float64Array>;
  test: Matrix<Float64Array>;
}

/**
 * Both clouds split and scaled.
 * @throws RangeError when rows are not paired, a value is not finite, or train or test is empty
 */
export function scaledSplits(x: Matrix, y: Matrix, split: ReconstructionSplit): [ScaledSplit, ScaledSplit] {
  if (x.rows !== y.rows)
    throw new RangeError(`latent/similarity: x has ${x.rows} rows and y ${y.rows}; rows are paired`);
  if (split.train.length === 0 || split.test.length === 0)
    throw new RangeError(
      `latent/similarity: ${split.train.length} rows to train and ${split.test.length} to test; both are needed`,
    );
  const scaled = (cloud: Matrix<Float64Array>): ScaledSplit => {
    const train = takeRows(cloud, split.train);
    const { points: trained, mean } = aboutMean(train);
    const total = Math.sqrt(trained.data.reduce((sum, value) => sum + value * value, 0) / train.rows) || 1;
    const divided = ({ data, rows, columns }: Matrix<Float64Array>) => ({
      data: data.map((value) => value / total),
      rows,
      columns,
    });
    return { train: divided(trained), test: divided(centred(takeRows(cloud, split.test), mean)) };
  };
  return [scaled(finiteFloat64(x, 'x')), scaled(finiteFloat64(y, 'y'))];
}

/** Rows about their mean by way of the first row, so that equal rows are exactly 0: what rounding leaves of them would be divided by its own size. */
export function aboutMean(x: Matrix<Float64Array>): { points: Matrix<Float64Array>; mean: Float64Array } {
  const first = Float64Array.from(x.data.subarray(0, x.columns));
  const fromFirst = centred(x, first);
  const rest = columnMeans(fromFirst);
  return { points: centred(fromFirst, rest), mean: first.map((value, c) => value + rest[c]) };
}

/**
 * The linear map W [p, q] from x [m, p] to y [m, q], least squares by the singular values of x above a cut-off relative to the largest. The cut-off is
 * that of least error, root mean square over rows, when either half of the rows is predicted from the other. scikit-matter's
 * `Ridge2FoldCV` averages errors of columns instead, which depends on how y is rotated.
 * @returns 0 below 2 rows
 */
export function fitReconstruction(x: Matrix<Float64Array>, y: Matrix<Float64Array>): Float64Array {
  const map = new Float64Array(x.columns * y.columns);
  if (x.rows < 2) return map;
  const half = Math.ceil(x.rows / 2);
  const [x1, x2] = [rowRange(x, 0, half), rowRange(x, half, x.rows)];
  const [y1, y2] = [rowRange(y, 0, half), rowRange(y, half, y.rows)];
  const [to2, to1] = [crossErrors(x1, y1, x2, y2), crossErrors(x2, y2, x1, y1)];
  let [best, least] = [CUTOFFS[0], Infinity];
  CUTOFFS.forEach((cutoff, at) => {
    const error = to2[at] + to1[at];
    if (error < least) [best, least] = [cutoff, error];
  });
  const { s, v, width, projected } = decomposition(x, y);
  for (let c = 0; c < rankAt(best, s, x); c++)
    for (let i = 0; i < x.columns; i++) {
      const weight = v[i * width + c] / s[c];
      for (let j = 0; j < y.columns; j++) map[i * y.columns + j] += weight * projected[c * y.columns + j];
    }
  return map;
}

/** Mean over rows of |y - xW|², for scaled rows. */
export function meanSquaredError(x: Matrix<Float64Array>, y: Matrix<Float64Array>, map: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.rows; i++)
    for (let j = 0; j < y.columns; j++) {
      let rest = y.data[i * y.columns + j];
      for (let c = 0; c < x.columns; c++) rest -= x.data[i * x.columns + c] * map[c * y.columns + j];
      sum += rest * rest;
    }
  return sum / x.rows;
}

/** Root mean square error of the other fold at every cut-off: components are taken up one by one. */
function crossErrors(
  x: Matrix<Float64Array>,
  y: Matrix<Float64Array>,
  otherX: Matrix<Float64Array>,
  otherY: Matrix<Float64Array>,
): number[] {
  const { s, v, width, projected } = decomposition(x, y);
  const q = y.columns;
  const rest = otherY.data.slice();
  const error = () => Math.sqrt(rest.reduce((sum, value) => sum + value * value, 0) / otherX.rows);
  const ofRank = [error()];
  for (let c = 0, rank = rankAt(CUTOFFS[0], s, x); c < rank; c++) {
    for (let i = 0; i < otherX.rows; i++) {
      let score = 0;
      for (let k = 0; k < x.columns; k++) score += otherX.data[i * x.columns + k] * v[k * width + c];
      score /= s[c];
      for (let j = 0; j < q; j++) rest[i * q + j] -= score * projected[c * q + j];
    }
    ofRank.push(error());
  }
  return CUTOFFS.map((cutoff) => ofRank[rankAt(cutoff, s, x)]);
}

/** Singular values and right vectors [p, width] of x, and Uᵀy [width, q]. */
function decomposition(x: Matrix<Float64Array>, y: Matrix<Float64Array>) {
  const { u, s, v } = svd(x.data, x.rows, x.columns);
  const width = s.length;
  const projected = new Float64Array(width * y.columns);
  for (let i = 0; i < x.rows; i++)
    for (let c = 0; c < width; c++)
      for (let j = 0; j < y.columns; j++) projected[c * y.columns + j] += u[i * width + c] * y.data[i * y.columns + j];
  return { s, v, width, projected };
}

/** Components above a cut-off, and above what rounding leaves of none. */
function rankAt(cutoff: number, s: Float64Array, x: Matrix): number {
  const least = Math.max(cutoff, Math.max(x.rows, x.columns) * Number.EPSILON) * s[0];
  let rank = 0;
  while (rank < s.length && s[rank] > least) rank++;
  return rank;
}

function rowRange({ data, columns }: Matrix<Float64Array>, first: number, end: number): Matrix<Float64Array> {
  return { data: data.slice(first * columns, end * columns), rows: end - first, columns };
}
