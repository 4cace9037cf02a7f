import { column, rowTable, type RowOf } from './rowTable.js';

/**
 * Table `anchor_quality`: how well the anchors of a basis cover a model's embeddings, one figure a row; beside them as many anchors
 * chosen by the other policies from the same sample.
 */
export const anchorQualityTable = rowTable('anchor_quality', {
  model: column('string', 'Model in whose embeddings the figure was taken, standardised and reduced as DIRECT does.'),
  policy: column('string', "How the anchors were chosen; 'basis': those of the basis itself."),
  metric: column(
    'string',
    'coverage (share of the non-empty histogram bins that hold an anchor), mean_distance, worst_distance (of an atom to its ' +
      'nearest anchor), elements_hit, elements, gram_condition, gram_effective_rank.',
  ),
  value: column('double', 'The figure.'),
  anchors: column('int32', 'Number of anchors.'),
  n: column('int32', 'Sampled atoms, the anchors among them.'),
  seed: column('int64', 'Seed of the sample.'),
});
/** A row of {@link anchorQualityTable}. */
export type AnchorQualityRow = RowOf<typeof anchorQualityTable>;
