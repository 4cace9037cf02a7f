import { column, rowTable, type RowOf } from './rowTable.js';

/**
 * Table `similarity`: how alike two models' vectors are, with interval and null. One row a space, stratum and metric with null `none`, and one more for each
 * null it is calibrated against, with the same value. Values that rows were too few for are absent, and so are errors of reconstructing vectors that are all equal.
 */
export const similarityTable = rowTable('similarity', {
  model_a: column('string', "First model of the pair, in the spec's order."),
  model_b: column('string', 'Second model of the pair.'),
  space: column('string', 'Vectors compared: coordinates or embeddings.'),
  metric: column('string', 'Name of the metric, e.g. mutual_knn_euclidean, linear_cka, angular_procrustes.'),
  stratum: column('string', 'Atoms compared: all, or an element symbol.'),
  value: column('double', 'Mean over draws.'),
  low: column('double?', 'Lower end of the 95 % bootstrap interval; null where there is no interval.'),
  high: column('double?', 'Upper end of the 95 % bootstrap interval; null where there is no interval.'),
  n: column(
    'int32',
    'Atoms in a draw: those of similarity_rows with place below n, or of the element; the fewest of all draws.',
  ),
  draws: column('int32', 'Independent draws that have the value.'),
  seed: column('int64', 'Seed of the draws.'),
  k: column('int32?', 'Neighbours, for neighbour metrics.'),
  null: column('string', 'Row permutations compared with: none, free, or within_element.'),
  null_mean: column('double?', 'Mean of the metric over row permutations; null where no null was computed.'),
  null_threshold: column('double?', 'Order statistic tau of the null from which the calibrated score counts.'),
  calibrated: column(
    'double?',
    'max(0, (value - tau) / (max - tau)), tau the 95 % order statistic of the null; mean over draws.',
  ),
  calibrated_low: column('double?', 'Lower end of the 95 % bootstrap interval of calibrated.'),
  calibrated_high: column('double?', 'Upper end of the 95 % bootstrap interval of calibrated.'),
  p_value: column('double?', '(1 + permutations at least as large) / (permutations + 1); median over draws.'),
  permutations: column('int32?', 'Row permutations of the null.'),
  hubness_a: column(
    'double?',
    'Skewness of how often each atom is a neighbour in model_a, mean over draws; neighbour metrics.',
  ),
  hubness_b: column('double?', 'The same in model_b.'),
});
/** A row of {@link similarityTable}. */
export type SimilarityRow = RowOf<typeof similarityTable>;
