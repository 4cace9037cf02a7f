import type { CostSource } from './cost.js';
import { normalisedWeights } from './masses.js';
import { median } from './median.js';

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
}

/** An entropic plan. Costs, potentials and residual are those of the whole plan; `source`, `sink`, `mass` lack `droppedMass`. */
export interface EntropicPlan {
  n: number;
  m: number;
  source: Int32Array;
  sink: Int32Array;
  mass: Float64Array;
  /** Cost of each arc. */
  arcCost: Float64Array;
  /** <P, C>, the linear cost. */
  cost: number;
  /** <P, C> + epsilon KL(P | a b'), what the plan minimises. */
  regularisedCost: number;
  /** Lower bound on the cost of any plan: value of the potentials once lowered to f_i + g_j <= C_ij. */
  dual: number;
  /** cost - dual. */
  gap: number;
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
/** Scalings beyond e^±200 go into the potentials, long before float64 overflows at e^709. */
const LARGEST_SCALING = Math.exp(200);

/**
 * Entropic optimal transport in float64: Sinkhorn's iteration on a stabilised kernel (Schmitzer 2019) with epsilon scaling. The kernel
 * K_ij = exp((f_i + g_j - C_ij) / epsilon) is rebuilt only when the scalings grow large or collapse; an iteration is one pass over it, which scales a
 * row and adds it to the column sums while it is in cache. Holds one kernel [n, m] in memory beside the costs.
 * @throws RangeError when epsilon is not positive or a weight not above 0
 */
export async function sinkhorn(cost: CostSource, options: SinkhornOptions): Promise<EntropicPlan> {
  const { n, m } = cost;
  const { tolerance = 1e-9, maxIterations = 10_000, keepShare = 1e-3 } = options;
  if (!(options.epsilon > 0 && options.epsilon < Infinity))
    throw new RangeError(`latent/transport: epsilon is ${options.epsilon}; it must be above 0`);
  const a = normalisedWeights(options.sourceWeights, n, 'source');
  const b = normalisedWeights(options.sinkWeights, m, 'sink');
  for (const weights of [a, b])
    if (weights.includes(0))
      throw new RangeError('latent/transport: an entropic plan needs weights above 0; leave the other points out');
  const scale = await median(cost);
  const unit = options.epsilonUnit === 'cost' ? 1 : scale;
  if (unit === 0) throw new RangeError('latent/transport: the median cost is 0; give epsilon in units of cost');
  const epsilon = options.epsilon * unit;

  const state = new Scaling(cost, a, b);
  let error = Infinity;
  for (let stage = Math.max(epsilon, scale); ; stage = Math.max(epsilon, stage / SCALING)) {
    const last = stage === epsilon;
    await state.rebuild(stage);
    const [goal, limit] = last ? [tolerance, maxIterations] : [STAGE_TOLERANCE, state.iterations + STAGE_ITERATIONS];
    for (error = Infinity; error > goal && state.iterations < Math.min(limit, maxIterations);) {
      error = state.iterate();
      if (state.unstable()) await state.rebuild(stage);
    }
    if (last) break;
  }
  await state.rebuild(epsilon); // so that the kernel is the plan itself, up to one more exact scaling of columns
  return state.result(epsilon, error <= tolerance, keepShare);
}

/**
 * Debiased entropic cost (Feydy et al. 2019): W(x, y) - (W(x, x) + W(y, y)) / 2 of the regularised costs at one epsilon. 0 for equal clouds.
 * @param epsilon in units of the median cost between x and y
 */
export async function sinkhornDivergence(
  xy: CostSource,
  xx: CostSource,
  yy: CostSource,
  options: SinkhornOptions,
): Promise<{ divergence: number; epsilon: number; converged: boolean }> {
  const { sourceWeights, sinkWeights } = options;
  const between = await sinkhorn(xy, options);
  const same: SinkhornOptions = { ...options, epsilon: between.epsilon, epsilonUnit: 'cost' };
  const source = await sinkhorn(xx, { ...same, sinkWeights: sourceWeights });
  const target = await sinkhorn(yy, { ...same, sourceWeights: sinkWeights });
  return {
    divergence: between.regularisedCost - (source.regularisedCost + target.regularisedCost) / 2,
    epsilon: between.epsilon,
    converged: between.converged && source.converged && target.converged,
  };
}

/** Potentials, kernel and scalings of one iteration. The plan is diag(u) K diag(v), with K built from the potentials f and g. */
class Scaling {
  iterations = 0;
  private readonly f: Float64Array;
  private readonly g: Float64Array;
  private readonly u: Float64Array;
  private readonly v: Float64Array;
  private readonly kernel: Float64Array;
  private readonly columnSums: Float64Array;
  private epsilon = 1;
  private rebuilt = true;

  constructor(
    private readonly cost: CostSource,
    private readonly a: Float64Array,
    private readonly b: Float64Array,
  ) {
    const { n, m } = cost;
    this.f = new Float64Array(n);
    this.g = new Float64Array(m);
    this.u = new Float64Array(n).fill(1);
    this.v = new Float64Array(m).fill(1);
    this.kernel = new Float64Array(n * m);
    this.columnSums = new Float64Array(m);
  }

  /**
   * Takes the scalings into the potentials and builds the kernel for `epsilon`. Rows are normalised by a full log-sum-exp step, so that no row can
   * vanish whatever the potentials were.
   */
  async rebuild(epsilon: number): Promise<void> {
    const { f, g, u, v, a, b, kernel } = this;
    const { m } = this.cost;
    for (let j = 0; j < m; j++) g[j] += this.epsilon * Math.log(v[j]);
    u.fill(1);
    v.fill(1);
    this.epsilon = epsilon;
    this.rebuilt = true;
    await this.cost.scan((i, values, offset) => {
      let lowest = Infinity;
      for (let j = 0; j < m; j++) {
        const value = values[offset + j] - g[j];
        if (value < lowest) lowest = value;
      }
      let sum = 0;
      const row = i * m;
      for (let j = 0; j < m; j++) {
        const value = b[j] * Math.exp((lowest + g[j] - values[offset + j]) / epsilon);
        kernel[row + j] = value;
        sum += value;
      }
      f[i] = lowest - epsilon * Math.log(sum);
      const normal = a[i] / sum;
      for (let j = 0; j < m; j++) kernel[row + j] *= normal;
    });
  }

  /** Scales rows, then columns. Returns the L1 error of the row sums before; Infinity after a rebuild, which leaves exact rows and stale columns. */
  iterate(): number {
    const { u, v, a, b, kernel, columnSums } = this;
    const { n, m } = this.cost;
    columnSums.fill(0);
    let error = 0;
    for (let i = 0; i < n; i++) {
      const row = i * m;
      // Four partial sums: one would wait for its own last addition.
      let [s0, s1, s2, s3] = [0, 0, 0, 0];
      let j = 0;
      for (; j + 3 < m; j += 4) {
        s0 += kernel[row + j] * v[j];
        s1 += kernel[row + j + 1] * v[j + 1];
        s2 += kernel[row + j + 2] * v[j + 2];
        s3 += kernel[row + j + 3] * v[j + 3];
      }
      for (; j < m; j++) s0 += kernel[row + j] * v[j];
      const sum = s0 + s1 + (s2 + s3);
      error += Math.abs(u[i] * sum - a[i]);
      const scaling = (u[i] = a[i] / sum);
      for (j = 0; j < m; j++) columnSums[j] += scaling * kernel[row + j];
    }
    for (let j = 0; j < m; j++) v[j] = b[j] / columnSums[j];
    this.iterations++;
    if (this.rebuilt) error = Infinity;
    this.rebuilt = false;
    return error;
  }

  /** Whether a scaling has left the range in which products of scalings and kernel are safe; infinite ones are pulled back first. */
  unstable(): boolean {
    const { u, v } = this;
    let unstable = false;
    for (let j = 0; j < v.length; j++) {
      if (v[j] < LARGEST_SCALING && v[j] > 1 / LARGEST_SCALING) continue;
      unstable = true;
      v[j] = v[j] > 1 ? LARGEST_SCALING : 1 / LARGEST_SCALING;
    }
    return unstable || u.some((value) => !(value < LARGEST_SCALING && value > 1 / LARGEST_SCALING));
  }

  /** The plan after one more scaling of the columns, its figures and its sparse form. */
  async result(epsilon: number, converged: boolean, keepShare: number): Promise<EntropicPlan> {
    const { f, g, a, b, kernel, columnSums } = this;
    const { n, m } = this.cost;
    columnSums.fill(0);
    for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) columnSums[j] += kernel[i * m + j];
    const scaling = columnSums.map((sum, j) => b[j] / sum);
    for (let j = 0; j < m; j++) g[j] += epsilon * Math.log(scaling[j]);

    let [cost, dual, divergence, kept, marginalResidual] = [0, 0, 0, 0, 0];
    const arcs: { source: number[]; sink: number[]; mass: number[]; arcCost: number[] } = {
      source: [],
      sink: [],
      mass: [],
      arcCost: [],
    };
    const sums = new Float64Array(m);
    await this.cost.scan((i, values, offset) => {
      let sum = 0;
      let slack = Infinity;
      for (let j = 0; j < m; j++) {
        const c = values[offset + j];
        const mass = kernel[i * m + j] * scaling[j];
        cost += mass * c;
        divergence += mass * (f[i] + g[j] - c); // epsilon log(P / ab')
        sum += mass;
        sums[j] += mass;
        slack = Math.min(slack, c - g[j]);
        if (mass < keepShare * a[i]) continue;
        kept += mass;
        arcs.source.push(i);
        arcs.sink.push(j);
        arcs.mass.push(mass);
        arcs.arcCost.push(c);
      }
      dual += a[i] * slack;
      marginalResidual = Math.max(marginalResidual, Math.abs(sum - a[i]));
    });
    let total = 0;
    for (let j = 0; j < m; j++) {
      dual += b[j] * g[j];
      total += sums[j];
      marginalResidual = Math.max(marginalResidual, Math.abs(sums[j] - b[j]));
    }
    return {
      n,
      m,
      source: Int32Array.from(arcs.source),
      sink: Int32Array.from(arcs.sink),
      mass: Float64Array.from(arcs.mass),
      arcCost: Float64Array.from(arcs.arcCost),
      cost,
      regularisedCost: cost + divergence,
      dual,
      gap: cost - dual,
      f,
      g,
      epsilon,
      converged,
      iterations: this.iterations,
      marginalResidual,
      droppedMass: Math.max(0, total - kept),
    };
  }
}
