import { takeRows, type Matrix } from '../base/matrix.js';
import { PairwiseDistances, squaredDistance } from '../neighbours/pairwise.js';

/** Costs of moving mass from n sources to m sinks, read by rows so that they need not all lie in memory. */
export interface CostSource {
  /** Sources (rows). */
  readonly n: number;
  /** Sinks (columns). */
  readonly m: number;
  /** The cost of one arc. */
  at(i: number, j: number): number;
  /** Visits rows (all, or those named, in order); row i's costs are values[offset .. offset + m), valid during the call. */
  scan(visit: (i: number, values: Float64Array, offset: number) => void, rows?: Int32Array): Promise<void>;
  /** The costs between some rows and some columns. */
  restrict(rows: Int32Array, columns: Int32Array): Promise<CostSource>;
}

/** Costs that are a matrix in memory, `values` [n, m] row-major. */
export class DenseCost implements CostSource {
  constructor(
    readonly values: Float64Array,
    readonly n: number,
    readonly m: number,
  ) {
    if (values.length !== n * m)
      throw new RangeError(`latent/transport: ${values.length} costs do not make ${n} rows of ${m}`);
    for (let at = 0; at < values.length; at++)
      if (!Number.isFinite(values[at]))
        throw new RangeError(
          `latent/transport: the cost of source ${Math.floor(at / m)} and sink ${at % m} is ${values[at]}; it must be finite`,
        );
  }

  at(i: number, j: number): number {
    return this.values[i * this.m + j];
  }

  scan(visit: (i: number, values: Float64Array, offset: number) => void, rows?: Int32Array): Promise<void> {
    if (rows) for (const i of rows) visit(i, this.values, i * this.m);
    else for (let i = 0; i < this.n; i++) visit(i, this.values, i * this.m);
    return Promise.resolve();
  }

  restrict(rows: Int32Array, columns: Int32Array): Promise<CostSource> {
    const values = new Float64Array(rows.length * columns.length);
    let at = 0;
    for (const i of rows) for (const j of columns) values[at++] = this.values[i * this.m + j];
    return Promise.resolve(new DenseCost(values, rows.length, columns.length));
  }
}

/** Euclidean distances, computed anew at every scan by blocks of rows. */
export class EuclideanCost implements CostSource {
  readonly n: number;
  readonly m: number;
  private readonly distances: PairwiseDistances;

  constructor(
    private readonly x: Matrix,
    private readonly y: Matrix,
  ) {
    this.n = x.rows;
    this.m = y.rows;
    this.distances = new PairwiseDistances(x, y);
  }

  at(i: number, j: number): number {
    return Math.sqrt(squaredDistance(this.x, i, this.y, j));
  }

  async scan(visit: (i: number, values: Float64Array, offset: number) => void, rows?: Int32Array): Promise<void> {
    const { x, y, m } = this;
    // Below this, cancellation in the matrix product would cost more than a relative 1e-12 of the distance: take differences.
    const near = this.distances.error / 2e-12;
    await this.distances.scan((i, values, offset) => {
      for (let j = 0, at = offset; j < m; j++, at++)
        values[at] = Math.sqrt(values[at] < near ? squaredDistance(x, i, y, j) : values[at]);
      visit(i, values, offset);
    }, rows);
  }

  restrict(rows: Int32Array, columns: Int32Array): Promise<CostSource> {
    return euclideanCost(takeRows(this.x, rows), takeRows(this.y, columns));
  }
}

/** Costs kept in memory by default: 2^25 of them, 256 MiB, n = 5,792. */
const MOST_IN_MEMORY = 1 << 25;

/**
 * Euclidean (not squared) distances between the rows of x [n, p] and y [m, p], to a relative 1e-12 and exactly 0 between equal rows.
 * @param mostInMemory above so many costs they are computed anew at every scan instead of kept
 */
export async function euclideanCost(x: Matrix, y: Matrix, mostInMemory = MOST_IN_MEMORY): Promise<CostSource> {
  const source = new EuclideanCost(x, y);
  if (source.n * source.m > mostInMemory) return source;
  const values = new Float64Array(source.n * source.m);
  await source.scan((i, row, offset) => values.set(row.subarray(offset, offset + source.m), i * source.m));
  return new DenseCost(values, source.n, source.m);
}
