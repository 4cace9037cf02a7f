import { centred, columnMeans, squaredNorms, type Matrix } from '../base/matrix.js';
import { innerProducts } from '../kernels/products.js';

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
      throw new RangeError(`latent/neighbours: points of ${x.columns} and ${y.columns} coordinates have no distance`);
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

function largest(values: Float64Array): number {
  let max = 0;
  for (const value of values) if (value > max) max = value;
  return max;
}
