import { column, rowTable, type RowOf } from './rowTable.js';

/** Table `transport`: the non-zero entries of an optimal-transport plan; model_a and model_b are partition folders. */
export const transportTable = rowTable('transport', {
  draw: column('int32', 'Number of the plan, as in transport_summary, which says its design.'),
  source_material_id: column('string', "Structure of the source atom, in model_a's coordinates."),
  source_atom_index: column('int32', 'Atom of that structure.'),
  target_material_id: column('string', "Structure of the target atom, in model_b's coordinates."),
  target_atom_index: column('int32', 'Atom of that structure.'),
  mass: column('double', 'Mass moved; the rows of a draw sum to 1 less the dropped mass.'),
  cost: column('double', 'Euclidean distance between source and target.'),
});
/** A row of {@link transportTable}. */
export type TransportRow = RowOf<typeof transportTable>;
