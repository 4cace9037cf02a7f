import { column, rowTable, type RowOf } from './rowTable.js';

/** Table `anchors`: the atoms of the snapshot that a basis is made of, in order. */
export const anchorsTable = rowTable('anchors', {
  anchor: column('int32', 'Position of the anchor in the basis, 0..K-1: the component of `coordinates` it stands for.'),
  material_id: column('string', 'Structure the anchor is an atom of.'),
  atom_index: column('int32', 'Atom of that structure, from 0 in source order.'),
  atomic_number: column('int32', 'Z of the anchor.'),
});
/** A row of {@link anchorsTable}. */
export type AnchorRow = RowOf<typeof anchorsTable>;
