import type { Matrix } from '../matrix.js';
import { euclideanCost, type CostSource } from './cost.js';
import { exactTransport } from './exact.js';
import {
  alignmentRatio,
  elementMatch,
  elementPlan,
  identityMass,
  type ElementPlan,
  type SparsePlan,
} from './planFigures.js';
import { sinkhorn } from './sinkhorn.js';

/** How the two samples relate. */
export const transportDesigns = ['same', 'disjoint'] as const;
/** `same`: row i of both is the same atom; `disjoint`: no atom is in both. */
export type TransportDesign = (typeof transportDesigns)[number];

/** Options of `solvePair`. */
export interface SolvePairOptions {
  design: TransportDesign;
  /** Atomic numbers of the rows of x [n] and y [m]. */
  sourceElements: Int32Array;
  sinkElements: Int32Array;
  /** Network simplex (default), or entropic with epsilon as a share of the median cost. */
  solver?: { name: 'exact' } | { name: 'sinkhorn'; epsilon: number; maxIterations?: number };
  /** Entropic plans are dense: arcs with less than this share of their row's mass are dropped, and the mass counted. Default 1e-3. */
  keepShare?: number;
}

/** One draw of one pair. `null` where a figure has no meaning. Plain data: it crosses threads as it is. */
export interface SolvedPair {
  plan: SparsePlan & { cost: Float64Array };
  elements: ElementPlan;
  summary: {
    solver: 'exact' | 'sinkhorn';
    n: number;
    m: number;
    /** <P, C>. */
    cost: number;
    /** A lower bound on the cost of any plan, and the distance to it. */
    dual: number | null;
    gap: number | null;
    /** Mean cost of row i to row i; null for disjoint samples. */
    paired_cost: number | null;
    /** Mean of the cost matrix, the expected cost of a random pairing. */
    random_cost: number;
    /** (paired - OT) / (random - OT), see `alignmentRatio`. */
    alignment_ratio: number | null;
    /** Mass that moves from an atom to itself; null for disjoint samples. Chance is 1/n. */
    identity_mass: number | null;
    element_match_mass: number;
    element_match_chance: number;
    element_match_ceiling: number;
    /** Mass on arcs that were left out of `plan`. */
    dropped_mass: number;
    marginal_residual: number;
    iterations: number;
    converged: boolean;
    /** Entropic: epsilon in units of cost, and <P, C> - epsilon H(P). */
    epsilon: number | null;
    regularised_cost: number | null;
  };
}

/**
 * Optimal transport of the rows of x [n, p] to those of y [m, p] under uniform weights and Euclidean cost, with all published figures.
 * @throws RangeError on empty or non-finite input, unequal columns, a `same` design with unequal rows
 */
export async function solvePair(x: Matrix, y: Matrix, options: SolvePairOptions): Promise<SolvedPair> {
  const { design, sourceElements, sinkElements, solver = { name: 'exact' } } = options;
  checkFinite(x, 'x');
  checkFinite(y, 'y');
  if (design === 'same' && x.rows !== y.rows)
    throw new RangeError(
      `latent/transport: design 'same' pairs row i with row i; x has ${x.rows} rows and y ${y.rows}`,
    );
  const cost = await euclideanCost(x, y);
  const randomCost = await meanCost(cost);
  let pairedCost: number | null = null;
  if (design === 'same') {
    pairedCost = 0;
    for (let i = 0; i < x.rows; i++) pairedCost += cost.at(i, i) / x.rows;
  }
  const solved =
    solver.name === 'exact'
      ? { ...(await exactTransport(cost)), droppedMass: 0, converged: true, epsilon: null, regularisedCost: null }
      : await sinkhorn(cost, {
          epsilon: solver.epsilon,
          maxIterations: solver.maxIterations,
          keepShare: options.keepShare,
        });
  const { n, m, source, sink, mass } = solved;
  const plan = { n, m, source, sink, mass };
  const match = elementMatch(plan, sourceElements, sinkElements);
  const rows = Int32Array.from({ length: Math.max(n, m) }, (_, at) => at);
  return {
    plan: { ...plan, cost: solved.arcCost },
    elements: elementPlan(plan, sourceElements, sinkElements),
    summary: {
      solver: solver.name,
      n,
      m,
      cost: solved.cost,
      dual: solved.dual,
      gap: solved.gap,
      paired_cost: pairedCost,
      random_cost: randomCost,
      alignment_ratio: pairedCost === null ? null : alignmentRatio(pairedCost, solved.cost, randomCost),
      identity_mass: design === 'same' ? identityMass(plan, rows.subarray(0, n), rows.subarray(0, m)) : null,
      element_match_mass: match.mass,
      element_match_chance: match.chance,
      element_match_ceiling: match.ceiling,
      dropped_mass: solved.droppedMass,
      marginal_residual: solved.marginalResidual,
      iterations: solved.iterations,
      converged: solved.converged,
      epsilon: solved.epsilon,
      regularised_cost: solved.regularisedCost,
    },
  };
}

/** Mean of all costs: row sums first, so that the order of additions does not depend on blocks. */
async function meanCost(cost: CostSource): Promise<number> {
  let total = 0;
  await cost.scan((_, values, offset) => {
    let row = 0;
    for (let j = 0; j < cost.m; j++) row += values[offset + j];
    total += row;
  });
  return total / cost.n / cost.m;
}

function checkFinite(x: Matrix, name: string): void {
  for (let at = 0; at < x.data.length; at++)
    if (!Number.isFinite(x.data[at]))
      throw new RangeError(
        `latent/transport: ${name} has ${x.data[at]} in row ${Math.floor(at / x.columns)}; coordinates must be finite`,
      );
}
