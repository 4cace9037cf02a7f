import { finiteFloat64, type Matrix } from '../matrix.js';
import { PairwiseDistances, squaredDistance } from '../pairwise.js';
import { scanPairedDistances } from './pairedDistances.js';

/** Distance correlation by both estimators. */
export interface DistanceCorrelation {
  /** Of Székely et al. 2007, 0 to 1; not small for independent rows of many columns. */
  value: number;
  /** The square by U-centred distances (Székely and Rizzo 2013): expectation 0 for independent rows, can be negative. */
  unbiasedSquare: number;
}

/**
 * Distance correlation of paired rows x [n, p] and y [n, q] with Euclidean distances (dcor's `distance_correlation` and
 * `u_distance_correlation_sqr`). The centred sums follow from row sums of the distances, so that O(n²) time needs O(n) memory and a block.
 * @returns both 0 when either cloud is a single point; the unbiased one also where its own variance is 0 (all distances equal)
 * @throws RangeError when rows are not paired, below 4 rows, or a value is not finite
 */
export async function distanceCorrelation(x: Matrix, y: Matrix): Promise<DistanceCorrelation> {
  const n = x.rows;
  if (n !== y.rows) throw new RangeError(`latent/similarity: x has ${n} rows and y ${y.rows}; rows are paired`);
  if (n < 4) throw new RangeError(`latent/similarity: distance correlation needs at least 4 rows; there are ${n}`);
  const [left, right] = [finiteFloat64(x, 'x'), finiteFloat64(y, 'y')];
  const [inX, inY] = [new PairwiseDistances(left, left), new PairwiseDistances(right, right)];
  const rowsOfX = new Float64Array(n);
  const rowsOfY = new Float64Array(n);
  let [xy, xx, yy] = [0, 0, 0];
  await scanPairedDistances(inX, inY, n, (i, ofX, ofY) => {
    let [a, b, ab, aa, bb] = [0, 0, 0, 0, 0];
    for (let j = 0; j < n; j++) {
      if (j === i) continue;
      const [u, v] = [distance(ofX[j], inX.error, left, i, j), distance(ofY[j], inY.error, right, i, j)];
      a += u;
      b += v;
      ab += u * v;
      aa += u * u;
      bb += v * v;
    }
    [rowsOfX[i], rowsOfY[i]] = [a, b];
    xy += ab;
    xx += aa;
    yy += bb;
  });
  const centred = (products: number, a: Float64Array, b: Float64Array, unbiased: boolean) => {
    let [ofA, ofB, rows] = [0, 0, 0];
    for (let i = 0; i < n; i++) {
      ofA += a[i];
      ofB += b[i];
      rows += a[i] * b[i];
    }
    return unbiased
      ? products - (2 * rows) / (n - 2) + (ofA / (n - 1)) * (ofB / (n - 2))
      : products - (2 * rows) / n + (ofA / n) * (ofB / n);
  };
  const correlation = (unbiased: boolean) => {
    const [ofX, ofY] = [centred(xx, rowsOfX, rowsOfX, unbiased), centred(yy, rowsOfY, rowsOfY, unbiased)];
    // what is left of sums that cancel is rounding
    if (!(ofX > 1e-12 * xx && ofY > 1e-12 * yy)) return 0;
    return centred(xy, rowsOfX, rowsOfY, unbiased) / Math.sqrt(ofX) / Math.sqrt(ofY);
  };
  return { value: Math.sqrt(Math.min(1, Math.max(0, correlation(false)))), unbiasedSquare: correlation(true) };
}

/** A distance of a scan, by differences where the scan has lost its digits: exactly 0 for equal rows. */
function distance(squared: number, error: number, x: Matrix, i: number, j: number): number {
  return Math.sqrt(squared < 1e8 * error ? squaredDistance(x, i, x, j) : squared);
}
