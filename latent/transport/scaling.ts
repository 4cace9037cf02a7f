import { ROW_UNIT, scaledRowsKernel } from '../kernels/scaledRows.js';
import type { CostSource } from './cost.js';

/** Scalings beyond e^±200 go into the potentials, long before float64 overflows at e^709. */
const LARGEST_SCALING = Math.exp(200);
/** Bytes that WebAssembly can address. */
const LARGEST_MEMORY = 2 ** 32;

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
  /** [n, width], of which the first m columns count. */
  readonly kernel: Float64Array;
  readonly width: number;
  private readonly rows = scaledRowsKernel();
  private readonly u: Float64Array;
  private readonly v: Float64Array;
  private readonly columnSums: Float64Array;
  private epsilon = 1;
  private rebuilt = true;

  /**
   * @param a weights of the sources [n], b of the sinks [m], all > 0
   * @param marginal lambda in units of cost; Infinity where marginals are exact
   * @param g potentials to start from [m]
   * @throws RangeError when the kernel is larger than 4 GiB
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
    this.width = Math.ceil(m / ROW_UNIT) * ROW_UNIT;
    const bytes = (n + 2) * this.width * Float64Array.BYTES_PER_ELEMENT;
    if (bytes >= LARGEST_MEMORY)
      throw new RangeError(
        `latent/transport: entropic transport between ${n} and ${m} points needs ${(bytes / 2 ** 30).toFixed(1)} GiB, 4 are addressed at most; ` +
          'take fewer points or the multiscale solver',
      );
    const memory = this.rows.reserve(bytes);
    const vector = (row: number, length: number) =>
      new Float64Array(memory, row * this.width * Float64Array.BYTES_PER_ELEMENT, length);
    this.kernel = vector(0, n * this.width);
    this.v = vector(n, m).fill(1);
    this.columnSums = vector(n + 1, m);
    this.u = new Float64Array(n).fill(1);
  }

  private get tau(): number {
    return this.marginal === Infinity ? 1 : this.marginal / (this.marginal + this.epsilon);
  }

  /**
   * Takes the scalings into the potentials and builds the kernel for `epsilon`. Rows are updated by a full log-sum-exp step, so that no row can
   * vanish whatever the potentials were.
   */
  async rebuild(epsilon: number): Promise<void> {
    const { f, g, u, v, a, b, kernel, width } = this;
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
      const row = i * width;
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
   * Takes the scalings into the potentials and divides epsilon by a whole number, as whose power the entries grow: no exponential is taken. Only for exact
   * marginals with updated columns, where every row has an entry that does not vanish: b_j-weighted, a row of P_ij / (a_i b_j) sums to about 1.
   */
  sharpen(divisor: number): void {
    const { f, g, u, v, a, b, kernel, width, epsilon } = this;
    const m = v.length;
    const perColumn = v.map((scaling, j) => scaling / b[j]);
    for (let i = 0; i < u.length; i++) {
      f[i] += epsilon * Math.log(u[i]);
      const perRow = u[i] / a[i];
      for (let j = 0, at = i * width; j < m; j++, at++) {
        const density = kernel[at] * perRow * perColumn[j];
        let power = density;
        for (let times = 1; times < divisor; times++) power *= density;
        kernel[at] = power * a[i] * b[j];
      }
    }
    for (let j = 0; j < m; j++) g[j] += epsilon * Math.log(v[j]);
    u.fill(1);
    v.fill(1);
    this.epsilon = epsilon / divisor;
  }

  /**
   * Scales rows, then columns. Returns by how much the row sums or the column sums, whichever is more, change in all (L1), which for exact marginals
   * is their error before; Infinity after a rebuild, which leaves updated rows and stale columns.
   * @param relaxation power of the updates: 1 for Sinkhorn's, up to 2 for over-relaxed ones
   */
  iterate(relaxation = 1): number {
    const { u, v, a, b, kernel, columnSums, f, g, epsilon, tau, rows } = this;
    columnSums.fill(0);
    const rowBytes = this.width * Float64Array.BYTES_PER_ELEMENT;
    let [rowError, columnError] = [0, 0];
    for (let i = 0, row = kernel.byteOffset; i < u.length; i++, row += rowBytes) {
      const sum = rows.call.dot(row, row + rowBytes, v.byteOffset);
      const scaling = updated(a[i], sum, tau, f[i] / epsilon);
      rowError += Math.abs(u[i] - scaling) * sum;
      u[i] = relaxation === 1 ? scaling : u[i] * (scaling / u[i]) ** relaxation;
      rows.call.addScaled(row, row + rowBytes, columnSums.byteOffset, u[i]);
    }
    for (let j = 0; j < v.length; j++) {
      const scaling = updated(b[j], columnSums[j], tau, g[j] / epsilon);
      columnError += Math.abs(v[j] - scaling) * columnSums[j];
      v[j] = relaxation === 1 ? scaling : v[j] * (scaling / v[j]) ** relaxation;
    }
    this.iterations++;
    const { rebuilt } = this;
    this.rebuilt = false;
    return rebuilt ? Infinity : Math.max(rowError, columnError);
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

  /** Makes the kernel the plan itself, after one more plain update of rows and columns: of a finite kernel, however early the iteration was left. */
  async finish(): Promise<void> {
    this.iterate();
    if (this.unstable()) {
      await this.rebuild(this.epsilon);
      this.iterate();
      this.unstable(); // pulls back scalings of columns that nothing reaches
    }
    const { f, g, u, v, kernel, epsilon, width } = this;
    for (let i = 0; i < u.length; i++) {
      f[i] += epsilon * Math.log(u[i]);
      for (let j = 0, at = i * width; j < v.length; j++, at++) kernel[at] *= u[i] * v[j];
    }
    for (let j = 0; j < v.length; j++) g[j] += epsilon * Math.log(v[j]);
    u.fill(1);
    v.fill(1);
  }
}

/** The scaling of a row or column of weight `weight` whose entries sum to `sum` without it; `potential` in units of epsilon. */
function updated(weight: number, sum: number, tau: number, potential: number): number {
  return tau === 1 ? weight / sum : (weight / sum) ** tau * Math.exp((tau - 1) * potential);
}
