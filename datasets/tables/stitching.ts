import { column, rowTable, type RowOf } from './rowTable.js';

/** Table `stitching`: what a head fitted on one model's vectors reaches when another model's are put in. Mean absolute errors, per atom. */
export const stitchingTable = rowTable('stitching', {
  model_a: column('string', 'Model whose vectors the head was fitted on.'),
  model_b: column('string', 'Model whose vectors are put in.'),
  method: column(
    'string',
    'relative (coordinates, as they are); affine, least_squares, orthogonal (maps of embeddings fitted on the anchors); ' +
      'inverse_projection (coordinates of model_b by the pseudo-inverse of the anchors of model_a).',
  ),
  head: column(
    'string',
    'ridge (columns standardised by the own statistics of each model, strength 1e3) or neighbours (5 nearest).',
  ),
  target: column('string', 'energy_per_atom (of model_a), or the name of a label.'),
  error: column('double', 'Of the stitched head on held-out structures.'),
  low: column('double', 'Lower end of its 95 % bootstrap interval.'),
  high: column('double', 'Upper end.'),
  gap: column(
    'double?',
    '(error - native) / (mean - native): 0 as good as native, 1 no better than the mean; null where those are equal.',
  ),
  native_error: column('double', "Of a head fitted on model_b's own vectors."),
  mean_error: column('double', 'Of the mean of the targets.'),
  composition_error: column('double', 'Of the same ridge on shares of elements: what composition alone reaches.'),
  shuffled_error: column('double', 'With the anchors of model_b in random order.'),
  train: column('int32', 'Structures the head was fitted on.'),
  test: column('int32', 'Structures held out.'),
  seed: column('int64', 'Seed of the split.'),
});
/** A row of {@link stitchingTable}. */
export type StitchingRow = RowOf<typeof stitchingTable>;
