import { finiteFloat64, type Matrix } from '../base/matrix.js';
import { crossProduct, PermutedCrossProduct } from '../neighbours/pairwise.js';
import { angularProcrustesCosine, angularProcrustesInfluence } from './angularProcrustes.js';
import type { DrawEstimate } from '../statistics/bootstrap.js';
import { centredCloud } from './centredCloud.js';
import { cknnaInfluence, cknnaOf, sharedKernel } from './cknna.js';
import { compareDense } from './compareDense.js';
import { lastOnly } from './lastOnly.js';
import { linearCka, linearCkaInfluence, unbiasedLinearCka } from './linearCka.js';
import { isDense, measureOf, similarityMetrics, type SimilarityMetric, type SimilarityValueName } from './metrics.js';
import { mean, neighbourOverlaps, permutedOverlap, permutedOverlaps } from './mutualNeighbours.js';
import { hubness } from '../neighbours/neighbours.js';
import { aboveThreshold, calibrate, type Calibration, type NullKind } from '../statistics/nulls.js';
import { leastRows, prepareCloud, type PreparedCloud } from './preparedCloud.js';
import { RowSet } from '../samples/rowSet.js';

/** Permutation nulls to calibrate against. */
export interface NullOptions {
  kinds: readonly NullKind[];
  /** Metrics to calibrate. The neighbour metrics cost O(n k) a permutation, the others a matrix product or more. */
  metrics: readonly SimilarityMetric[];
  /** 0.05 by default. */
  alpha?: number;
}

/** What to compare clouds by. */
export interface CompareOptions {
  metrics: readonly SimilarityMetric[];
  /** k of the mutual neighbours. */
  neighbours: number;
  /** Positions of the rows of dense metrics: see `denseMetrics`. */
  denseRows: Int32Array;
  /** Seed of the halves that maps are fitted on. */
  seed: number;
  nulls: NullOptions;
}

/** A value against one null. */
export interface CalibratedValue extends Calibration {
  null: NullKind;
  /** The bootstrap replicates, calibrated by the same threshold. */
  replicates: Float64Array;
}

/** One value of one draw of one pair. */
export interface ComparedValue extends DrawEstimate {
  metric: SimilarityMetric;
  name: SimilarityValueName;
  n: number;
  /** Skewness of the k-occurrence counts in x and in y; null for metrics without neighbours. */
  hubness: { x: number; y: number } | null;
  /** Null means and thresholds are on the scale of the value. */
  nulls: CalibratedValue[];
}

/** A value with what its bootstrap and its nulls need. */
export interface Measured {
  metric: SimilarityMetric;
  name: SimilarityValueName;
  rows: RowSet;
  value: number;
  /** Influence of each row on the value [n], mean 0: asked for where there are replicates. */
  influence: () => Float64Array | Promise<Float64Array>;
  hubness: ComparedValue['hubness'];
  /** Calibrated is a similarity, larger for the more alike: of a value, back, and the largest there is. The value itself and 1 by default. */
  scale?: { similarity: (value: number) => number; value: (similarity: number) => number; most: number };
  /** The similarity that is observed, where its rounding must be that of the permuted ones. */
  similarity?: number;
  /** The similarity once row i of x stands beside row `permutation[i]` of y: of one permutation, or of many at once. */
  permuted:
    | ((permutation: Int32Array) => number | Promise<number>)
    | { all: (permutations: readonly Int32Array[]) => Float64Array };
}

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
        const of = compared.get(one)!;
        of.nulls.push(calibrateValue(one, of.replicates, kind, values[at], nulls.alpha));
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
  const { metrics = similarityMetrics, neighbours = 10, replicates = 1000, seed, nulls } = options;
  if (x.rows !== y.rows)
    throw new RangeError(`latent/similarity: x has ${x.rows} rows and y ${y.rows}; rows are paired`);
  const denseRows = Int32Array.from({ length: x.rows }, (_, row) => row);
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

/** @param withKernels whether CKNNA has nulls too, which tell the overlap of the neighbours by cosine on the way */
function compareNeighbours(
  metrics: readonly SimilarityMetric[],
  x: PreparedCloud,
  y: PreparedCloud,
  rows: RowSet,
  withKernels: boolean,
): Measured[] {
  const measured: Measured[] = [];
  const [a, b] = [x.work.kernel, y.work.kernel];
  const kernels = metrics.includes('cknna') && a && b ? { a, b } : null;
  const shared = kernels && lastOnly((permutation: Int32Array) => sharedKernel(kernels.a, kernels.b, permutation));
  for (const metric of metrics) {
    const measure = measureOf[metric];
    const [inX, inY] = measure ? [x.work.neighbours[measure], y.work.neighbours[measure]] : [];
    if (!inX || !inY) continue;
    const value = permutedOverlap(inX, inY, null); // rounded as those of permutations are
    measured.push({
      metric,
      name: metric as SimilarityValueName,
      rows,
      value,
      influence: () => neighbourOverlaps(inX, inY).map((overlap) => overlap - value),
      hubness: { x: hubness(inX), y: hubness(inY) },
      permuted:
        shared && withKernels && measure === 'cosine'
          ? (permutation) => shared(permutation).overlap
          : { all: (permutations) => permutedOverlaps(inX, inY, permutations) },
    });
  }
  if (kernels && shared)
    measured.push({
      metric: 'cknna',
      name: 'cknna',
      rows,
      value: cknnaOf(kernels.a, kernels.b),
      influence: () => cknnaInfluence(kernels.a, kernels.b),
      hubness: { x: hubness(kernels.a.neighbours), y: hubness(kernels.b.neighbours) },
      permuted: (permutation) => cknnaOf(kernels.a, kernels.b, shared(permutation)),
    });
  return measured;
}

async function compareLinear(
  metrics: readonly SimilarityMetric[],
  x: PreparedCloud,
  y: PreparedCloud,
  rows: RowSet,
): Promise<Measured[]> {
  const asked = (['linear_cka', 'unbiased_linear_cka', 'angular_procrustes'] as const).filter((metric) =>
    metrics.includes(metric),
  );
  if (asked.length === 0) return [];
  const [a, b] = [centredCloud(x.x), centredCloud(y.x)];
  const cross = await crossProduct(a.points, b.points);
  let product: PermutedCrossProduct | undefined;
  const crossOf = lastOnly((permutation: Int32Array) =>
    (product ??= new PermutedCrossProduct(a.points, b.points)).of(permutation),
  );
  const measured: Measured[] = [];
  const [ofX, ofY] = [x.work.gram, y.work.gram];
  if (ofX && ofY) {
    const [left, right] = [
      { ...a, gram: ofX.products },
      { ...b, gram: ofY.products },
    ];
    // The two estimators of CKA differ by terms of order 1/n, far below the spread that the bootstrap is about.
    let shared: Promise<Float64Array> | undefined;
    const influence = () =>
      (shared ??= linearCkaInfluence(left, right, cross, ofX.forms ?? undefined, ofY.forms ?? undefined));
    if (asked.includes('linear_cka'))
      measured.push({
        metric: 'linear_cka',
        name: 'linear_cka',
        rows,
        value: linearCka(left, right, cross),
        influence,
        hubness: null,
        permuted: async (permutation) => linearCka(left, right, await crossOf(permutation)),
      });
    if (asked.includes('unbiased_linear_cka'))
      measured.push({
        metric: 'unbiased_linear_cka',
        name: 'unbiased_linear_cka',
        rows,
        value: unbiasedLinearCka(left, right, cross),
        influence,
        hubness: null,
        permuted: async (permutation) => {
          const squaredNorms = Float64Array.from(permutation, (from) => b.squaredNorms[from]);
          return unbiasedLinearCka(left, { ...right, squaredNorms }, await crossOf(permutation));
        },
      });
  }
  if (asked.includes('angular_procrustes')) {
    const cosine = angularProcrustesCosine(a, b, cross);
    measured.push({
      metric: 'angular_procrustes',
      name: 'angular_procrustes',
      rows,
      value: Math.acos(cosine),
      influence: () => angularProcrustesInfluence(a, b, cross, cosine),
      hubness: null,
      scale: { similarity: Math.cos, value: (similarity) => Math.acos(Math.min(1, similarity)), most: 1 },
      similarity: cosine,
      permuted: async (permutation) => angularProcrustesCosine(a, b, await crossOf(permutation)),
    });
  }
  return measured;
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
