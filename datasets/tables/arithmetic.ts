import { column, rowTable, type RowOf } from './rowTable.js';

/**
 * Table `arithmetic`: how well mean(A) + x (g(el2) - g(el1)) predicts a crystal B that is A with el1 replaced by el2. Success measures
 * compositional linearity, not learned chemistry: one-hot vectors of the elements solve the ranking too.
 */
export const arithmeticTable = rowTable('arithmetic', {
  model_a: column('string', 'Model whose element vectors g make the offset.'),
  model_b: column('string', 'Model in which it is applied; the same, or another.'),
  space: column(
    'string',
    'coordinates, embeddings (own offsets only), or composition for the controls without a model.',
  ),
  predictor: column(
    'string',
    "offset; no_change (A itself); composition_mean (mean of g over B's composition, A not used); one_hot and random_elements: " +
      'offset on vectors made of the composition alone.',
  ),
  metric: column(
    'string',
    'hit_1, hit_10, mrr (of the rank of B among all structures but A), relative_error (of the offset; 1: no change).',
  ),
  value: column('double', 'Mean over pairs.'),
  low: column('double', 'Lower end of the 95 % interval, from a bootstrap over prototypes.'),
  high: column('double', 'Upper end.'),
  pairs: column('int32', 'Substitution pairs.'),
  prototypes: column('int32', 'Prototypes they come from.'),
  candidates: column('int32', 'Structures among which B is looked for.'),
  seed: column('int64', 'Seed of the sample.'),
});
/** A row of {@link arithmeticTable}. */
export type ArithmeticRow = RowOf<typeof arithmeticTable>;
