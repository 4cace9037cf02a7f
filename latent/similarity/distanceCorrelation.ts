import { countUp } from '../base/integers.js';
import { finiteFloat64, type Matrix } from '../base/matrix.js';
import { PairwiseDistances, squaredDistance } from '../neighbours/pairwise.js';
import { mean } from '../statistics/mean.js';

/** Distance correlation by both estimators. */
export interface DistanceCorrelation {
  /** Of Székely et al. 2007, 0 to 1; not small for independent rows of many columns. */
  value: number;
  /** The square by U-centred distances (Székely and Rizzo 2013): expectation 0 for independent rows, can be negative. */
  unbiasedSquare: number;
}

/** Euclidean distances between all rows of a cloud. */
export interface DistanceMatrix {
  /** [n, n]; exactly 0 between equal rows. */
  values: Float64Array;
  /** Their sums over each row [n]. */
  rowSums: Float64Array;
}

/** All distances of x [n, p]: 8 n² bytes. */
export async function distanceMatrix(x: Matrix<Float64Array>): Promise<DistanceMatrix> {
  const n = x.rows;
  const values = new Float64Array(n * n);
  const rowSums = new Float64Array(n);
  const pairs = new PairwiseDistances(x, x);
  await pairs.scan((i, squares, offset) => {
    let sum = 0;
    for (let j = 0; j < n; j++) {
      if (j === i) continue;
      const square = squares[offset + j];
      // by differences where the scan has lost its digits
      const distance = Math.sqrt(square < 1e8 * pairs.error ? squaredDistance(x, i, x, j) : square);
      values[i * n + j] = distance;
      sum += distance;
    }
    rowSums[i] = sum;
  });
  return { values, rowSums };
}

/**
 * Distance correlation of paired rows x [n, p] and y [n, q] with Euclidean distances (dcor's `distance_correlation` and
 * `u_distance_correlation_sqr`). O(n²) time and memory.
 * @returns both 0 when either cloud is a single point; the unbiased one also where its own variance is 0 (all distances equal)
 * @throws RangeError when rows are not paired, below 4 rows, or a value is not finite
 */
export async function distanceCorrelation(x: Matrix, y: Matrix): Promise<DistanceCorrelation> {
  if (x.rows !== y.rows)
    throw new RangeError(`latent/similarity: x has ${x.rows} rows and y ${y.rows}; rows are paired`);
  if (x.rows < 4)
    throw new RangeError(`latent/similarity: distance correlation needs at least 4 rows; there are ${x.rows}`);
  const [inX, inY] = [await distanceMatrix(finiteFloat64(x, 'x')), await distanceMatrix(finiteFloat64(y, 'y'))];
  return new DistanceCorrelations(inX, inY).of();
}

/** Distance correlations of two clouds and what follows from them: under permutations only sums of products change. */
export class DistanceCorrelations {
  private readonly ofX: number;
  private readonly ofY: number;

  constructor(
    private readonly x: DistanceMatrix,
    private readonly y: DistanceMatrix,
  ) {
    this.ofX = sumOfProducts(x, x);
    this.ofY = sumOfProducts(y, y);
  }

  /** With a permutation, row i of x stands beside row `permutation[i]` of y. */
  of(permutation: Int32Array | null = null): DistanceCorrelation {
    const products = sumOfProducts(this.x, this.y, permutation);
    const correlation = (unbiased: boolean) => {
      const [xx, yy] = [
        centredSum(this.ofX, this.x, this.x, null, unbiased),
        centredSum(this.ofY, this.y, this.y, null, unbiased),
      ];
      // what is left of sums that cancel is rounding
      if (!(xx > 1e-12 * this.ofX && yy > 1e-12 * this.ofY)) return 0;
      return centredSum(products, this.x, this.y, permutation, unbiased) / Math.sqrt(xx) / Math.sqrt(yy);
    };
    return { value: Math.sqrt(Math.min(1, Math.max(0, correlation(false)))), unbiasedSquare: correlation(true) };
  }

  /** Influence of every row on the value and, but for terms of order 1/n, on the unbiased square [n], mean 0. */
  influence(): { value: Float64Array; unbiasedSquare: Float64Array } {
    const n = this.x.rowSums.length;
    const shares = rowShares(this.x, this.y);
    const [xy, xx, yy] = shares.map((share) => mean(share) * n);
    const unbiasedSquare = new Float64Array(n);
    const value = new Float64Array(n);
    const square = xx > 1e-12 * this.ofX && yy > 1e-12 * this.ofY ? xy / Math.sqrt(xx) / Math.sqrt(yy) : 0;
    if (!(square > 0)) return { value, unbiasedSquare };
    for (let i = 0; i < n; i++) {
      // sums of centred products are quadratic in the weights of the rows
      const relative = 2 * (shares[0][i] / xy) - shares[1][i] / xx - shares[2][i] / yy;
      unbiasedSquare[i] = n * square * relative;
      value[i] = (n * Math.sqrt(square) * relative) / 2;
    }
    return { value, unbiasedSquare };
  }
}

/** Sum of products of the distances of all pairs of rows, row i of a beside row `permutation[i]` of b: twice that of the pairs i < j. */
function sumOfProducts(a: DistanceMatrix, b: DistanceMatrix, permutation: Int32Array | null = null): number {
  const n = a.rowSums.length;
  const order = permutation ?? countUp(n);
  const ofA = a.values;
  const ofB = b.values;
  let total = 0;
  for (let i = 0; i < n; i++) {
    const inA = i * n;
    const inB = order[i] * n;
    // Four sums, which do not wait for one another.
    let [sum0, sum1, sum2, sum3] = [0, 0, 0, 0];
    let j = i + 1;
    for (; j + 3 < n; j += 4) {
      sum0 += ofA[inA + j] * ofB[inB + order[j]];
      sum1 += ofA[inA + j + 1] * ofB[inB + order[j + 1]];
      sum2 += ofA[inA + j + 2] * ofB[inB + order[j + 2]];
      sum3 += ofA[inA + j + 3] * ofB[inB + order[j + 3]];
    }
    for (; j < n; j++) sum0 += ofA[inA + j] * ofB[inB + order[j]];
    total += sum0 + sum1 + (sum2 + sum3);
  }
  return 2 * total;
}

/** Sum of products of centred distances from that of the distances themselves: double-centred, or U-centred. */
function centredSum(
  products: number,
  a: DistanceMatrix,
  b: DistanceMatrix,
  permutation: Int32Array | null,
  unbiased: boolean,
): number {
  const n = a.rowSums.length;
  let [ofA, ofB, rows] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    ofA += a.rowSums[i];
    ofB += b.rowSums[i];
    rows += a.rowSums[i] * b.rowSums[permutation ? permutation[i] : i];
  }
  return unbiased
    ? products - (2 * rows) / (n - 2) + (ofA / (n - 1)) * (ofB / (n - 2))
    : products - (2 * rows) / n + (ofA / n) * (ofB / n);
}

/** Sums of products of double-centred distances, row by row [n]: of a with b, a with itself and b with itself. */
function rowShares(a: DistanceMatrix, b: DistanceMatrix): Float64Array[] {
  const n = a.rowSums.length;
  const [inA, inB] = [a.values, b.values];
  const [meanA, meanB] = [a.rowSums.map((sum) => sum / n), b.rowSums.map((sum) => sum / n)];
  const [ofA, ofB] = [mean(meanA), mean(meanB)];
  const [both, alone, other] = [new Float64Array(n), new Float64Array(n), new Float64Array(n)];
  for (let i = 0, at = 0; i < n; i++) {
    const [shiftA, shiftB] = [ofA - meanA[i], ofB - meanB[i]];
    let [ab, aa, bb] = [0, 0, 0];
    for (let j = 0; j < n; j++, at++) {
      const x = inA[at] - meanA[j] + shiftA;
      const y = inB[at] - meanB[j] + shiftB;
      ab += x * y;
      aa += x * x;
      bb += y * y;
    }
    both[i] = ab;
    alone[i] = aa;
    other[i] = bb;
  }
  return [both, alone, other];
}
