import { column, rowTable, type RowOf } from './rowTable.js';

/** Table `element_transport`: the plan summed over elements, mean over the draws of a design. */
export const elementTransportTable = rowTable('element_transport', {
  model_a: column('string', "Source model, the first of the pair in the spec's order."),
  model_b: column('string', 'Target model.'),
  design: column('string', 'Which atoms face each other: same or disjoint; the masses of each sum to 1.'),
  source_element: column('int32', 'Z of the source atoms.'),
  target_element: column('int32', 'Z of the target atoms.'),
  mass: column('double', 'Mass moved from source_element to target_element.'),
});
/** A row of {@link elementTransportTable}. */
export type ElementTransportRow = RowOf<typeof elementTransportTable>;
