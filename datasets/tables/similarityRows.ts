import { column, rowTable, type RowOf } from './rowTable.js';

/** Table `similarity_rows`: the atoms behind every number of a pair; model_a and model_b are partition folders. */
export const similarityRowsTable = rowTable('similarity_rows', {
  draw: column('int32', 'Draw, from 0.'),
  material_id: column('string', 'Structure of the drawn atom.'),
  atom_index: column('int32', 'Atom of that structure.'),
  place: column(
    'int32',
    'Order in which the draw took the atom, from 0: a value of n atoms is that of places below n.',
  ),
});
/** A row of {@link similarityRowsTable}. */
export type SimilarityRowsRow = RowOf<typeof similarityRowsTable>;
