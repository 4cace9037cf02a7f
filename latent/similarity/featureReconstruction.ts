import { countUp } from '../base/integers.js';
import { symmetricEigen } from '../linear/eigen.js';
import { gramMatrix, matrixProduct, subtractProduct, crossProduct } from '../kernels/products.js';
import {
  centred,
  columnMeans,
  finiteFloat64,
  matrix,
  takeRows,
  squaredFrobenius,
  type Matrix,
} from '../base/matrix.js';
import { seededRandom, shuffle } from '../base/random.js';
import { svd } from '../linear/svd.js';

/** Rows that a map is fitted on and rows that it is judged by. */
export interface ReconstructionSplit {
  /** In an order that does not matter to the data: its first and second half are the folds of the cross-validation. */
  train: Int32Array;
  test: Int32Array;
}

/** Error of x predicting y and of y predicting x; null where what is to be predicted is one point (see {@link ScaledSplit}). */
export interface ReconstructionErrors {
  xToY: number | null;
  yToX: number | null;
}

/** Relative cut-offs of singular values that are tried: 20 from 1e-9 to 1, evenly in their logarithm; at 1 the map is 0. */
const CUTOFFS = Array.from({ length: 20 }, (_, at) => 10 ** (-9 + (9 * at) / 19));

/** Two random halves of n rows. */
export function reconstructionHalves(n: number, seed: number): ReconstructionSplit {
  const rows = shuffle(countUp(n), seededRandom(seed));
  return { train: rows.slice(0, Math.ceil(n / 2)), test: rows.slice(Math.ceil(n / 2)) };
}

/** A cloud split and on the scale of its training rows: about their mean, their total standard deviation 1 (as it is where all of them are equal). */
export interface ScaledSplit {
  train: Matrix<Float64Array>;
  test: Matrix<Float64Array>;
  /** Whether the training rows are all equal: such a cloud has no scale, and errors on it mean nothing. */
  onePoint: boolean;
}

/**
 * A cloud split and scaled.
 * @throws RangeError when train or test is empty
 */
export function scaledSplit(cloud: Matrix<Float64Array>, split: ReconstructionSplit): ScaledSplit {
  if (split.train.length === 0 || split.test.length === 0)
    throw new RangeError(
      `latent/similarity: ${split.train.length} rows to train and ${split.test.length} to test; both are needed`,
    );
  const train = takeRows(cloud, split.train);
  const { points: trained, mean } = aboutMean(train);
  const spread = Math.sqrt(squaredFrobenius(trained.data) / train.rows);
  const total = spread || 1;
  const divided = ({ data, rows, columns }: Matrix<Float64Array>) => ({
    data: data.map((value) => value / total),
    rows,
    columns,
  });
  return {
    train: divided(trained),
    test: divided(centred(takeRows(cloud, split.test), mean)),
    onePoint: spread === 0,
  };
}

/**
 * Both clouds split and scaled.
 * @throws RangeError when rows are not paired, a value is not finite, or train or test is empty
 */
export function scaledSplits(x: Matrix, y: Matrix, split: ReconstructionSplit): [ScaledSplit, ScaledSplit] {
  if (x.rows !== y.rows)
    throw new RangeError(`latent/similarity: x has ${x.rows} rows and y ${y.rows}; rows are paired`);
  return [scaledSplit(finiteFloat64(x, 'x'), split), scaledSplit(finiteFloat64(y, 'y'), split)];
}

/** Rows about their mean by way of the first row, so that equal rows are exactly 0: what rounding leaves of them would be divided by its own size. */
export function aboutMean(x: Matrix<Float64Array>): { points: Matrix<Float64Array>; mean: Float64Array } {
  const first = Float64Array.from(x.data.subarray(0, x.columns));
  const fromFirst = centred(x, first);
  const rest = columnMeans(fromFirst);
  return { points: centred(fromFirst, rest), mean: first.map((value, c) => value + rest[c]) };
}

/** Singular values and right vectors [p, width] of a matrix. */
export interface RightSingularVectors {
  s: Float64Array;
  v: Float64Array;
}

/**
 * Rows that linear maps are fitted on, with what the fits need of them alone: the decomposition of all rows and of either half. The map W [p, q] to y [m, q] is
 * least squares by the singular values of x above a cut-off relative to the largest. The cut-off is that of least error, root mean square
 * over rows, when either half of the rows is predicted from the other. scikit-matter's `Ridge2FoldCV` averages errors of columns
 * instead, which depends on how y is rotated.
 */
export class ReconstructionSource {
  /** @param parts all rows, the first half and the second; none below 2 rows */
  private constructor(private readonly parts: readonly Part[]) {}

  /**
   * @param x [m, p]
   * @param known decompositions of x and of its halves, as {@link decompositions} gave them for the same rows
   */
  static async of(x: Matrix<Float64Array>, known?: RightSingularVectors[]): Promise<ReconstructionSource> {
    const [first, second] = halvesOf(x);
    const parts: Part[] = [];
    for (const [at, rows] of (x.rows < 2 ? [] : [x, first, second]).entries()) {
      const vectors = known?.[at] ?? (await rightSingularVectors(rows));
      const other = [null, second, first][at];
      parts.push({ x: rows, vectors, scores: other && (await scoresOf(other, vectors)) });
    }
    return new ReconstructionSource(parts);
  }

  /** Of all rows, the first half and the second. */
  get decompositions(): RightSingularVectors[] {
    return this.parts.map(({ vectors }) => vectors);
  }

  /** What the map to y [m, q] makes of test rows [r, p]: [r, q]; 0 below 2 rows. */
  async predict(y: Matrix<Float64Array>, test: Matrix<Float64Array>): Promise<Matrix<Float64Array>> {
    const zeros = matrix(new Float64Array(test.rows * y.columns), test.rows, y.columns);
    if (this.parts.length === 0) return zeros;
    const [all, ...halves] = this.parts;
    const [first, second] = halvesOf(y);
    const [toSecond, toFirst] = [
      await crossErrors(halves[0], first, second),
      await crossErrors(halves[1], second, first),
    ];
    let [best, least] = [CUTOFFS[0], Infinity];
    CUTOFFS.forEach((cutoff, at) => {
      const error = toSecond[at] + toFirst[at];
      if (error < least) [best, least] = [cutoff, error];
    });
    const rank = rankAt(best, all.vectors.s, all.x);
    if (rank === 0) return zeros;
    const [scores, projected] = [await scoresOf(test, all.vectors), await projection(all, y)];
    const data = await crossProduct(rowRange(scores, 0, rank), rowRange(projected, 0, rank));
    return matrix(data, test.rows, y.columns);
  }
}

/** Rows with their decomposition and, of a half, the scores of the other half. */
interface Part {
  x: Matrix<Float64Array>;
  vectors: RightSingularVectors;
  scores: Matrix<Float64Array> | null;
}

/** Root mean square error of the other half at every cut-off: components are taken up one by one. */
async function crossErrors(half: Part, y: Matrix<Float64Array>, otherY: Matrix<Float64Array>): Promise<number[]> {
  let rest = otherY;
  const projected = await projection(half, y);
  const errors: number[] = [];
  let taken = 0;
  // from the largest cut-off, which keeps fewest components, to the smallest
  for (let at = CUTOFFS.length - 1; at >= 0; at--) {
    const rank = rankAt(CUTOFFS[at], half.vectors.s, half.x);
    if (rank > taken)
      rest = await subtractProduct(rest, rowRange(half.scores!, taken, rank), rowRange(projected, taken, rank));
    errors[at] =
      rank === taken && at < CUTOFFS.length - 1 ? errors[at + 1] : Math.sqrt(squaredFrobenius(rest.data) / rest.rows);
    taken = rank;
  }
  return errors;
}

/** Squared length of each row of y - predicted [rows]. */
export function squaredErrors(y: Matrix<Float64Array>, predicted: Matrix<Float64Array>): Float64Array {
  const q = y.columns;
  const errors = new Float64Array(y.rows);
  for (let i = 0, at = 0; i < y.rows; i++)
    for (let j = 0; j < q; j++, at++) errors[i] += (y.data[at] - predicted.data[at]) ** 2;
  return errors;
}

/**
 * Singular values and right vectors by Jacobi rotations of the columns in the eigenvectors of XᵀX: these are nearly the right vectors but for the smallest
 * singular values, so that one or two sweeps are left of eight.
 */
async function rightSingularVectors(x: Matrix<Float64Array>): Promise<RightSingularVectors> {
  const p = x.columns;
  if (x.rows < p) return pick(svd(x.data, x.rows, p));
  const { vectors } = symmetricEigen(await gramMatrix(x.data, x.rows, p), p);
  const basis = matrix(new Float64Array(p * p), p, p); // eigenvectors as columns
  for (let c = 0; c < p; c++) for (let i = 0; i < p; i++) basis.data[i * p + c] = vectors[c * p + i];
  const { s, v } = svd((await matrixProduct(x, basis)).data, x.rows, p);
  return { s, v: (await matrixProduct(basis, matrix(v, p, p))).data };
}

function pick({ s, v }: RightSingularVectors): RightSingularVectors {
  return { s, v };
}

/** Rows of x in the right singular vectors of another, in units of the singular values: [width, rows]; 0 where these are. */
async function scoresOf(x: Matrix<Float64Array>, { s, v }: RightSingularVectors): Promise<Matrix<Float64Array>> {
  const width = s.length;
  const products = (await matrixProduct(x, matrix(v, x.columns, width))).data;
  const scores = matrix(new Float64Array(width * x.rows), width, x.rows);
  for (let c = 0, at = 0; c < width; c++)
    for (let i = 0; i < x.rows; i++, at++) if (s[c] > 0) scores.data[at] = products[i * width + c] / s[c];
  return scores;
}

/** Uᵀy = (xV/s)ᵀy: [width, q]; 0 where s is. */
async function projection({ x, vectors: { s, v } }: Part, y: Matrix<Float64Array>): Promise<Matrix<Float64Array>> {
  const [width, q] = [s.length, y.columns];
  const cross = matrix(await crossProduct(x, y), x.columns, q);
  const projected = await crossProduct(matrix(v, x.columns, width), cross);
  for (let c = 0, at = 0; c < width; c++)
    for (let j = 0; j < q; j++, at++) projected[at] = s[c] > 0 ? projected[at] / s[c] : 0;
  return matrix(projected, width, q);
}

function halvesOf(x: Matrix<Float64Array>): [Matrix<Float64Array>, Matrix<Float64Array>] {
  const half = Math.ceil(x.rows / 2);
  return [rowRange(x, 0, half), rowRange(x, half, x.rows)];
}

/** Components above a cut-off, and above what rounding leaves of none. */
function rankAt(cutoff: number, s: Float64Array, x: Matrix): number {
  const least = Math.max(cutoff, Math.max(x.rows, x.columns) * Number.EPSILON) * s[0];
  let rank = 0;
  while (rank < s.length && s[rank] > least) rank++;
  return rank;
}

function rowRange({ data, columns }: Matrix<Float64Array>, first: number, end: number): Matrix<Float64Array> {
  return { data: data.subarray(first * columns, end * columns), rows: end - first, columns };
}
