import type { CostSource } from './cost.js';
import { normalisedWeights } from './masses.js';
import { medianCost } from './medianCost.js';
import { Relaxation } from './relaxation.js';
import { Scaling } from './scaling.js';
import type { PricedPlan } from './sparsePlan.js';

/** Options of `sinkhorn`. */
export interface SinkhornOptions {
  /** Strength of the regularisation, in units of the median cost. */
  epsilon: number;
  /** `cost`: `epsilon` is in the units of the costs themselves. */
  epsilonUnit?: 'median' | 'cost';
  /** Stops when the row sums differ from the weights by less than this in all (column sums are exact). Default 1e-9. */
  tolerance?: number;
  /** Iterations in all, epsilon scaling included. Default 10,000. */
  maxIterations?: number;
  /** Arcs with less than this share of their row's mass are left out of the plan. Default 1e-3. */
  keepShare?: number;
  /** Weights of the sources [n] and sinks [m], > 0; uniform by default. */
  sourceWeights?: Float64Array;
  sinkWeights?: Float64Array;
  /**
   * Unbalanced transport (Chizat et al. 2018): price of mass that is created or destroyed, lambda (KL(P1 | a) + KL(P'1 | b)), in the unit of epsilon.
   * Infinity, the default, keeps the marginals exact.
   */
  marginal?: number;
  /** Potentials of the sinks to start from [m], e.g. of a similar problem; epsilon scaling is then left out. */
  start?: Float64Array;
}

/** An entropic plan. Costs, potentials and residual are those of the whole plan; `source`, `sink`, `mass` lack `droppedMass`. */
export interface EntropicPlan extends PricedPlan {
  /** <P, C>, the linear cost. */
  cost: number;
  /** <P, C> + epsilon KL(P | a b') and the price of marginals that are not exact: what the plan minimises. */
  regularisedCost: number;
  /** Total mass of the plan, dropped arcs included: 1 unless marginals may be left. */
  total: number;
  /** Lower bound on the cost of any plan with exact marginals: value of the potentials once lowered to f_i + g_j <= C_ij. Null when unbalanced. */
  dual: number | null;
  /** cost - dual. */
  gap: number | null;
  /** Potentials: P_ij = a_i b_j exp((f_i + g_j - C_ij) / epsilon). */
  f: Float64Array;
  g: Float64Array;
  /** In units of cost. */
  epsilon: number;
  /** False when `maxIterations` ran out first. */
  converged: boolean;
  iterations: number;
  /** Largest difference between a row or column sum of the whole plan and its weight. */
  marginalResidual: number;
  droppedMass: number;
}

/** Each stage of epsilon scaling divides epsilon by this, from the median cost down. */
const SCALING = 4;
/** A stage before the last is left at this error, or after so many iterations: it only has to bring the potentials near. */
const STAGE_TOLERANCE = 1e-2;
const STAGE_ITERATIONS = 50;
/**
 * Entropic optimal transport in float64, balanced or unbalanced: Sinkhorn's iteration on a stabilised kernel (see `Scaling`) with epsilon scaling, over-relaxed
 * in its last stage where marginals are exact (see `Relaxation`). The kernel is rebuilt only when the scalings grow large or collapse; an iteration is one pass over
 * it, which scales a row and adds it to the column sums while it is in cache. Holds one kernel [n, m] in memory beside the costs, 4 GiB at most.
 * @throws RangeError when epsilon or the price of marginals is not positive or a weight not above 0, or the kernel is too large
 */
export async function sinkhorn(cost: CostSource, options: SinkhornOptions): Promise<EntropicPlan> {
  const { tolerance = 1e-9, maxIterations = 10_000, keepShare = 1e-3, marginal = Infinity } = options;
  for (const [name, value] of Object.entries({ epsilon: options.epsilon, marginal }))
    if (!(value > 0) || options.epsilon === Infinity)
      throw new RangeError(`latent/transport: ${name} is ${value}; it must be above 0`);
  const a = normalisedWeights(options.sourceWeights, cost.n, 'source');
  const b = normalisedWeights(options.sinkWeights, cost.m, 'sink');
  for (const weights of [a, b])
    if (weights.includes(0))
      throw new RangeError('latent/transport: an entropic plan needs weights above 0; leave the other points out');
  const inCosts = options.epsilonUnit === 'cost';
  const scale = inCosts && options.start ? 0 : await medianCost(cost);
  if (!inCosts && !(scale > 0))
    throw new RangeError(`latent/transport: the median cost is ${scale}; give epsilon in units of cost`);
  const unit = inCosts ? 1 : scale;
  const epsilon = options.epsilon * unit;

  const state = new Scaling(cost, a, b, marginal * unit, options.start);
  let error = Infinity;
  const stages = options.start ? 0 : Math.max(0, Math.floor(Math.log(scale / epsilon) / Math.log(SCALING)));
  for (let left = stages; left >= 0; left--) {
    const stage = epsilon * SCALING ** left;
    if (left === stages || marginal < Infinity) await state.rebuild(stage);
    else state.sharpen(SCALING);
    const [goal, limit] =
      left === 0 ? [tolerance, maxIterations] : [STAGE_TOLERANCE, state.iterations + STAGE_ITERATIONS];
    const relaxation = new Relaxation();
    for (error = Infinity; error > goal && state.iterations < Math.min(limit, maxIterations);) {
      error = state.iterate(relaxation.power);
      if (left === 0 && marginal === Infinity) relaxation.note(error);
      if (state.unstable()) await state.rebuild(stage);
    }
  }
  const { f, g, iterations } = state;
  await state.finish();
  const figures = await figuresOf(cost, state, { a, b, epsilon, marginal: marginal * unit, keepShare });
  return { n: cost.n, m: cost.m, ...figures, f, g, epsilon, converged: error <= tolerance, iterations };
}

/** Figures of a finished plan and its sparse form, in one pass over the costs. */
async function figuresOf(
  cost: CostSource,
  { f, g, kernel, width }: Scaling,
  problem: { a: Float64Array; b: Float64Array; epsilon: number; marginal: number; keepShare: number },
) {
  const { n, m } = cost;
  const { a, b, epsilon, marginal, keepShare } = problem;
  let count = 0;
  for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) if (kernel[i * width + j] >= keepShare * a[i]) count++;
  const source = new Int32Array(count);
  const sink = new Int32Array(count);
  const mass = new Float64Array(count);
  const arcCost = new Float64Array(count);
  const rows = new Float64Array(n);
  const columns = new Float64Array(m);
  let [linear, tilt, kept, dual, arc] = [0, 0, 0, 0, 0];
  await cost.scan((i, values, offset) => {
    let slack = Infinity;
    for (let j = 0; j < m; j++) {
      const c = values[offset + j];
      const moved = kernel[i * width + j];
      linear += moved * c;
      tilt += moved * (f[i] + g[j] - c); // epsilon log(P / ab')
      rows[i] += moved;
      columns[j] += moved;
      slack = Math.min(slack, c - g[j]);
      if (moved < keepShare * a[i]) continue;
      kept += moved;
      source[arc] = i;
      sink[arc] = j;
      mass[arc] = moved;
      arcCost[arc++] = c;
    }
    dual += a[i] * slack;
  });
  for (let j = 0; j < m; j++) dual += b[j] * g[j];
  const total = rows.reduce((sum, moved) => sum + moved, 0);
  const balanced = marginal === Infinity;
  const price = balanced ? 0 : marginal * (divergence(rows, a) + divergence(columns, b)) + epsilon * (1 - total);
  let marginalResidual = 0;
  rows.forEach((sum, i) => (marginalResidual = Math.max(marginalResidual, Math.abs(sum - a[i]))));
  columns.forEach((sum, j) => (marginalResidual = Math.max(marginalResidual, Math.abs(sum - b[j]))));
  return {
    source,
    sink,
    mass,
    arcCost,
    cost: linear,
    regularisedCost: linear + tilt + price,
    total,
    dual: balanced ? dual : null,
    gap: balanced ? linear - dual : null,
    marginalResidual,
    droppedMass: Math.max(0, total - kept),
  };
}

/** KL(p | q) = sum p log(p / q) - p + q for q > 0. */
function divergence(p: Float64Array, q: Float64Array): number {
  return p.reduce((sum, value, i) => sum + (value > 0 ? value * Math.log(value / q[i]) : 0) - value + q[i], 0);
}

/**
 * The Sinkhorn divergence (Feydy et al. 2019), the debiased cost of a plan between x and y: W(x, y) - (W(x, x) + W(y, y)) / 2 of the regularised costs
 * at one epsilon. 0 for equal clouds.
 * @param options those of the plan
 */
export async function debiased(
  between: EntropicPlan,
  xx: CostSource,
  yy: CostSource,
  options: SinkhornOptions,
): Promise<{ divergence: number; converged: boolean }> {
  const { sourceWeights, sinkWeights } = options;
  const same: SinkhornOptions = { ...options, epsilon: between.epsilon, epsilonUnit: 'cost', keepShare: Infinity };
  const source = await sinkhorn(xx, { ...same, sinkWeights: sourceWeights });
  const target = await sinkhorn(yy, { ...same, sourceWeights: sinkWeights });
  return {
    divergence: between.regularisedCost - (source.regularisedCost + target.regularisedCost) / 2,
    converged: source.converged && target.converged,
  };
}
