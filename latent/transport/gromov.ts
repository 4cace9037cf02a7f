import { matrix, type Matrix } from '../base/matrix.js';
import { crossProduct } from '../kernels/products.js';
import { DenseCost, euclideanCost } from './cost.js';
import { sinkhorn, type EntropicPlan } from './sinkhorn.js';

/** Options of `entropicGromov`. */
export interface GromovOptions {
  /** Strength of the regularisation, in units of squared distances. */
  epsilon: number;
  /** Stops when the plan changes by less than this (Frobenius norm) in one step. Default 1e-9. */
  tolerance?: number;
  /** Projected-gradient steps at most. Default 1,000. */
  maxIterations?: number;
  /** Error of the row sums at which each Sinkhorn solve is left. Default 1e-9. */
  marginalTolerance?: number;
}

/** A plan between two spaces that share no axes. */
export interface GromovPlan {
  /** [n, m] */
  plan: Matrix<Float64Array>;
  /** sum_ijkl |D_ik - E_jl|² P_ij P_kl */
  loss: number;
  /** The same for the independent coupling. */
  independentLoss: number;
  /** For n = m, the same for the plan that pairs row i with row i. */
  pairedLoss: number | null;
  /** Largest difference between a row or column sum of the plan and its weight. */
  marginalResidual: number;
  iterations: number;
  /** False when `maxIterations` ran out first, or the last Sinkhorn solve did not converge. */
  converged: boolean;
}

/**
 * Entropic Gromov-Wasserstein transport with squared loss and uniform weights (Peyré, Cuturi and Solomon 2016) by projected gradient steps, each a Sinkhorn
 * solve that starts from the potentials of the one before, from the independent coupling. A local minimum: the problem is not convex.
 * O(n²m + nm²) a step; memory for four matrices.
 * @param d distances within the source [n, n], e those within the target [m, m]; symmetric
 * @throws RangeError when epsilon is not positive
 */
export async function entropicGromov(
  d: Matrix<Float64Array>,
  e: Matrix<Float64Array>,
  options: GromovOptions,
): Promise<GromovPlan> {
  const { tolerance = 1e-9, maxIterations = 1_000 } = options;
  const [n, m] = [d.rows, e.rows];
  const [fromD, fromE] = [meanSquares(d), meanSquares(e)];
  /** C - 2 D P E with C_ij = sum_k D_ik² a_k + sum_l E_jl² b_l: half the gradient at P. */
  const linearised = async (plan: Matrix<Float64Array>): Promise<Float64Array> => {
    const planned = matrix(await crossProduct(plan, d), m, n); // (D P)ᵀ
    const values = await crossProduct(planned, e);
    for (let i = 0, at = 0; i < n; i++)
      for (let j = 0; j < m; j++, at++) values[at] = fromD[i] + fromE[j] - 2 * values[at];
    return values;
  };
  let plan: Matrix<Float64Array> = matrix(new Float64Array(n * m).fill(1 / (n * m)), n, m);
  let half = await linearised(plan);
  const independentLoss = inner(half, plan.data);
  let last: EntropicPlan | undefined;
  let change = Infinity;
  let iterations = 0;
  while (change > tolerance && iterations < maxIterations) {
    last = await sinkhorn(
      new DenseCost(
        half.map((value) => 2 * value),
        n,
        m,
      ),
      {
        epsilon: options.epsilon,
        epsilonUnit: 'cost',
        tolerance: options.marginalTolerance ?? 1e-9,
        keepShare: Infinity,
        start: last?.g,
      },
    );
    const next = densePlan(half, last);
    change = Math.sqrt(next.reduce((sum, mass, at) => sum + (mass - plan.data[at]) ** 2, 0));
    plan = matrix(next, n, m);
    half = await linearised(plan);
    iterations++;
  }
  if (!last) throw new RangeError(`latent/transport: ${maxIterations} iterations of Gromov-Wasserstein make no plan`);
  let pairedLoss: number | null = null;
  if (n === m) {
    pairedLoss = 0;
    for (let at = 0; at < d.data.length; at++) pairedLoss += (d.data[at] - e.data[at]) ** 2 / n / n;
  }
  return {
    plan,
    loss: inner(half, plan.data),
    independentLoss,
    pairedLoss,
    marginalResidual: last.marginalResidual,
    iterations,
    converged: change <= tolerance && last.converged,
  };
}

/** Distances between all rows of x in units of their mean: [n, n], so that spaces of other scales compare. All 0 where all rows are equal. */
export async function relativeDistances(x: Matrix): Promise<Matrix<Float64Array>> {
  const n = x.rows;
  const values = new Float64Array(n * n);
  const cost = await euclideanCost(x, x);
  await cost.scan((i, row, offset) => values.set(row.subarray(offset, offset + n), i * n));
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      const value = mean === 0 ? 0 : (values[i * n + j] + values[j * n + i]) / 2 / mean; // symmetric to the last bit
      values[i * n + j] = values[j * n + i] = i === j ? 0 : value;
    }
  return matrix(values, n, n);
}

function densePlan(half: Float64Array, { n, m, f, g, epsilon }: EntropicPlan): Float64Array {
  const plan = new Float64Array(n * m);
  for (let i = 0, at = 0; i < n; i++)
    for (let j = 0; j < m; j++, at++) plan[at] = Math.exp((f[i] + g[j] - 2 * half[at]) / epsilon) / (n * m);
  return plan;
}

/** Mean of the squares of every row. */
function meanSquares(x: Matrix<Float64Array>): Float64Array {
  const means = new Float64Array(x.rows);
  for (let i = 0, at = 0; i < x.rows; i++)
    for (let j = 0; j < x.columns; j++, at++) means[i] += x.data[at] ** 2 / x.columns;
  return means;
}

function inner(x: Float64Array, y: Float64Array): number {
  return x.reduce((sum, value, at) => sum + value * y[at], 0);
}
