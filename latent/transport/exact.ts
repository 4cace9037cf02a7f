import type { CostSource } from './cost.js';
import { NetworkSimplex, type InitialPlan } from './networkSimplex.js';
import { greedyPlan, shortlist } from './shortlist.js';
import { integerMasses } from './masses.js';
import type { PricedPlan } from './sparsePlan.js';

/**
 * An optimal plan with its certificate. Masses sum to 1; at most n + m - 1 arcs carry any, and for n = m and uniform weights they are a
 * permutation.
 */
export interface ExactPlan extends PricedPlan {
  /** Total cost of the plan. */
  cost: number;
  /** Dual potentials [n] and [m]: f_i + g_j <= C_ij everywhere. */
  f: Float64Array;
  g: Float64Array;
  /** Value of the potentials, a lower bound on the cost of any plan. */
  dual: number;
  /** cost - dual: no plan is cheaper by more than this. */
  gap: number;
  /** Largest difference between a row or column sum of the plan and its weight. */
  marginalResidual: number;
  /** Simplex pivots, coarse problems included. */
  iterations: number;
  /** Times that all costs were priced. */
  pricings: number;
}

/** Options of `exactTransport`. */
export interface ExactOptions {
  /** Weights of the sources [n]: >= 0, any positive sum; uniform by default. */
  sourceWeights?: Float64Array;
  /** Weights of the sinks [m]. */
  sinkWeights?: Float64Array;
}

/** Up to this many nodes on the larger side the shortlist comes from the costs alone. */
const COARSEST = 256;
/** A coarse problem takes every fourth source and sink. */
const COARSENING = 4;
/** Arcs on the shortlist: the cheapest by reduced cost for each source and each sink. */
const ARCS_PER_SOURCE = 12;
const ARCS_PER_SINK = 6;
/** Arcs that a pricing may add for each source. */
const ADDED_PER_SOURCE = 8;
/** Reduced costs above -1e-12 of the cost scale count as zero: potentials are sums of costs along tree paths and round at about 1e-14. */
const TOLERANCE = 1e-12;

/**
 * Exact optimal transport by a network simplex with column generation. Potentials from a coarse problem (every fourth source and sink,
 * recursively) give a shortlist of promising arcs; the simplex solves on those; then all arcs are priced by its potentials, those
 * with a negative reduced cost join, and so on until there is none. The last pricing is the certificate: it visits every cost.
 * Deterministic: the same costs give the same plan.
 * @throws RangeError when a weight is negative or not finite, or a side has no mass
 */
export async function exactTransport(cost: CostSource, options: ExactOptions = {}): Promise<ExactPlan> {
  const { n, m } = cost;
  if (n === 0 || m === 0)
    throw new RangeError(`latent/transport: ${n} sources and ${m} sinks; both sides need at least one point`);
  const masses = integerMasses(n, m, options.sourceWeights, options.sinkWeights);
  const rows = positive(masses.supply);
  const columns = positive(masses.demand);
  const reduced = rows.length < n || columns.length < m;
  const solved = await solve(
    reduced ? await cost.restrict(rows, columns) : cost,
    Float64Array.from(rows, (i) => masses.supply[i]),
    Float64Array.from(columns, (j) => masses.demand[j]),
  );
  const plan = solved.simplex.plan();
  const source = plan.source.map((at) => rows[at]);
  const sink = plan.sink.map((at) => columns[at]);
  const { f, g } = reduced ? await extended(cost, solved, rows, columns) : solved;

  const mass = plan.mass.map((units) => units / masses.total);
  const arcCost = Float64Array.from(source, (i, at) => cost.at(i, sink[at]));
  const left = masses.sourceWeights.slice();
  const right = masses.sinkWeights.slice();
  let total = 0;
  for (let at = 0; at < mass.length; at++) {
    total += mass[at] * arcCost[at];
    left[source[at]] -= mass[at];
    right[sink[at]] -= mass[at];
  }
  let dual = 0;
  for (let i = 0; i < n; i++) dual += masses.sourceWeights[i] * f[i];
  for (let j = 0; j < m; j++) dual += masses.sinkWeights[j] * g[j];
  let marginalResidual = 0;
  for (const rest of left) marginalResidual = Math.max(marginalResidual, Math.abs(rest));
  for (const rest of right) marginalResidual = Math.max(marginalResidual, Math.abs(rest));
  const { pivots: iterations, pricings } = solved;
  return {
    n,
    m,
    source,
    sink,
    mass,
    arcCost,
    cost: total,
    f,
    g,
    dual,
    gap: total - dual,
    marginalResidual,
    iterations,
    pricings,
  };
}

interface Solved {
  simplex: NetworkSimplex;
  f: Float64Array;
  g: Float64Array;
  pivots: number;
  pricings: number;
}

/** Solves with all masses positive integers. */
async function solve(cost: CostSource, supply: Float64Array, demand: Float64Array): Promise<Solved> {
  const { n, m } = cost;
  const coarse = await coarsePotentials(cost, supply, demand);
  const arcs = await shortlist(cost, coarse.g, ARCS_PER_SOURCE, ARCS_PER_SINK);
  const start: InitialPlan = greedyPlan(cost, arcs, coarse.g, supply, demand);
  const simplex = new NetworkSimplex(supply, demand, start, (i, j) => cost.at(i, j), 2 * arcs.length + n + m);
  let scale = 0;
  for (let at = 0; at < arcs.length; at++) {
    simplex.addArc(arcs.source[at], arcs.sink[at], arcs.cost[at]);
    scale = Math.max(scale, Math.abs(arcs.cost[at]));
  }
  for (let pricings = 1; ; pricings++) {
    simplex.solve(TOLERANCE * scale);
    const { f, g } = simplex.duals();
    let reach = 0; // potentials round in proportion to themselves
    for (const value of g) reach = Math.max(reach, Math.abs(value));
    const added = await price(cost, simplex, f, g, 2 * TOLERANCE * (scale + reach));
    if (added === 0) return { simplex, f, g, pivots: simplex.pivots + coarse.pivots, pricings };
  }
}

/** Adds for each source the arcs with the most negative reduced costs, lowers f to where the potentials are feasible, counts the arcs. */
async function price(
  cost: CostSource,
  simplex: NetworkSimplex,
  f: Float64Array,
  g: Float64Array,
  tolerance: number,
): Promise<number> {
  const { m } = cost;
  const best = new Float64Array(ADDED_PER_SOURCE);
  const bestSink = new Int32Array(ADDED_PER_SOURCE);
  let added = 0;
  await cost.scan((i, values, offset) => {
    let lowest = f[i];
    for (let j = 0; j < m; j++) {
      const value = values[offset + j] - g[j];
      if (value < lowest) lowest = value;
    }
    let enough = f[i] - tolerance;
    if (lowest < enough) {
      let kept = 0;
      for (let j = 0; j < m; j++) {
        const value = values[offset + j] - g[j];
        if (value >= enough) continue;
        let at = kept < ADDED_PER_SOURCE ? kept++ : ADDED_PER_SOURCE - 1;
        for (; at > 0 && best[at - 1] > value; at--) {
          best[at] = best[at - 1];
          bestSink[at] = bestSink[at - 1];
        }
        best[at] = value;
        bestSink[at] = j;
        if (kept === ADDED_PER_SOURCE) enough = best[kept - 1];
      }
      for (let at = 0; at < kept; at++) simplex.addArc(i, bestSink[at], values[offset + bestSink[at]]);
      added += kept;
    }
    f[i] = lowest;
  });
  return added;
}

/** Potentials of the sinks from every fourth source and sink; zero where the problem is small. */
async function coarsePotentials(
  cost: CostSource,
  supply: Float64Array,
  demand: Float64Array,
): Promise<{ g: Float64Array; pivots: number }> {
  const { n, m } = cost;
  const g = new Float64Array(m);
  if (Math.max(n, m) <= COARSEST || Math.min(n, m) < 2 * COARSENING) return { g, pivots: 0 };
  const rows = every(COARSENING, n);
  const columns = every(COARSENING, m);
  const masses = integerMasses(
    rows.length,
    columns.length,
    Float64Array.from(rows, (i) => supply[i]),
    Float64Array.from(columns, (j) => demand[j]),
  );
  const coarse = await solve(await cost.restrict(rows, columns), masses.supply, masses.demand);
  g.fill(Infinity);
  let row = 0;
  await cost.scan((_, values, offset) => {
    const potential = coarse.f[row++];
    for (let j = 0; j < m; j++) {
      const value = values[offset + j] - potential;
      if (value < g[j]) g[j] = value;
    }
  }, rows);
  return { g, pivots: coarse.pivots };
}

/** Feasible potentials of all points, those without mass included, from the potentials of those with. */
async function extended(
  cost: CostSource,
  solved: Solved,
  rows: Int32Array,
  columns: Int32Array,
): Promise<{ f: Float64Array; g: Float64Array }> {
  const g = new Float64Array(cost.m).fill(Infinity);
  let row = 0;
  await cost.scan((_, values, offset) => {
    const potential = solved.f[row++];
    for (let j = 0; j < cost.m; j++) g[j] = Math.min(g[j], values[offset + j] - potential);
  }, rows);
  columns.forEach((j, at) => (g[j] = solved.g[at]));
  const f = new Float64Array(cost.n).fill(Infinity);
  await cost.scan((i, values, offset) => {
    for (let j = 0; j < cost.m; j++) f[i] = Math.min(f[i], values[offset + j] - g[j]);
  });
  return { f, g };
}

function every(step: number, length: number): Int32Array {
  return Int32Array.from({ length: Math.ceil(length / step) }, (_, at) => at * step);
}

function positive(masses: Float64Array): Int32Array {
  return Int32Array.from(masses.keys()).filter((at) => masses[at] > 0);
}
