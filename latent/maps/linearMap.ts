import { solvePositiveDefinite } from '../linear/cholesky.js';
import { gramMatrix, crossProduct } from '../kernels/products.js';
import { centred, columnMeans, finiteFloat64, takeRows, type Matrix } from '../base/matrix.js';
import { applyMap, type AnchorMap } from './anchorMaps.js';

/** Ridge strengths that are tried, as shares of the mean variance of a column times the rows. */
const STRENGTHS = [1e-8, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1];

/** How well a map predicts rows it was not fitted on. */
export interface MapError {
  /** Root mean square of y - predicted over that of y about its mean: 0 exact, 1 no better than the mean. */
  relativeError: number;
  /** Mean cosine of predicted and true rows, both about the mean of the true ones. */
  meanCosine: number;
}

/**
 * The affine map from x [m, p] to y [m, q] by ridge regression. Its strength is the one of {@link STRENGTHS} with least error when the
 * rows of even groups are predicted from those of odd ones, and the other way round.
 * @param groups the group of each row [m], such as its structure, from 0 in an order that does not matter to the data. Rows of a group
 * are near copies of each other: on both sides they would praise the weakest ridge
 * @throws RangeError below 4 rows or 2 groups, or where a value is not finite
 */
export async function fitLinearMap(x: Matrix, y: Matrix, groups: ArrayLike<number>): Promise<AnchorMap> {
  if (x.rows !== y.rows || x.rows !== groups.length || x.rows < 4)
    throw new RangeError(
      `latent/maps: ${x.rows} and ${y.rows} rows of ${groups.length} groups; a map needs 4 or more that are paired`,
    );
  const halves = [0, 1].map((half) =>
    Int32Array.from(groups, (_, row) => row).filter((row) => groups[row] % 2 === half),
  );
  if (halves.some(({ length }) => length === 0))
    throw new RangeError(`latent/maps: the ${x.rows} rows are of one group; the strength of a map needs 2 or more`);
  const [from, to] = [finiteFloat64(x, 'x'), finiteFloat64(y, 'y')];
  const errors = STRENGTHS.map(() => 0);
  for (const half of [0, 1]) {
    const [own, other] = [halves[half], halves[1 - half]];
    const fitted = await ridgeMaps(takeRows(from, own), takeRows(to, own), STRENGTHS);
    const [source, target] = [takeRows(from, other), takeRows(to, other)];
    fitted.forEach((map, at) => (errors[at] += mapError(applyMap(map, source), target).relativeError ** 2));
  }
  const best = STRENGTHS[errors.indexOf(Math.min(...errors))];
  return (await ridgeMaps(from, to, [best]))[0];
}

/** Error of predicted rows [m, q]; 0 where y has no spread and is met, 1 where it is not. */
export function mapError(predicted: Matrix, y: Matrix): MapError {
  const mean = columnMeans(y);
  let [rest, total, cosines] = [0, 0, 0];
  for (let row = 0; row < y.rows; row++) {
    let [own, other, inner] = [0, 0, 0];
    for (let c = 0, at = row * y.columns; c < y.columns; c++, at++) {
      const [a, b] = [predicted.data[at] - mean[c], y.data[at] - mean[c]];
      rest += (a - b) ** 2;
      own += b * b;
      other += a * a;
      inner += a * b;
    }
    total += own;
    cosines += own === 0 || other === 0 ? 0 : inner / Math.sqrt(own * other);
  }
  return { relativeError: total === 0 ? Number(rest > 0) : Math.sqrt(rest / total), meanCosine: cosines / y.rows };
}

async function ridgeMaps(
  x: Matrix<Float64Array>,
  y: Matrix<Float64Array>,
  strengths: readonly number[],
): Promise<AnchorMap[]> {
  const [source, target] = [columnMeans(x), columnMeans(y)];
  const [from, to] = [centred(x, source), centred(y, target)];
  const p = x.columns;
  const gram = await gramMatrix(from.data, from.rows, p);
  const cross = await crossProduct(from, to);
  let trace = 0;
  for (let c = 0; c < p; c++) trace += gram[c * p + c];
  return strengths.map((strength) => {
    if (trace === 0) return { source, target, weights: new Float64Array(p * y.columns) }; // x says nothing
    const a = gram.slice();
    for (let c = 0; c < p; c++) a[c * p + c] += (strength * trace) / p;
    return { source, target, weights: solvePositiveDefinite(a, p, cross, y.columns) };
  });
}
