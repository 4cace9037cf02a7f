import { column, rowTable, type RowOf } from './rowTable.js';

/**
 * Table `atypical`: how unusual structures and atoms are. Folder `model=all` holds what all models say together, every lineage with one
 * vote; the others what one model says. None of it is an error bar.
 */
export const atypicalTable = rowTable('atypical', {
  level: column('string', 'structure (mean over its atoms) or atom.'),
  material_id: column('string', 'Identifier of the structure.'),
  atom_index: column('int32?', 'Atom of that structure; null for structures.'),
  atomic_number: column('int32?', 'Z of the atom; null for structures.'),
  disagreement: column(
    'double?',
    'Variance over lineages of the standardised coordinates, mean over anchors; null below two lineages and for single models.',
  ),
  disagreement_percentile: column('double?', 'Share of the reference atoms with less.'),
  novelty: column(
    'double?',
    "Mean distance to the nearest reference atoms of other structures in the model's own space, in units of the median of the reference; null for all.",
  ),
  novelty_percentile: column('double?', 'Share of the reference atoms with less; for all the mean over lineages.'),
  anchor_cosine: column('double?', 'Cosine to the nearest anchor; null for all.'),
  anchor_percentile: column(
    'double?',
    'Share of the reference atoms that are nearer to an anchor; for all the mean over lineages.',
  ),
});
/** A row of {@link atypicalTable}. */
export type AtypicalRow = RowOf<typeof atypicalTable>;
