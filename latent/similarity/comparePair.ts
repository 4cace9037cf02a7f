import { finiteFloat64, takeRows, type Matrix } from '../matrix.js';
import { crossProduct } from '../pairwise.js';
import { angularProcrustes, angularProcrustesCosine, angularProcrustesInfluence } from './angularProcrustes.js';
import { bootstrapShifts, type DrawEstimate } from './bootstrap.js';
import { centredCloud, type CentredCloud } from './centredCloud.js';
import { linearCka, linearCkaInfluence, unbiasedLinearCka } from './linearCka.js';
import { mean, neighbourOverlaps, permutedOverlap } from './mutualNeighbours.js';
import { hubness, nearestNeighboursByMeasure, type NeighbourMeasure } from './neighbours.js';
import { calibrate, permutations, type Calibration, type NullKind } from './nulls.js';

/** Names of the metrics, as in the `similarity` table. */
export const similarityMetrics = [
  'mutual_knn_euclidean',
  'mutual_knn_cosine',
  'mutual_knn_inner',
  'linear_cka',
  'unbiased_linear_cka',
  'angular_procrustes',
] as const;
/** See `similarityMetrics`. */
export type SimilarityMetric = (typeof similarityMetrics)[number];

/** The range that each metric cannot leave. */
export const metricBounds: Readonly<Record<SimilarityMetric, [number, number]>> = {
  mutual_knn_euclidean: [0, 1],
  mutual_knn_cosine: [0, 1],
  mutual_knn_inner: [0, 1],
  linear_cka: [0, 1],
  unbiased_linear_cka: [-1, 1],
  angular_procrustes: [0, Math.PI / 2],
};

/** Permutation nulls to calibrate against. */
export interface NullOptions {
  kinds: readonly NullKind[];
  /** Atomic number of each row [n], for the null within elements. */
  elements: Int32Array;
  /** Default 200. */
  permutations?: number;
  seed: number;
  /** Metrics to calibrate; all that were asked for by default. Angular Procrustes costs an eigenvalue problem a permutation. */
  metrics?: readonly SimilarityMetric[];
  /** Default 0.05. */
  alpha?: number;
}

/** Options of `comparePair`. */
export interface ComparePairOptions {
  metrics?: readonly SimilarityMetric[];
  /** k of the mutual neighbours; 10 by default. */
  neighbours?: number;
  /** Bootstrap replicates; 1,000 by default, 0 for none. */
  replicates?: number;
  /** Seed of the bootstrap. */
  seed: number;
  nulls?: NullOptions;
}

/** One metric of one draw of one pair. */
export interface ComparedMetric extends DrawEstimate {
  metric: SimilarityMetric;
  n: number;
  /** Skewness of the k-occurrence counts in x and in y; null for metrics without neighbours. */
  hubness: { x: number; y: number } | null;
  /** Empty unless asked for. For angular Procrustes the similarity that is calibrated is the cosine, `nullMean` and `threshold` are angles. */
  nulls: ({ null: NullKind } & Calibration)[];
}

const measureOf: Partial<Record<SimilarityMetric, NeighbourMeasure>> = {
  mutual_knn_euclidean: 'euclidean',
  mutual_knn_cosine: 'cosine',
  mutual_knn_inner: 'inner',
};

/**
 * All similarity metrics of one draw: row i of x [n, p] and row i of y [n, q] are the same atom in two models. Plain data in and out, so
 * that it runs in a worker thread.
 * @throws RangeError when rows are not paired, a value is not finite, or there are too few rows for a metric
 */
export async function comparePair(x: Matrix, y: Matrix, options: ComparePairOptions): Promise<ComparedMetric[]> {
  const { metrics = similarityMetrics, neighbours = 10, replicates = 1000, seed, nulls } = options;
  if (x.rows !== y.rows)
    throw new RangeError(`latent/similarity: x has ${x.rows} rows and y ${y.rows}; rows are paired`);
  const [left, right] = [finiteFloat64(x, 'x'), finiteFloat64(y, 'y')];
  const n = x.rows;
  const compared: Measured[] = [];
  if (metrics.some((metric) => measureOf[metric]))
    compared.push(...(await compareNeighbours(metrics, left, right, neighbours)));
  if (metrics.some((metric) => !measureOf[metric]))
    compared.push(...(await compareLinear(metrics, left, right, replicates > 0)));

  const shifts = await bootstrapShifts(
    compared.map(({ influence }) => influence),
    replicates,
    seed,
  );
  const calibrations = compared.map((): ComparedMetric['nulls'] => []);
  if (nulls) {
    const wanted = compared.filter(({ metric }) => (nulls.metrics ?? metrics).includes(metric));
    for (const kind of nulls.kinds) {
      const results = await nullValues(wanted, n, kind, nulls);
      wanted.forEach((one, at) => {
        const calibration = calibrate(one.similarity(), results[at], 1, nulls.alpha);
        if (one.metric === 'angular_procrustes') {
          calibration.nullMean = mean(results[at].map((cosine) => Math.acos(Math.min(1, cosine))));
          calibration.threshold = Math.acos(Math.min(1, calibration.threshold));
        }
        calibrations[compared.indexOf(one)].push({ null: kind, ...calibration });
      });
    }
  }
  return metrics.map((metric) => {
    const at = compared.findIndex((one) => one.metric === metric);
    const { value, hubness } = compared[at];
    return { metric, value, n, hubness, replicates: shifts[at].map((shift) => value + shift), nulls: calibrations[at] };
  });
}

/** A metric with what its bootstrap and its nulls need. */
interface Measured {
  metric: SimilarityMetric;
  value: number;
  influence: Float64Array;
  hubness: ComparedMetric['hubness'];
  /** What is calibrated: larger is more alike, at most 1. */
  similarity: () => number;
  /** The similarity after the rows of y are permuted; `cross` gives XᵀY of the permuted rows, computed once for all metrics. */
  permuted: (permutation: Int32Array, cross: () => Promise<Float64Array>) => Promise<number>;
  /** Centred clouds, for metrics that need `cross`. */
  clouds?: [CentredCloud, CentredCloud];
}

async function compareNeighbours(
  metrics: readonly SimilarityMetric[],
  x: Matrix<Float64Array>,
  y: Matrix<Float64Array>,
  k: number,
): Promise<Measured[]> {
  const asked = metrics.filter((metric) => measureOf[metric]);
  const measures = asked.map((metric) => measureOf[metric] as NeighbourMeasure);
  const allInX = await nearestNeighboursByMeasure(x, k, measures);
  const allInY = await nearestNeighboursByMeasure(y, k, measures);
  return asked.map((metric, at) => {
    const [inX, inY] = [allInX[at], allInY[at]];
    const overlaps = neighbourOverlaps(inX, inY);
    const value = mean(overlaps);
    return {
      metric,
      value,
      influence: overlaps.map((overlap) => overlap - value),
      hubness: { x: hubness(inX), y: hubness(inY) },
      similarity: () => value,
      permuted: (permutation) => Promise.resolve(permutedOverlap(inX, inY, permutation)),
    };
  });
}

async function compareLinear(
  metrics: readonly SimilarityMetric[],
  left: Matrix<Float64Array>,
  right: Matrix<Float64Array>,
  withInfluence: boolean,
): Promise<Measured[]> {
  const x = await centredCloud(left);
  const y = await centredCloud(right);
  const cross = await crossProduct(x.points, y.points);
  const clouds: [CentredCloud, CentredCloud] = [x, y];
  const compared: Measured[] = [];
  const common = { hubness: null, clouds };
  // The two estimators of CKA differ by terms of order 1/n, far below the spread that the bootstrap is about.
  const cka = metrics.some((metric) => metric.endsWith('linear_cka'));
  const none = new Float64Array(left.rows);
  const ckaInfluence = cka && withInfluence ? await linearCkaInfluence(x, y, cross) : none;
  if (metrics.includes('linear_cka')) {
    const value = linearCka(x, y, cross);
    const permuted: Measured['permuted'] = async (_, crossOf) => linearCka(x, y, await crossOf());
    compared.push({
      ...common,
      metric: 'linear_cka',
      value,
      influence: ckaInfluence,
      similarity: () => value,
      permuted,
    });
  }
  if (metrics.includes('unbiased_linear_cka')) {
    const value = unbiasedLinearCka(x, y, cross);
    const permuted: Measured['permuted'] = async (permutation, crossOf) =>
      unbiasedLinearCka(
        x,
        { ...y, squaredNorms: Float64Array.from(permutation, (from) => y.squaredNorms[from]) },
        await crossOf(),
      );
    compared.push({
      ...common,
      metric: 'unbiased_linear_cka',
      value,
      influence: ckaInfluence,
      similarity: () => value,
      permuted,
    });
  }
  if (metrics.includes('angular_procrustes')) {
    const procrustes = withInfluence ? angularProcrustes(x, y, cross) : undefined;
    // For the nulls values alone, observed and permuted, so that both are rounded alike.
    const cosine = (c: Float64Array) => angularProcrustesCosine(x, y, c);
    compared.push({
      ...common,
      metric: 'angular_procrustes',
      value: procrustes?.angle ?? Math.acos(cosine(cross)),
      influence: procrustes ? await angularProcrustesInfluence(x, y, procrustes) : none,
      similarity: () => cosine(cross),
      permuted: async (_, crossOf) => cosine(await crossOf()),
    });
  }
  return compared;
}

/** Similarities [metrics][permutations] under one null; every metric sees the same permutations. */
async function nullValues(
  compared: Measured[],
  n: number,
  kind: NullKind,
  options: NullOptions,
): Promise<Float64Array[]> {
  const count = options.permutations ?? 200;
  const values = compared.map(() => new Float64Array(count));
  let made = 0;
  for (const permutation of permutations(n, count, options.seed, kind === 'element' ? options.elements : undefined)) {
    let shared: Promise<Float64Array> | undefined;
    for (const [at, one] of compared.entries()) {
      const cross = () => {
        const [x, y] = one.clouds as [CentredCloud, CentredCloud];
        return (shared ??= crossProduct(x.points, takeRows(y.points, permutation)));
      };
      values[at][made] = await one.permuted(permutation, cross);
    }
    made++;
  }
  return values;
}
