import type { CostSource } from './cost.js';

/** Scalings beyond e^±200 go into the potentials, long before float64 overflows at e^709. */
const LARGEST_SCALING = Math.exp(200);

/**
 * Potentials, kernel and scalings of Sinkhorn's iteration on a stabilised kernel (Schmitzer 2019). The plan is diag(u) K diag(v), with
 * K_ij = a_i b_j exp((f_i + g_j - C_ij) / epsilon) built from the potentials f and g. Where marginals may be left at a price lambda (KL; Chizat et al. 2018),
 * an update moves by the power tau = lambda / (lambda + epsilon) only; tau = 1 is the balanced problem.
 */
export class Scaling {
  iterations = 0;
  /** Potentials [n] and [m], without what the scalings hold. */
  readonly f: Float64Array;
  readonly g: Float64Array;
  /** [n, m] */
  readonly kernel: Float64Array;
  private readonly u: Float64Array;
  private readonly v: Float64Array;
  private readonly columnSums: Float64Array;
  private epsilon = 1;
  private rebuilt = true;

  /**
   * @param a weights of the sources [n], b of the sinks [m], all > 0
   * @param marginal lambda in units of cost; Infinity where marginals are exact
   * @param g potentials to start from [m]
   */
  constructor(
    private readonly cost: CostSource,
    private readonly a: Float64Array,
    private readonly b: Float64Array,
    private readonly marginal = Infinity,
    g?: Float64Array,
  ) {
    const { n, m } = cost;
    this.f = new Float64Array(n);
    this.g = g?.slice() ?? new Float64Array(m);
    this.u = new Float64Array(n).fill(1);
    this.v = new Float64Array(m).fill(1);
    this.kernel = new Float64Array(n * m);
    this.columnSums = new Float64Array(m);
  }

  private get tau(): number {
    return this.marginal === Infinity ? 1 : this.marginal / (this.marginal + this.epsilon);
  }

  /**
   * Takes the scalings into the potentials and builds the kernel for `epsilon`. Rows are updated by a full log-sum-exp step, so that no row can
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
    const { tau } = this;
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
      f[i] = tau * (lowest - epsilon * Math.log(sum));
      const normal = tau === 1 ? a[i] / sum : a[i] * Math.exp((f[i] - lowest) / epsilon);
      for (let j = 0; j < m; j++) kernel[row + j] *= normal;
    });
  }

  /**
   * Scales rows, then columns. Returns by how much the row sums change in all (L1), which for exact marginals is their error before;
   * Infinity after a rebuild, which leaves updated rows and stale columns.
   */
  iterate(): number {
    const { u, v, a, kernel, columnSums, f, epsilon, tau } = this;
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
      const scaling = updated(a[i], sum, tau, f[i] / epsilon);
      error += Math.abs(u[i] - scaling) * sum;
      u[i] = scaling;
      for (j = 0; j < m; j++) columnSums[j] += scaling * kernel[row + j];
    }
    this.scaleColumns();
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

  /** Makes the kernel the plan itself: rebuilds it and updates the columns once more. */
  async finish(): Promise<void> {
    const { g, v, kernel, columnSums, epsilon } = this;
    await this.rebuild(epsilon);
    const { n, m } = this.cost;
    columnSums.fill(0);
    for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) columnSums[j] += kernel[i * m + j];
    this.scaleColumns();
    for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) kernel[i * m + j] *= v[j];
    for (let j = 0; j < m; j++) g[j] += epsilon * Math.log(v[j]);
    v.fill(1);
  }

  /** Updates the columns from the sums over rows. */
  private scaleColumns(): void {
    const { v, b, g, columnSums, epsilon, tau } = this;
    for (let j = 0; j < v.length; j++) v[j] = updated(b[j], columnSums[j], tau, g[j] / epsilon);
  }
}

/** The scaling of a row or column of weight `weight` whose entries sum to `sum` without it; `potential` in units of epsilon. */
function updated(weight: number, sum: number, tau: number, potential: number): number {
  return tau === 1 ? weight / sum : (weight / sum) ** tau * Math.exp((tau - 1) * potential);
}
