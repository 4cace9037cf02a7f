import { column, rowTable, type RowOf } from './rowTable.js';

/** Table `transport_summary`: one row a draw and design, with the certificate of the solver. */
export const transportSummaryTable = rowTable('transport_summary', {
  model_a: column('string', "Source model, the first of the pair in the spec's order."),
  model_b: column('string', 'Target model.'),
  draw: column('int32', 'Draw, from 0.'),
  design: column('string', 'Which atoms face each other: same atoms, or disjoint and element-stratified.'),
  solver: column('string', 'Solver of the plan, e.g. network_simplex, sinkhorn.'),
  n: column('int32', 'Source atoms.'),
  m: column('int32', 'Target atoms.'),
  cost: column('double', 'Linear cost of the plan: sum of mass times distance.'),
  dual: column('double?', 'Dual value; null where the solver gives no certificate.'),
  gap: column('double?', 'cost - dual.'),
  paired_cost: column('double?', 'Cost of pairing every atom with itself; null where the two sides are other atoms.'),
  random_cost: column('double', 'Cost of a random pairing.'),
  alignment_ratio: column('double?', '(paired - cost) / (random - cost); null without a paired cost.'),
  identity_mass: column('double?', 'Mass that stays on its own atom; null where the two sides are other atoms.'),
  element_match_mass: column('double', 'Mass moved between atoms of one element.'),
  dropped_mass: column('double', 'Mass of plan entries left out of table transport.'),
  seed: column('int64', 'Seed of the draws.'),
  epsilon: column('double?', 'Entropic regularisation relative to the median cost; null for exact plans.'),
  iterations: column('int32?', 'Pivots or iterations of the solver.'),
  marginal_error: column('double?', "Largest deviation of the plan's marginals from uniform."),
});
/** A row of {@link transportSummaryTable}. */
export type TransportSummaryRow = RowOf<typeof transportSummaryTable>;
