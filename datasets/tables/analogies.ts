import { column, rowTable, type RowOf } from './rowTable.js';

/** Table `analogies`: the substitution pairs behind table `arithmetic`, with what composition alone reaches beside what the model does. */
export const analogiesTable = rowTable('analogies', {
  model: column('string', 'The model; coordinates.'),
  analogy: column('string', 'In words: NaCl + 1/2 (K - Na) -> KCl.'),
  source_material_id: column('string', 'The crystal A that is changed.'),
  target_material_id: column('string', 'The crystal B that should come out.'),
  from_element: column('int32', 'Z of the element replaced.'),
  to_element: column('int32', 'Z of the element put in.'),
  share: column('double', 'Share x of the atoms that are replaced.'),
  space_group: column('int32', 'International number of both.'),
  rank: column(
    'double',
    'Rank of B among all structures but A, 1 the nearest to the prediction; ties share their mean rank.',
  ),
  rank_no_change: column('double', 'Its rank by the distance to A itself.'),
  rank_composition: column(
    'double',
    "Its rank by the distance to the mean of the element vectors over B's composition.",
  ),
  rank_one_hot: column('double', 'Its rank by offsets of one-hot element vectors: composition alone.'),
  relative_error: column('double?', 'Error of the prediction over the distance of A and B; null where they coincide.'),
  candidates: column('int32', 'Structures among which B is looked for.'),
});
/** A row of {@link analogiesTable}. */
export type AnalogiesRow = RowOf<typeof analogiesTable>;
