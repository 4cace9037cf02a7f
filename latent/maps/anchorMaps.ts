import { centred, columnMeans, matrix, type Matrix } from '../base/matrix.js';
import { svd } from '../linear/svd.js';

/** An affine map of rows: x -> (x - source) W + target. */
export interface AnchorMap {
  /** [p] */
  source: Float64Array;
  /** [p, q] row-major */
  weights: Float64Array;
  /** [q] */
  target: Float64Array;
}

/** Ways to map one model's embeddings to another's by the anchors they share (Maiorca et al., arXiv 2311.00664). */
export const ANCHOR_MAPS = { affine, least_squares: leastSquares, orthogonal } as const;
/** Name of such a map. */
export type AnchorMapName = keyof typeof ANCHOR_MAPS;

/**
 * Singular values below this share of the largest are dropped from pseudo-inverses of anchors. Anchors are few (K about d) and their small
 * directions hold what is peculiar to a model: inverted in full they would drown the rest.
 */
export const ANCHOR_CUTOFF = 1e-2;

/** Rows mapped: [n, q]. */
export function applyMap({ source, weights, target }: AnchorMap, x: Matrix): Matrix<Float64Array> {
  const [p, q] = [source.length, target.length];
  const y = new Float64Array(x.rows * q);
  const shifted = new Float64Array(p + 3); // whole fours, the rest zero
  const padded = new Float64Array(Math.ceil(p / 4) * 4 * q);
  padded.set(weights);
  for (let row = 0; row < x.rows; row++) {
    const at = row * q;
    for (let i = 0; i < p; i++) shifted[i] = x.data[row * p + i] - source[i];
    y.set(target, at);
    // Four at a time: a quarter of the passes over y.
    for (let i = 0; i < p; i += 4) {
      const [a, b, c, d] = [shifted[i], shifted[i + 1], shifted[i + 2], shifted[i + 3]];
      for (let j = 0, w = i * q; j < q; j++, w++)
        y[at + j] += a * padded[w] + b * padded[w + q] + c * padded[w + 2 * q] + d * padded[w + 3 * q];
    }
  }
  return matrix(y, x.rows, q);
}

/** Least squares about the means of the anchors. */
export function affine(x: Matrix, y: Matrix): AnchorMap {
  const [source, target] = [columnMeans(x), columnMeans(y)];
  return { source, target, weights: pseudoSolve(centred(x, source), centred(y, target)) };
}

/** Least squares through the origin. */
export function leastSquares(x: Matrix, y: Matrix): AnchorMap {
  const [source, target] = [new Float64Array(x.columns), new Float64Array(y.columns)];
  return { source, target, weights: pseudoSolve(centred(x, source), centred(y, target)) };
}

/** The rotation (or its part, where widths differ) and the scale that bring the centred anchors nearest: Procrustes. */
export function orthogonal(x: Matrix, y: Matrix): AnchorMap {
  const [source, target] = [columnMeans(x), columnMeans(y)];
  const [from, to] = [centred(x, source), centred(y, target)];
  const [p, q] = [x.columns, y.columns];
  const { u, s, v } = svd(cross(from, to), p, q);
  const r = s.length;
  const total = from.data.reduce((sum, value) => sum + value * value, 0);
  const scale = total === 0 ? 0 : s.reduce((sum, value) => sum + value, 0) / total;
  const weights = new Float64Array(p * q);
  for (let i = 0; i < p; i++)
    for (let j = 0; j < q; j++)
      for (let c = 0; c < r && s[c] > 1e-14 * s[0]; c++) weights[i * q + j] += scale * u[i * r + c] * v[j * r + c];
  return { source, target, weights };
}

/**
 * The inverse of the relative projection: coordinates z = Âx̂ of unit vectors x̂ give them back as x̂ = pinv(Â) z, Â the unit anchors [K, d].
 * Exact for K >= d and well-conditioned anchors, else the part that the anchors span.
 */
export function inverseProjection(anchors: Matrix): AnchorMap {
  const [k, d] = [anchors.rows, anchors.columns];
  const unit = new Float64Array(k * d);
  for (let row = 0; row < k; row++) {
    const norm = Math.hypot(...anchors.data.subarray(row * d, (row + 1) * d));
    for (let c = 0; c < d; c++) unit[row * d + c] = anchors.data[row * d + c] / norm;
  }
  // pinv(Â)ᵀ [K, d], applied to rows z: pinv of the transpose is the transpose of the pinv.
  const { u, s, v } = svd(unit, k, d);
  const r = s.length;
  const weights = new Float64Array(k * d);
  for (let c = 0; c < r && s[c] > ANCHOR_CUTOFF * s[0]; c++)
    for (let i = 0; i < k; i++) {
      const left = u[i * r + c] / s[c];
      for (let j = 0; j < d; j++) weights[i * d + j] += left * v[j * r + c];
    }
  return { source: new Float64Array(k), weights, target: new Float64Array(d) };
}

/** xᵀy [p, q]. */
function cross(x: Matrix<Float64Array>, y: Matrix<Float64Array>): Float64Array {
  const [p, q] = [x.columns, y.columns];
  const products = new Float64Array(p * q);
  for (let row = 0; row < x.rows; row++)
    for (let i = 0; i < p; i++) {
      const value = x.data[row * p + i];
      for (let j = 0, at = i * q; j < q; j++) products[at++] += value * y.data[row * q + j];
    }
  return products;
}

/** pinv(x) y [p, q], singular values of x below {@link ANCHOR_CUTOFF} dropped. */
function pseudoSolve(x: Matrix<Float64Array>, y: Matrix<Float64Array>): Float64Array {
  const [p, q] = [x.columns, y.columns];
  const { u, s, v } = svd(x.data, x.rows, p);
  const r = s.length;
  const weights = new Float64Array(p * q);
  const projected = new Float64Array(q);
  for (let c = 0; c < r && s[c] > ANCHOR_CUTOFF * s[0]; c++) {
    projected.fill(0);
    for (let row = 0; row < x.rows; row++)
      for (let j = 0; j < q; j++) projected[j] += u[row * r + c] * y.data[row * q + j];
    for (let i = 0; i < p; i++) {
      const weight = v[i * r + c] / s[c];
      for (let j = 0; j < q; j++) weights[i * q + j] += weight * projected[j];
    }
  }
  return weights;
}
