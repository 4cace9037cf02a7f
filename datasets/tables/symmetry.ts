import { column, rowTable, type RowOf } from './rowTable.js';

/** Table `symmetry`: whether a model gives equivalent atoms equal vectors, and what rotation and inversion of a crystal change. */
export const symmetryTable = rowTable('symmetry', {
  model: column('string', 'The model.'),
  test: column(
    'string',
    'orbit_spread: largest distance of two atoms of one symmetry orbit. collapse: distance of an atom to its nearest neighbour ' +
      'among the atoms of all crystals of its space group. rotation, inversion: change of the vectors when the crystal is rotated ' +
      'at random, inverted; measured by running the network.',
  ),
  space: column('string', 'coordinates, embeddings (in units of their root mean square), or energy (eV/atom).'),
  space_group: column('int32?', 'International number; null: all.'),
  statistic: column('string', 'share_above (the threshold), share_equal (at most the threshold), median, maximum.'),
  threshold: column('double?', 'Of the shares.'),
  value: column('double', 'The figure.'),
  n: column('int32', 'Atoms looked at; structures for energies.'),
  structures: column('int32', 'Structures looked at.'),
  seed: column('int64', 'Seed of the sample and the rotations.'),
});
/** A row of {@link symmetryTable}. */
export type SymmetryRow = RowOf<typeof symmetryTable>;
