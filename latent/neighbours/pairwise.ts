import { Kernel, type KernelTensor } from '../kernels/kernel.js';
import { centred, columnMeans, type Matrix } from '../base/matrix.js';

const rowsTimesRows = new Kernel({
  name: 'rows_times_rows',
  inputs: { x: { type: 'float64', shape: ['n', 'p'] }, y: { type: 'float64', shape: ['m', 'p'] } },
  outputs: { xy: { type: 'float64', shape: ['n', 'm'] } },
  nodes: [{ op: 'Gemm', inputs: ['x', 'y'], outputs: ['xy'], attributes: { transB: { int: 1 } } }],
});

const columnsTimesColumns = new Kernel({
  name: 'columns_times_columns',
  inputs: { x: { type: 'float64', shape: ['n', 'p'] }, y: { type: 'float64', shape: ['n', 'q'] } },
  outputs: { xy: { type: 'float64', shape: ['p', 'q'] } },
  nodes: [{ op: 'Gemm', inputs: ['x', 'y'], outputs: ['xy'], attributes: { transA: { int: 1 } } }],
});

const orderedProduct = new Kernel({
  name: 'ordered_product',
  inputs: {
    x: { type: 'float64', shape: ['p', 'n'] },
    y: { type: 'float64', shape: ['n', 'q'] },
    order: { type: 'int32', shape: ['n'] },
  },
  outputs: { xy: { type: 'float64', shape: ['p', 'q'] } },
  nodes: [
    { op: 'Gather', inputs: ['y', 'order'], outputs: ['ordered'] },
    { op: 'MatMul', inputs: ['x', 'ordered'], outputs: ['xy'] },
  ],
});

/** Values of one block of a pairwise matrix: 2 MiB, so that it is still in cache when it is read. */
const BLOCK_VALUES = 1 << 18;

/** XᵀY of x [n, p] and y [n, q] in float64: [p, q]. */
export async function crossProduct(x: Matrix<Float64Array>, y: Matrix<Float64Array>): Promise<Float64Array> {
  const { xy } = await columnsTimesColumns.run({
    x: { data: x.data, shape: [x.rows, x.columns] },
    y: { data: y.data, shape: [y.rows, y.columns] },
  });
  return xy as Float64Array;
}

/** XᵀY of x [n, p] and y [n, q] in float64 for many orders of the rows of y: faster than `crossProduct` of permuted rows. */
export class PermutedCrossProduct {
  private readonly x: KernelTensor;
  private readonly y: KernelTensor;
  private readonly xy: { data: Float64Array; shape: number[] };

  /** @param y is read in every call of `of` */
  constructor(x: Matrix<Float64Array>, y: Matrix<Float64Array>) {
    const [n, p, q] = [x.rows, x.columns, y.columns];
    const transposed = new Float64Array(n * p);
    for (let i = 0, at = 0; i < n; i++) for (let c = 0; c < p; c++, at++) transposed[c * n + i] = x.data[at];
    this.x = { data: transposed, shape: [p, n] };
    this.y = { data: y.data, shape: [n, q] };
    this.xy = { data: new Float64Array(p * q), shape: [p, q] };
  }

  /**
   * The product once row i of x stands beside row `permutation[i]` of y.
   * @returns [p, q], overwritten by the next call
   */
  async of(permutation: Int32Array): Promise<Float64Array> {
    const { x, y, xy } = this;
    await orderedProduct.run({ x, y, order: { data: permutation, shape: [permutation.length] } }, { xy });
    return xy.data;
  }
}

/**
 * All inner products of the rows of x [n, p] and y [m, p] in float64, a block of rows at a time.
 * @param visit gets row i's products as values[offset .. offset + m); the array is reused by the next block
 * @param rows the rows of x to visit, in this order; all by default
 */
export async function innerProducts(
  x: Matrix<Float64Array>,
  y: Matrix<Float64Array>,
  visit: (i: number, values: Float64Array, offset: number) => void,
  rows?: Int32Array,
): Promise<void> {
  const count = rows?.length ?? x.rows;
  const [p, m] = [x.columns, y.rows];
  const perBlock = Math.max(1, Math.min(count, Math.floor(BLOCK_VALUES / m)));
  const gathered = rows && new Float64Array(perBlock * p);
  const buffer = new Float64Array(perBlock * m);
  const right = { data: y.data, shape: [m, p] };
  for (let first = 0; first < count; first += perBlock) {
    const size = Math.min(perBlock, count - first);
    let left = x.data.subarray(first * p, (first + size) * p);
    if (rows && gathered) {
      for (let r = 0; r < size; r++)
        gathered.set(x.data.subarray(rows[first + r] * p, (rows[first + r] + 1) * p), r * p);
      left = gathered.subarray(0, size * p);
    }
    const products = buffer.subarray(0, size * m);
    await rowsTimesRows.run(
      { x: { data: left, shape: [size, p] }, y: right },
      { xy: { data: products, shape: [size, m] } },
    );
    for (let r = 0; r < size; r++) visit(rows ? rows[first + r] : first + r, products, r * m);
  }
}

/** Bound on the error of a float32 inner product of p terms, in units of the norms: rounding of both factors, p products and sums. */
export function screeningError(p: number): number {
  return (p + 4) * 2 ** -24;
}

/** Squared Euclidean distance of row i of x and row j of y by differences: exact zero for equal rows, no cancellation. */
export function squaredDistance(x: Matrix, i: number, y: Matrix, j: number): number {
  const p = x.columns;
  let sum = 0;
  for (let a = i * p, b = j * p, end = a + p; a < end; a++, b++) {
    const difference = x.data[a] - y.data[b];
    sum += difference * difference;
  }
  return sum;
}

/**
 * Two clouds of points prepared for pairwise squared distances in float64: |x|² + |y|² - 2 x.y by a matrix product about a common
 * centre, which is exact to `error` = 64 eps (max|x|² + max|y|²) at any distance.
 */
export class PairwiseDistances {
  /** Bound on the absolute error of a squared distance from `scan`. */
  readonly error: number;
  private readonly x: Matrix<Float64Array>;
  private readonly y: Matrix<Float64Array>;
  private readonly xNorms: Float64Array;
  private readonly yNorms: Float64Array;

  /**
   * @param x [n, p]
   * @param y [m, p]
   * @throws RangeError when the columns differ
   */
  constructor(x: Matrix, y: Matrix) {
    if (x.columns !== y.columns)
      throw new RangeError(`latent/pairwise: points of ${x.columns} and ${y.columns} coordinates have no distance`);
    const centre = columnMeans(y); // distances do not change, cancellation does
    this.x = centred(x, centre);
    this.y = x === y ? this.x : centred(y, centre);
    this.xNorms = squaredNorms(this.x);
    this.yNorms = x === y ? this.xNorms : squaredNorms(this.y);
    this.error = 64 * Number.EPSILON * (largest(this.xNorms) + largest(this.yNorms));
  }

  /**
   * Squared distances of every row of x to all rows of y.
   * @param visit gets row i's squared distances as values[offset .. offset + m), not below 0; the array is reused
   * @param rows rows of x to visit; all by default
   */
  async scan(visit: (i: number, values: Float64Array, offset: number) => void, rows?: Int32Array): Promise<void> {
    const { xNorms, yNorms } = this;
    const m = this.y.rows;
    await innerProducts(
      this.x,
      this.y,
      (i, values, offset) => {
        const norm = xNorms[i];
        for (let j = 0; j < m; j++) {
          const squared = norm + yNorms[j] - 2 * values[offset + j];
          values[offset + j] = squared > 0 ? squared : 0;
        }
        visit(i, values, offset);
      },
      rows,
    );
  }
}

/** Squared Euclidean norm of every row [rows]. */
export function squaredNorms(x: Matrix): Float64Array {
  const norms = new Float64Array(x.rows);
  for (let row = 0, at = 0; row < x.rows; row++)
    for (let c = 0; c < x.columns; c++, at++) norms[row] += x.data[at] ** 2;
  return norms;
}

function largest(values: Float64Array): number {
  let max = 0;
  for (const value of values) if (value > max) max = value;
  return max;
}
