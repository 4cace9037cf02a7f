import { column, rowTable, type RowOf } from './rowTable.js';

/** Table `drift`: what changed from one version of a model to another. */
export const driftTable = rowTable('drift', {
  model_a: column('string', "First version, in the spec's order."),
  model_b: column('string', 'Second version.'),
  stratum: column('string', 'Atoms compared: all, or an element symbol.'),
  metric: column(
    'string',
    'shift: root mean square change of the coordinates of an atom over the distance of random atoms. shared_neighbours: share of ' +
      'the 10 nearest neighbours kept. rotated_shift: as shift, on embeddings after the best rotation and scale. energy_offset, ' +
      'energy_scatter: mean, and standard deviation about it, of the change of energy per atom (eV).',
  ),
  value: column('double', 'The figure.'),
  low: column('double', 'Lower end of its 95 % interval, from a bootstrap over structures.'),
  high: column('double', 'Upper end.'),
  n: column('int32', 'Atoms compared; structures for energies.'),
  seed: column('int64', 'Seed of the sample.'),
});
/** A row of {@link driftTable}. */
export type DriftRow = RowOf<typeof driftTable>;
