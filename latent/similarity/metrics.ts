import type { SimilarityMetric } from '../../config/names.js';
import type { NeighbourMeasure } from '../neighbours/neighbours.js';

/** Metrics with a direction, how well the one side predicts the other: they give two values, the others one. */
export const directedMetrics = ['information_imbalance', 'gfre', 'lfre'] as const;
/** See {@link directedMetrics}. */
export type DirectedMetric = (typeof directedMetrics)[number];

/** Metrics whose cost grows with the square of the rows or worse: computed on the rows that were drawn first. */
export const denseMetrics = [
  'distance_correlation',
  'unbiased_distance_correlation',
  ...directedMetrics,
] as const satisfies readonly SimilarityMetric[];

/** Names of values, as in the `similarity` table. */
export type SimilarityValueName =
  Exclude<SimilarityMetric, DirectedMetric> | `${DirectedMetric}_${'a_to_b' | 'b_to_a'}`;

/** How neighbours are told, for metrics of mutual neighbours. */
export const measureOf: Readonly<Partial<Record<SimilarityMetric, NeighbourMeasure>>> = {
  mutual_knn_euclidean: 'euclidean',
  mutual_knn_cosine: 'cosine',
  mutual_knn_inner: 'inner',
};

/** The range that a metric's value cannot leave. */
export const metricBounds: Readonly<Record<SimilarityMetric, [number, number]>> = {
  mutual_knn_euclidean: [0, 1],
  mutual_knn_cosine: [0, 1],
  mutual_knn_inner: [0, 1],
  cknna: [-Infinity, 1],
  linear_cka: [0, 1],
  unbiased_linear_cka: [-1, 1],
  angular_procrustes: [0, Math.PI / 2],
  distance_correlation: [0, 1],
  unbiased_distance_correlation: [-1, 1],
  information_imbalance: [0, 2],
  gfre: [0, Infinity],
  lfre: [0, Infinity],
};

/** Whether a metric is computed on the rows drawn first: see {@link denseMetrics}. */
export function isDense(metric: SimilarityMetric): boolean {
  return (denseMetrics as readonly string[]).includes(metric);
}
