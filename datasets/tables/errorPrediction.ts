import { column, rowTable, type RowOf } from './rowTable.js';

/**
 * Table `error_prediction`: how well scores of atypicality, and plain baselines, foretell how wrong a model's energy is. The error of a
 * structure is |energy - label| per atom, in eV, as it is: no offset of elements or compositions is fitted, so whoever names a label says
 * that it follows the energy convention of the model.
 */
export const errorPredictionTable = rowTable('error_prediction', {
  model: column('string', 'Model whose error is foretold.'),
  label: column('string', 'Label that the energy is compared with: error = |energy - label| per atom.'),
  subset: column('string', 'all, or the source file whose structures these are.'),
  score: column(
    'string',
    'Larger means more atypical. Of table atypical, structures: novelty and anchor_cosine (sign reversed) of the model, disagreement of all ' +
      'models. Baselines: n_atoms; element_rarity (minus the logarithm of the smallest share that an element of the structure has of the ' +
      "reference atoms of other structures, pseudo-count 1); composition_distance (sum of absolute differences of elements' shares to the nearest " +
      'other reference structure); energy_gap (|energy - energy of other_model| per atom).',
  ),
  other_model: column('string?', 'The other model of energy_gap; null for other scores.'),
  metric: column(
    'string',
    'spearman (rank correlation of score and error), or auroc (chance that a structure among the tenth of the subset with the largest ' +
      'errors, 0.9 quantile and above, has a larger score than one of the rest, ties half; 0.5 is chance).',
  ),
  value: column('double', 'The figure.'),
  low: column(
    'double?',
    'Lower end of its 95 % bootstrap interval over formulas (frames of one formula are no independent evidence); null below 5 formulas.',
  ),
  high: column('double?', 'Upper end.'),
  n: column('int32', 'Structures of the subset that have the score.'),
  formulas: column('int32', 'Formulas among them.'),
  mean_error: column('double', 'Mean error of these structures (eV per atom).'),
  seed: column('int64', 'Seed of the bootstrap.'),
});
/** A row of {@link errorPredictionTable}. */
export type ErrorPredictionRow = RowOf<typeof errorPredictionTable>;
