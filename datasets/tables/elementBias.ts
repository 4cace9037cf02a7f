import { column, rowTable, type RowOf } from './rowTable.js';

/** Table `element_bias`: how far apart two models put an element, in units of its spread; one row a pair and element. */
export const elementBiasTable = rowTable('element_bias', {
  model_a: column('string', "First model of the pair, in the spec's order."),
  model_b: column('string', 'Second model of the pair.'),
  atomic_number: column('int32', 'The element.'),
  n: column('int32', 'Its atoms in the sample.'),
  structures: column('int32', 'Structures they are in.'),
  distance: column('double', "Distance of the element's mean coordinates in the two models."),
  spread: column('double', 'Root mean square distance of its atoms to their mean, both models pooled.'),
  bias: column('double?', 'distance / spread, freed from what the sample adds by chance; null without spread.'),
  low: column('double?', 'Lower end of the 95 % interval of bias, from a bootstrap over structures.'),
  high: column('double?', 'Upper end.'),
  own_bias: column(
    'double?',
    'The same after the offset that all elements share is taken off: what is special to the element.',
  ),
  own_low: column('double?', 'Lower end of its interval.'),
  own_high: column('double?', 'Upper end.'),
  seed: column('int64', 'Seed of the sample.'),
});
/** A row of {@link elementBiasTable}. */
export type ElementBiasRow = RowOf<typeof elementBiasTable>;
