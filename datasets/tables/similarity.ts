import { column, rowTable, type RowOf } from './rowTable.js';

/** Table `similarity`: how alike two models' vectors are, with interval and null; one row a metric and stratum. */
export const similarityTable = rowTable('similarity', {
  model_a: column('string', "First model of the pair, in the spec's order."),
  model_b: column('string', 'Second model of the pair.'),
  space: column('string', 'Vectors compared: coordinates or embeddings.'),
  metric: column('string', 'Name of the metric, e.g. mutual_knn_euclidean, linear_cka, angular_procrustes.'),
  stratum: column('string', 'Atoms compared: all, or an element symbol.'),
  value: column('double', 'Mean over draws.'),
  low: column('double?', 'Lower end of the 95 % bootstrap interval; null where there is no interval.'),
  high: column('double?', 'Upper end of the 95 % bootstrap interval; null where there is no interval.'),
  n: column('int32', 'Atoms in a draw.'),
  draws: column('int32', 'Independent draws.'),
  seed: column('int64', 'Seed of the draws.'),
  k: column('int32?', 'Neighbours, for neighbour metrics.'),
  null_mean: column('double?', 'Mean of the metric over row permutations; null where no null was computed.'),
  calibrated: column('double?', 'max(0, (value - tau) / (max - tau)), tau the 95 % order statistic of the null.'),
  p_value: column('double?', '(1 + permutations at least as large) / (permutations + 1).'),
});
/** A row of {@link similarityTable}. */
export type SimilarityRow = RowOf<typeof similarityTable>;
