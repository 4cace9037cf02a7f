import { column, rowTable, type RowOf } from './rowTable.js';

/** Table `anchor_quality`: how well the anchors of a basis cover the data, one figure a row. */
export const anchorQualityTable = rowTable('anchor_quality', {
  model: column('string', 'Model in whose embeddings the figure was taken.'),
  metric: column(
    'string',
    'Name of the figure: coverage, mean_distance, worst_distance, elements_hit, gram_condition, mean_cosine.',
  ),
  value: column('double', 'The figure.'),
});
/** A row of {@link anchorQualityTable}. */
export type AnchorQualityRow = RowOf<typeof anchorQualityTable>;
