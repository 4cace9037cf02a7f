import { resampleClusters } from '../statistics/clusterBootstrap.js';
import { numberGroups } from '../base/groups.js';
import { elementStrata } from '../samples/strata.js';
import { columnMeans, finiteFloat64, takeRows, type Matrix } from '../base/matrix.js';
import { quantile, type Interval } from '../statistics/bootstrap.js';

/** Where two models put one element. */
export interface ElementBias {
  atomicNumber: number;
  /** Rows of the element, and the structures they are in. */
  n: number;
  structures: number;
  /** |mean_el(X) - mean_el(Y)| */
  distance: number;
  /** Root mean square distance of a row to its element's mean in its own model, both models pooled. */
  spread: number;
  /** distance / spread, freed of chance; null without spread. Interval ends are null for rows of a single structure. */
  bias: Bias | null;
  /** The same after the mean of x - y over all rows is taken off. */
  ownBias: Bias | null;
}

/** A bias with its 95 % interval. */
export type Bias = Pick<Interval, 'value'> & { low: number | null; high: number | null };

/** Options of {@link elementBias}. */
export interface ElementBiasOptions {
  /** Rows that an element needs. */
  rows: number;
  replicates: number;
  seed: number;
}

/**
 * Element bias of two models over paired rows x, y [n, K] (docs/method.md, Element bias). The squared length of a mean of differences is larger than that
 * of what it estimates by the variance of the mean, V; a bootstrap over structures gives V and is itself shifted by it once more,
 * so V is taken off the estimate and 2V off its replicates. The offset of `ownBias` counts as known.
 * @param structures [n] a number for the structure of each row
 * @throws RangeError when the rows do not pair up or hold a value that is not finite
 */
export function elementBias(
  x: Matrix,
  y: Matrix,
  atomicNumbers: ArrayLike<number>,
  structures: ArrayLike<number>,
  { rows, replicates, seed }: ElementBiasOptions,
): ElementBias[] {
  if (x.rows !== y.rows || x.columns !== y.columns)
    throw new RangeError(
      `latent/diagnostics: ${x.rows} rows of ${x.columns} and ${y.rows} of ${y.columns} do not pair up`,
    );
  const [left, right] = [finiteFloat64(x, 'the first sample'), finiteFloat64(y, 'the second sample')];
  const differences = { ...left, data: left.data.map((value, at) => value - right.data[at]) };
  const offset = columnMeans(differences);
  const zero = new Float64Array(x.columns);
  return elementStrata(atomicNumbers, rows).map(({ element: atomicNumber, rows: members }) => {
    const own = takeRows(differences, members);
    const clusters = numberGroups(Array.from(members, (row) => structures[row]));
    const spread = Math.sqrt((variance(takeRows(left, members)) + variance(takeRows(right, members))) / 2);
    const [bias, ownBias] = debiasedLengths(own, clusters, [zero, offset], replicates, seed);
    const distance = Math.hypot(...columnMeans(own));
    const scaled = (lengths: Bias): Bias | null =>
      spread === 0
        ? null
        : {
            value: lengths.value / spread,
            low: lengths.low === null ? null : lengths.low / spread,
            high: lengths.high === null ? null : lengths.high / spread,
          };
    return {
      atomicNumber,
      n: members.length,
      structures: clusters.count,
      distance,
      spread,
      bias: scaled(bias),
      ownBias: scaled(ownBias),
    };
  });
}

/** Length of the mean row less each centre, freed of the variance of the mean, with intervals over clusters. */
function debiasedLengths(
  rows: Matrix<Float64Array>,
  { groups, count }: { groups: Int32Array; count: number },
  centres: readonly Float64Array[],
  replicates: number,
  seed: number,
): Bias[] {
  const { columns } = rows;
  const sums = new Float64Array(count * columns);
  const sizes = new Float64Array(count);
  for (let row = 0, at = 0; row < rows.rows; row++) {
    sizes[groups[row]]++;
    for (let c = 0; c < columns; c++) sums[groups[row] * columns + c] += rows.data[at++];
  }
  const mean = columnMeans(rows);
  const squares = centres.map((centre) => squaredLength(mean, centre));
  if (count < 2) return squares.map((square) => ({ value: Math.sqrt(square), low: null, high: null }));
  const drawn = centres.map(() => new Float64Array(replicates));
  const resampled = new Float64Array(columns);
  resampleClusters(count, replicates, seed, (replicate, weights) => {
    resampled.fill(0);
    let n = 0;
    for (let cluster = 0; cluster < count; cluster++) {
      const weight = weights[cluster];
      if (weight === 0) continue;
      n += weight * sizes[cluster];
      for (let c = 0, at = cluster * columns; c < columns; c++) resampled[c] += weight * sums[at++];
    }
    for (let c = 0; c < columns; c++) resampled[c] /= n;
    centres.forEach((centre, which) => (drawn[which][replicate] = squaredLength(resampled, centre)));
  });
  return squares.map((square, which) => {
    const sorted = drawn[which].sort();
    const variance = Math.max(0, sorted.reduce((sum, value) => sum + value, 0) / replicates - square);
    const length = (value: number) => Math.sqrt(Math.max(0, value));
    return {
      value: length(square - variance),
      low: length(quantile(sorted, 0.025) - 2 * variance),
      high: length(quantile(sorted, 0.975) - 2 * variance),
    };
  });
}

function squaredLength(v: Float64Array, centre: Float64Array): number {
  let sum = 0;
  for (let c = 0; c < v.length; c++) sum += (v[c] - centre[c]) ** 2;
  return sum;
}

/** Mean squared distance of the rows to their mean. */
function variance(rows: Matrix): number {
  const mean = columnMeans(rows);
  let sum = 0;
  for (let at = 0; at < rows.data.length; at++) sum += (rows.data[at] - mean[at % rows.columns]) ** 2;
  return sum / rows.rows;
}
