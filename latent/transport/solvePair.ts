import type { TransportDesign, TransportSolver } from '../../config/names.js';
import { takeRows, type Matrix } from '../base/matrix.js';
import { squaredDistance } from '../neighbours/pairwise.js';
import { euclideanCost, type CostSource } from './cost.js';
import { exactTransport } from './exact.js';
import { entropicGromov, relativeDistances } from './gromov.js';
import { multiscaleTransport } from './multiscale.js';
import {
  alignmentRatio,
  barycentricMap,
  elementMatch,
  elementPlan,
  identityMass,
  placesOf,
  type BarycentricMap,
  type ElementPlan,
  type PlanSide,
} from './planFigures.js';
import type { PricedPlan, SparsePlan } from './sparsePlan.js';
import { debiased, sinkhorn } from './sinkhorn.js';

/** Above so many costs their mean is that of some rows of either side. */
const MOST_AVERAGED = 2 ** 28;
const ROWS_AVERAGED = 2 ** 12;

/** Options of `solvePair`. */
export interface SolvePairOptions {
  design: TransportDesign;
  /** Atomic numbers of the rows of x [n] and y [m]. */
  sourceElements: Int32Array;
  sinkElements: Int32Array;
  /** Default `exact`. */
  solver?: TransportSolver;
  /** Entropic solvers: epsilon as a share of the median cost. Default 0.05. */
  epsilon?: number;
  /** `unbalanced`: the price of mass that is created or destroyed, as a share of the median cost. Default 1. */
  marginal?: number;
  /** `sinkhorn`: the debiased cost as well. */
  debias?: boolean;
  /** Iterations of entropic solvers at most. */
  maxIterations?: number;
  /** Entropic plans are dense: arcs with less than this share of a row's weight are left out of `plan`, their mass counted. Default 1e-2. */
  keepShare?: number;
  /** Whether the image of the sources is wanted. */
  barycentric?: boolean;
}

/** One draw of one pair. `null` where a figure has no meaning. Plain data: it crosses threads as it is. */
export interface SolvedPair {
  plan: SparsePlan & { cost: Float64Array };
  elements: ElementPlan;
  /** The image of the sources under the whole plan, and its distance from each of them [n]; null unless asked for. */
  barycentric: (BarycentricMap & { residual: Float64Array }) | null;
  summary: PlanSummary;
}

/** Figures of a plan; those about identity and elements are of the whole plan, arcs that `plan` lacks included. */
export interface PlanSummary {
  solver: TransportSolver | 'gromov';
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
  /** Mass that moves from an atom to itself, and what chance would give; null for disjoint samples. */
  identity_mass: number | null;
  identity_chance: number | null;
  element_match_mass: number;
  element_match_chance: number;
  /** Total mass: 1 unless the plan is unbalanced. */
  mass: number;
  /** Mass on arcs that were left out of `plan`. */
  dropped_mass: number;
  marginal_residual: number;
  iterations: number;
  converged: boolean;
  /** Entropic: epsilon in units of cost, <P, C> + epsilon KL(P | ab') (and the price of marginals), and the Sinkhorn divergence. */
  epsilon: number | null;
  regularised_cost: number | null;
  divergence: number | null;
}

/** What every solver gives, arcs that carry little included. */
interface Solved extends PricedPlan {
  cost: number;
  dual: number | null;
  gap: number | null;
  total: number;
  marginalResidual: number;
  iterations: number;
  converged: boolean;
  epsilon: number | null;
  regularisedCost: number | null;
  divergence: number | null;
}

/**
 * Optimal transport of the rows of x [n, p] to those of y [m, p] under uniform weights and Euclidean cost, with all published figures.
 * @throws RangeError on empty or non-finite input, unequal columns, a `same` design with unequal rows
 */
export async function solvePair(x: Matrix, y: Matrix, options: SolvePairOptions): Promise<SolvedPair> {
  const { design, solver = 'exact', keepShare = 1e-2 } = options;
  checkFinite(x, 'x');
  checkFinite(y, 'y');
  if (x.rows === 0 || y.rows === 0)
    throw new RangeError(`latent/transport: ${x.rows} sources and ${y.rows} sinks; both sides need at least one point`);
  if (design === 'same' && x.rows !== y.rows)
    throw new RangeError(
      `latent/transport: design 'same' pairs row i with row i; x has ${x.rows} rows and y ${y.rows}`,
    );
  const cost = new LazyCost(x, y);
  const solved = await solveBy(solver, cost, options);
  let paired: number | null = null;
  if (design === 'same') {
    paired = 0;
    for (let i = 0; i < x.rows; i++) paired += Math.sqrt(squaredDistance(x, i, y, i)) / x.rows;
  }
  const entropic = solved.epsilon !== null;
  const { plan, dropped } = pruned(solved, entropic ? keepShare / x.rows : 0);
  const sides = sidesOf(x, y, options);
  const elements = elementPlan(solved, ...sides);
  return {
    plan,
    elements,
    barycentric: options.barycentric ? imageOf(solved, x, y, sides[0].places) : null,
    summary: {
      solver,
      cost: solved.cost,
      dual: solved.dual,
      gap: solved.gap,
      ...figuresOf(solved, elements, sides, paired, await cost.mean()),
      mass: solved.total,
      dropped_mass: dropped,
      marginal_residual: solved.marginalResidual,
      iterations: solved.iterations,
      converged: solved.converged,
      epsilon: solved.epsilon,
      regularised_cost: solved.regularisedCost,
      divergence: solved.divergence,
    },
  };
}

/**
 * Entropic Gromov-Wasserstein between the rows of x [n, p] and y [m, q], with the same figures: costs are squared differences of
 * distances, those of each space in units of their mean.
 */
export async function gromovPair(x: Matrix, y: Matrix, options: SolvePairOptions): Promise<SolvedPair> {
  const { design, epsilon = 0.05, keepShare = 1e-2, maxIterations = 200 } = options;
  checkFinite(x, 'x');
  checkFinite(y, 'y');
  const [d, e] = [await relativeDistances(x), await relativeDistances(y)];
  const solved = await entropicGromov(d, e, { epsilon, maxIterations, tolerance: 1e-6, marginalTolerance: 1e-6 });
  const [n, m] = [x.rows, y.rows];
  const whole: PricedPlan = {
    n,
    m,
    source: Int32Array.from({ length: n * m }, (_, arc) => Math.floor(arc / m)),
    sink: Int32Array.from({ length: n * m }, (_, arc) => arc % m),
    mass: solved.plan.data,
    arcCost: new Float64Array(n * m),
  };
  const { plan, dropped } = pruned(whole, keepShare / n);
  const paired = design === 'same' ? solved.pairedLoss : null;
  const sides = sidesOf(x, y, options);
  const elements = elementPlan(whole, ...sides);
  return {
    plan,
    elements,
    barycentric: null, // the two spaces have nothing in common to measure the image by
    summary: {
      solver: 'gromov',
      cost: solved.loss,
      dual: null,
      gap: null,
      ...figuresOf({ ...whole, cost: solved.loss }, elements, sides, paired, solved.independentLoss),
      mass: 1,
      dropped_mass: dropped,
      marginal_residual: solved.marginalResidual,
      iterations: solved.iterations,
      converged: solved.converged,
      epsilon,
      regularised_cost: null,
      divergence: null,
    },
  };
}

/** Costs of a pair of clouds, computed when they are first asked for. */
class LazyCost {
  private source?: Promise<CostSource>;

  constructor(
    readonly x: Matrix,
    readonly y: Matrix,
  ) {}

  get(): Promise<CostSource> {
    return (this.source ??= euclideanCost(this.x, this.y));
  }

  /** Mean of all costs; above 2^28 of them that of 2^12 rows spread evenly over either side. */
  async mean(): Promise<number> {
    const { x, y } = this;
    if (x.rows * y.rows <= MOST_AVERAGED) return meanCost(await this.get());
    const spread = ({ rows }: Matrix) =>
      Int32Array.from({ length: Math.min(rows, ROWS_AVERAGED) }, (_, k) =>
        Math.floor((k * rows) / Math.min(rows, ROWS_AVERAGED)),
      );
    return meanCost(await euclideanCost(takeRows(x, spread(x)), takeRows(y, spread(y))));
  }
}

async function solveBy(solver: TransportSolver, cost: LazyCost, options: SolvePairOptions): Promise<Solved> {
  const { x, y } = cost;
  const exact = { converged: true, epsilon: null, regularisedCost: null, divergence: null, total: 1 };
  if (solver === 'exact') return { ...(await exactTransport(await cost.get())), ...exact };
  if (solver === 'multiscale') return { ...(await multiscaleTransport(x, y)), ...exact };
  const { epsilon = 0.05, marginal = 1, maxIterations, debias } = options;
  const entropic = { epsilon, maxIterations, keepShare: 0 };
  const between = await cost.get();
  if (solver === 'unbalanced') return { ...(await sinkhorn(between, { ...entropic, marginal })), divergence: null };
  const plan = await sinkhorn(between, entropic);
  if (!debias) return { ...plan, divergence: null };
  const within = [await euclideanCost(x, x), await euclideanCost(y, y)] as const;
  const { divergence, converged } = await debiased(plan, ...within, entropic);
  return { ...plan, divergence, converged: plan.converged && converged };
}

/** What is known of the rows of both clouds. */
function sidesOf(x: Matrix, y: Matrix, { sourceElements, sinkElements }: SolvePairOptions) {
  const source = { elements: sourceElements, places: placesOf(x) };
  const sink = { elements: sinkElements, places: placesOf(y) };
  return [source, sink] as const;
}

/** Figures that a plan's arcs give. */
function figuresOf(
  plan: SparsePlan & { cost: number },
  elements: ElementPlan,
  [source, sink]: readonly [PlanSide, PlanSide],
  paired: number | null,
  random: number,
) {
  const { n, m } = plan;
  const match = elementMatch(elements, source, sink);
  return {
    n,
    m,
    paired_cost: paired,
    random_cost: random,
    alignment_ratio: paired === null ? null : alignmentRatio(paired, plan.cost, random),
    identity_mass: paired === null ? null : identityMass(plan, source.places, sink.places),
    identity_chance: paired === null ? null : 1 / n,
    element_match_mass: match.mass,
    element_match_chance: match.chance,
  };
}

/** The image of the rows of x, with its distance from each. */
function imageOf(plan: SparsePlan, x: Matrix, y: Matrix, places: Int32Array) {
  const image = barycentricMap(plan, y, places);
  const residual = Float64Array.from({ length: x.rows }, (_, row) =>
    Math.sqrt(squaredDistance(x, row, image.map, row)),
  );
  return { ...image, residual };
}

/** A plan without the arcs that carry less than `least`, and the mass of those. */
function pruned({ n, m, source, sink, mass, arcCost }: PricedPlan, least: number) {
  const kept = Uint32Array.from(mass.keys()).filter((arc) => mass[arc] >= least);
  const plan = {
    n,
    m,
    source: Int32Array.from(kept, (arc) => source[arc]),
    sink: Int32Array.from(kept, (arc) => sink[arc]),
    mass: Float64Array.from(kept, (arc) => mass[arc]),
    cost: Float64Array.from(kept, (arc) => arcCost[arc]),
  };
  const dropped = mass.reduce((sum, moved) => sum + (moved >= least ? 0 : moved), 0);
  return { plan, dropped };
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
