import { column, rowTable, type RowOf } from './rowTable.js';

/** Table `transport_summary`: one row a plan (a draw of a design, or a baseline), with the certificate of the solver. */
export const transportSummaryTable = rowTable('transport_summary', {
  model_a: column('string', "Source model, the first of the pair in the spec's order."),
  model_b: column('string', 'Target model.'),
  draw: column('int32', 'Number of the draw: from 0 for design same, then those of design disjoint.'),
  design: column(
    'string',
    'Which atoms face each other: same (the same atoms) or disjoint (other structures, same elements).',
  ),
  space: column(
    'string',
    'What is moved: coordinates, or a baseline: orthogonal (embeddings of model_a mapped to those of model_b by the anchors), gromov (raw embeddings).',
  ),
  solver: column('string', 'Solver of the plan: exact, sinkhorn, unbalanced, multiscale, gromov.'),
  n: column('int32', 'Source atoms.'),
  m: column('int32', 'Target atoms.'),
  cost: column(
    'double',
    'Linear cost of the plan: sum of mass times distance (gromov: squared differences of distances).',
  ),
  dual: column('double?', 'Lower bound on the cost of any plan; null where the solver gives none.'),
  gap: column('double?', 'cost - dual: no plan is cheaper by more.'),
  paired_cost: column('double?', 'Cost of pairing every atom with itself; null where the two sides are other atoms.'),
  random_cost: column('double', 'Cost of a random pairing.'),
  alignment_ratio: column(
    'double?',
    '(paired - cost) / (random - cost): 0 where no plan beats the pairing, 1 at chance; null without a paired cost, or where all plans cost the same.',
  ),
  identity_mass: column(
    'double?',
    'Mass that stays on its own atom, points that coincide exchanged at random; null where the two sides are other atoms.',
  ),
  identity_chance: column('double?', 'What the independent coupling would leave there.'),
  element_match_mass: column(
    'double',
    'Mass moved between atoms of one element, points that coincide exchanged at random.',
  ),
  element_match_chance: column('double', 'The same under the independent coupling.'),
  element_match_floor: column(
    'double?',
    'The same of the plan to one vector an element, composition without any network: the larger of the two models; null for baselines.',
  ),
  element_match_ceiling: column(
    'double?',
    'The same between disjoint halves of one model (the smaller of the two); 1 for design same; null for baselines.',
  ),
  mass: column('double', 'Total mass of the plan: 1 unless unbalanced.'),
  dropped_mass: column('double', 'Mass of plan entries left out of table transport.'),
  seed: column('int64', 'Seed of the draws.'),
  epsilon: column('double?', 'Entropic regularisation in units of cost; null for plans without.'),
  regularised_cost: column('double?', 'Cost with the entropic term (and the price of marginals); null without.'),
  divergence: column('double?', 'Sinkhorn divergence: the debiased cost; null unless asked for.'),
  iterations: column('int32?', 'Pivots, iterations or exact problems of the solver.'),
  converged: column('int32', '1 where the solver reached its tolerance, 0 where its iterations ran out.'),
  marginal_error: column('double?', "Largest deviation of the plan's marginals from uniform."),
});
/** A row of {@link transportSummaryTable}. */
export type TransportSummaryRow = RowOf<typeof transportSummaryTable>;
