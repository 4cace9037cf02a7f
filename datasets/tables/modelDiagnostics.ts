import { column, rowTable, type RowOf } from './rowTable.js';

/** Table `model_diagnostics`: how the vectors of a model are spread, one row a space. */
export const modelDiagnosticsTable = rowTable('model_diagnostics', {
  model: column('string', 'The model.'),
  space: column('string', 'Vectors looked at: embeddings or coordinates.'),
  dim: column('int32', 'Components of a vector.'),
  n: column(
    'int64',
    'Atoms behind the moments: all of them for embeddings; for coordinates those of the sample that are not 0 throughout.',
  ),
  mean_cosine: column('double', 'Mean cosine of two atoms (anisotropy); 0 in an isotropic space.'),
  mean_share: column('double', 'Share of the second moment that is the mean.'),
  effective_rank: column('double', 'exp of the entropy of the shares of variance along the principal axes.'),
  mean_norm: column('double', 'Mean length.'),
  norm_deviation: column('double', 'Standard deviation of the lengths.'),
  intrinsic_dimension: column(
    'double?',
    'Two-nearest-neighbour dimension (Facco et al. 2017) of the sample, one atom a structure; null where fewer than 3 of them differ from all others, or neighbours are all equally far.',
  ),
  element_share: column('double?', 'Share of the variance of the sample between elements; null without variance.'),
  hubness: column('double?', 'Skewness of how often an atom is among the 10 nearest of another; null below 12 atoms.'),
  sample: column('int32', 'Sampled atoms behind the last three.'),
  seed: column('int64', 'Seed of the sample.'),
  warning: column('string?', 'What should be known before the vectors are used; null where nothing is unusual.'),
});
/** A row of {@link modelDiagnosticsTable}. */
export type ModelDiagnosticsRow = RowOf<typeof modelDiagnosticsTable>;
