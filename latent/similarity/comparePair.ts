import { countUp } from '../base/integers.js';
import { SIMILARITY_METRICS, type NullKind, type SimilarityMetric } from '../../config/names.js';
import { finiteFloat64, type Matrix } from '../base/matrix.js';
import { RowSet } from '../samples/rowSet.js';
import { aboveThreshold, calibrate } from '../statistics/nulls.js';
import { compareDense } from './compareDense.js';
import { compareLinear } from './compareLinear.js';
import { compareNeighbours } from './compareNeighbours.js';
import type { CalibratedValue, CompareOptions, ComparedValue, Measured, NullOptions } from './measured.js';
import { isDense } from './metrics.js';
import { mean } from '../statistics/mean.js';
import { leastRows, prepareCloud, type PreparedCloud } from './preparedCloud.js';

/**
 * Similarity of two clouds: row i of x [n, p] and row i of y [n, q] are the same atom in two models. Metrics that the rows are too few for are left out, and errors of
 * reconstructing a cloud that is one point.
 * @param rows all rows and, for dense metrics, those of `options.denseRows`
 * @throws RangeError when rows are not paired
 */
export async function compareClouds(
  x: PreparedCloud,
  y: PreparedCloud,
  rows: { all: RowSet; dense: RowSet },
  options: CompareOptions,
): Promise<ComparedValue[]> {
  const { neighbours, metrics, nulls } = options;
  if (x.x.rows !== y.x.rows || x.x.rows !== rows.all.n)
    throw new RangeError(
      `latent/similarity: x has ${x.x.rows} rows, y ${y.x.rows} and the set ${rows.all.n}; rows are paired`,
    );
  const count = (metric: SimilarityMetric) => (isDense(metric) ? rows.dense : rows.all).n;
  const asked = metrics.filter((metric) => count(metric) >= leastRows(metric, neighbours));
  const measured = [
    ...compareNeighbours(asked, x, y, rows.all, nulls.metrics.includes('cknna')),
    ...(await compareLinear(asked, x, y, rows.all)),
    ...(await compareDense(asked, x, y, rows.dense, options)),
  ];
  const compared = new Map<Measured, ComparedValue>();
  for (const set of new Set([rows.all, rows.dense])) {
    const members = measured.filter((one) => one.rows === set);
    const influences: Float64Array[] = [];
    for (const one of members)
      influences.push(set.resamples.replicates > 0 ? await one.influence() : new Float64Array(0));
    const shifts = await set.resamples.shifts(influences);
    members.forEach((one, at) => {
      const { metric, name, value, hubness } = one;
      const replicates = shifts[at].map((shift) => value + shift);
      compared.set(one, { metric, name, value, replicates, n: set.n, hubness, nulls: [] });
    });
    const wanted = members.filter(({ metric }) => nulls.metrics.includes(metric));
    for (const kind of nulls.kinds) {
      const values = await permutedSimilarities(wanted, set.permutations(kind));
      wanted.forEach((one, at) => {
        const found = compared.get(one)!;
        found.nulls.push(calibrateValue(one, found.replicates, kind, values[at], nulls.alpha));
      });
    }
  }
  return measured.map((one) => compared.get(one)!);
}

/** Options of {@link comparePair}. */
export interface ComparePairOptions {
  /** All by default. */
  metrics?: readonly SimilarityMetric[];
  /** 10 by default. */
  neighbours?: number;
  /** Bootstrap replicates; 1,000 by default. */
  replicates?: number;
  /** Seed of the bootstrap, the permutations and the halves. */
  seed: number;
  /** Atomic number of each row [n], for the null within elements. */
  elements?: Int32Array;
  nulls?: Partial<NullOptions> & { permutations?: number };
}

/**
 * Similarity of x [n, p] and y [n, q] by all metrics, dense ones too on all rows: `compareClouds` from raw rows.
 * @throws RangeError when rows are not paired or a value is not finite
 */
export async function comparePair(x: Matrix, y: Matrix, options: ComparePairOptions): Promise<ComparedValue[]> {
  const { metrics = SIMILARITY_METRICS, neighbours = 10, replicates = 1000, seed, nulls } = options;
  if (x.rows !== y.rows)
    throw new RangeError(`latent/similarity: x has ${x.rows} rows and y ${y.rows}; rows are paired`);
  const denseRows = countUp(x.rows);
  const cloud = { metrics, neighbours, denseRows, seed, replicates };
  const [left, right] = [finiteFloat64(x, 'x'), finiteFloat64(y, 'y')];
  const { permutations = 200, kinds = [], alpha } = nulls ?? {};
  const all = new RowSet(options.elements ?? new Int32Array(x.rows), { permutations, replicates, seed });
  return compareClouds(
    await prepareCloud(left, cloud),
    await prepareCloud(right, cloud),
    { all, dense: all },
    { ...cloud, nulls: { kinds, metrics: nulls?.metrics ?? metrics, alpha } },
  );
}

/** Similarities of each metric under each permutation. */
async function permutedSimilarities(measured: Measured[], permutations: Int32Array[]): Promise<Float64Array[]> {
  const values = measured.map(({ permuted }) =>
    typeof permuted === 'function' ? new Float64Array(permutations.length) : permuted.all(permutations),
  );
  for (const [at, permutation] of permutations.entries())
    for (const [which, { permuted }] of measured.entries()) {
      if (typeof permuted !== 'function') continue;
      const similarity = permuted(permutation);
      values[which][at] = typeof similarity === 'number' ? similarity : await similarity;
    }
  return values;
}

function calibrateValue(
  { value, similarity, scale }: Measured,
  replicates: Float64Array,
  kind: NullKind,
  nulls: Float64Array,
  alpha = 0.05,
): CalibratedValue {
  const observed = similarity ?? scale?.similarity(value) ?? value;
  const calibration = calibrate(observed, nulls, scale?.most, alpha);
  const { threshold } = calibration;
  const calibrated = replicates.map((one) =>
    aboveThreshold(scale ? scale.similarity(one) : one, threshold, scale?.most),
  );
  return {
    null: kind,
    ...calibration,
    replicates: calibrated,
    ...(scale ? { nullMean: mean(nulls.map(scale.value)), threshold: scale.value(threshold) } : {}),
  };
}
