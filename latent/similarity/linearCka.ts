import { matrix, squaredFrobenius } from '../base/matrix.js';
import { innerProducts } from '../kernels/products.js';
import { type CentredCloud, type GramCloud } from './centredCloud.js';

/**
 * Linear centred kernel alignment (Kornblith et al. 2019): |XᵀY|²_F / (|XᵀX|_F |YᵀY|_F) of centred columns, 0 to 1.
 * @param cross XᵀY of the centred clouds [p, q]
 * @returns 0 when either cloud is a single point: it shares no direction with anything
 */
export function linearCka(x: GramCloud, y: GramCloud, cross: Float64Array): number {
  const norm = Math.sqrt(squaredFrobenius(x.gram) * squaredFrobenius(y.gram));
  return norm === 0 ? 0 : squaredFrobenius(cross) / norm;
}

/**
 * Linear CKA with the unbiased estimator of HSIC (Song et al. 2012), whose expectation is 0 for independent rows; it can be negative. For centred
 * columns its kernel sums reduce to row norms, so that no n x n matrix is formed.
 * @returns 0 when either self-similarity is not positive
 * @throws RangeError below 4 rows, where the estimator is not defined
 */
export function unbiasedLinearCka(x: GramCloud, y: GramCloud, cross: Float64Array): number {
  const n = x.points.rows;
  if (n < 4) throw new RangeError(`latent/similarity: unbiased CKA needs at least 4 rows; there are ${n}`);
  const hsic = (a: CentredCloud, b: CentredCloud, ab: Float64Array) => {
    let diagonal = 0;
    for (let i = 0; i < n; i++) diagonal += a.squaredNorms[i] * b.squaredNorms[i];
    return squaredFrobenius(ab) - diagonal + (a.total * b.total) / ((n - 1) * (n - 2)) - (2 * diagonal) / (n - 2);
  };
  const [xx, yy] = [hsic(x, x, x.gram), hsic(y, y, y.gram)];
  return xx > 0 && yy > 0 ? hsic(x, y, cross) / Math.sqrt(xx * yy) : 0;
}

/**
 * Influence of every row on linear CKA [n]: n times the derivative by the row's weight, mean 0. HSIC(x, y) = sum_i x_iᵀ(XᵀY)y_i is quadratic in the
 * weights, so a row counts twice its share there; the shift of the means is of second order.
 * @param ofX, ofY `selfForms` of the clouds, where they were computed before
 */
export async function linearCkaInfluence(
  x: GramCloud,
  y: GramCloud,
  cross: Float64Array,
  ofX?: Float64Array,
  ofY?: Float64Array,
): Promise<Float64Array> {
  const n = x.points.rows;
  const value = linearCka(x, y, cross);
  const influence = new Float64Array(n);
  if (value === 0) return influence;
  const terms: [shares: Float64Array, total: Float64Array, weight: number][] = [
    [await bilinearForms(x, y, cross), cross, 2],
    [ofX ?? (await selfForms(x)), x.gram, -1],
    [ofY ?? (await selfForms(y)), y.gram, -1],
  ];
  for (const [shares, total, weight] of terms) {
    const scale = (value * weight * n) / squaredFrobenius(total);
    for (let i = 0; i < n; i++) influence[i] += scale * shares[i];
  }
  return influence;
}

/** x_iᵀ(XᵀX)x_i for every row i [n]. */
export function selfForms(x: GramCloud): Promise<Float64Array> {
  return bilinearForms(x, x, x.gram);
}

/** a_iᵀ M b_i for every row i [n], M [p, q]. */
export async function bilinearForms(a: CentredCloud, b: CentredCloud, m: Float64Array): Promise<Float64Array> {
  const [p, q] = [a.points.columns, b.points.columns];
  const transposed = new Float64Array(m.length);
  for (let r = 0; r < p; r++) for (let c = 0; c < q; c++) transposed[c * p + r] = m[r * q + c];
  const forms = new Float64Array(a.points.rows);
  await innerProducts(a.points, matrix(transposed, q, p), (i, values, offset) => {
    let sum = 0;
    for (let c = 0; c < q; c++) sum += values[offset + c] * b.points.data[i * q + c];
    forms[i] = sum;
  });
  return forms;
}
