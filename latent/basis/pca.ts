import { symmetricEigen } from '../linear/eigen.js';
import { decodeArrays, encodeArrays } from '../base/typedArrays.js';
import { rowProducts } from '../kernels/products.js';
import type { Moments } from '../statistics/moments.js';

/**
 * The map from embeddings to the space in which DIRECT clusters (docs/method.md, DIRECT): y_j = w_j c_j · (x - mean) / scale, with c_j the
 * j-th principal axis of the standardised rows and w_j the share of the variance that it explains.
 */
export interface DirectProjection {
  /** Columns of the embeddings, d. */
  dim: number;
  /** Components kept, those with explained variance > 1 (Kaiser's rule). */
  p: number;
  /** [d] */
  mean: Float64Array;
  /** Population standard deviations, 1 where a column is constant: [d] */
  scale: Float64Array;
  /** Unit axes as rows, the entry of largest magnitude positive: [p, d] */
  components: Float64Array;
  /** Variance of the standardised rows along each axis, divisor n - 1: [p] */
  explainedVariance: Float64Array;
  /** Its share of the total over all d axes: [p] */
  weights: Float64Array;
}

/** scikit-learn calls a column constant when its variance is within the rounding of its computation, n ε var + (n mean ε)². */
function isConstant(variance: number, mean: number, n: number): boolean {
  return variance <= n * Number.EPSILON * variance + (n * mean * Number.EPSILON) ** 2;
}

/**
 * Smallest scale of a column, relative to the RMS of all columns' standard deviations. Some networks have dead outputs that are zero but
 * for denormal junk (nequix: 1e-39 of the rest); divided by its own deviation such a column would weigh as much as any other and change
 * with the processor. Live columns have 0.05 or more, float32 noise of whole models reaches 2e-5.
 */
export const SMALLEST_SCALE = 1e-4;

/** Rows without a direction of variance, or too few to have one. Its name stays RangeError, as callers in other threads know it. */
export class NoVariance extends RangeError {}

/**
 * StandardScaler, then PCA, from moments alone.
 * @param smallestScale 0 scales exactly as scikit-learn does
 * @throws {NoVariance} when there are fewer than two rows or all columns are constant
 */
export function fitDirectProjection(
  { n, dim, mean, scatter }: Moments,
  smallestScale = SMALLEST_SCALE,
): DirectProjection {
  if (n < 2) throw new NoVariance(`latent/basis: principal components need at least 2 rows; there are ${n}`);
  const variances = new Float64Array(dim);
  for (let i = 0, at = 0; i < dim; at += dim - i, i++) variances[i] = scatter[at] / n;
  const floor = smallestScale * Math.sqrt(variances.reduce((sum, variance) => sum + variance, 0) / dim);
  const scale = variances.map((variance, i) =>
    isConstant(variance, mean[i], n) ? 1 : Math.max(Math.sqrt(variance), floor),
  );
  const covariance = new Float64Array(dim * dim);
  for (let i = 0, at = 0; i < dim; i++) {
    for (let j = i; j < dim; j++, at++) {
      covariance[i * dim + j] = covariance[j * dim + i] = scatter[at] / (scale[i] * scale[j] * (n - 1));
    }
  }
  const { values, vectors } = symmetricEigen(covariance, dim);
  const total = values.reduce((sum, value) => sum + value, 0);
  const p = values.filter((value) => value > 1).length;
  if (p === 0) throw new NoVariance(`latent/basis: no direction of the ${n} rows has a variance; all rows are equal`);
  return {
    dim,
    p,
    mean: mean.slice(),
    scale,
    components: vectors.slice(0, p * dim),
    explainedVariance: values.slice(0, p),
    weights: values.slice(0, p).map((value) => value / total),
  };
}

/**
 * Rows in the clustering space: [n, p] of x [n, d]. A row's result depends on that row alone, to the last bit.
 */
export async function applyDirectProjection(
  projection: DirectProjection,
  x: Float32Array | Float64Array,
  n: number,
): Promise<Float64Array> {
  const { dim, p, mean, scale, components, weights } = projection;
  if (x.length !== n * dim) throw new RangeError(`latent/basis: ${x.length} values are not ${n} rows of ${dim}`);
  const w = new Float64Array(dim * p);
  for (let i = 0; i < dim; i++)
    for (let j = 0; j < p; j++) w[i * p + j] = (components[j * dim + i] * weights[j]) / scale[i];
  const y = new Float64Array(n * p);
  const fill = (buffer: Float64Array, first: number, count: number): void => {
    for (let row = 0, at = 0; row < count; row++) {
      for (let j = 0; j < dim; j++, at++) buffer[at] = x[first * dim + at] - mean[j];
    }
  };
  await rowProducts(n, dim, fill, w, p, (products, first, count) => y.set(products.subarray(0, count * p), first * p));
  return y;
}

const RECORD = 'direct-projection';
type ProjectionRecord = Record<
  'shape' | 'mean' | 'scale' | 'components' | 'explainedVariance' | 'weights',
  Float64Array
>;

/** A projection as bytes. */
export function encodeDirectProjection({
  dim,
  p,
  mean,
  scale,
  components,
  explainedVariance,
  weights,
}: DirectProjection): Uint8Array {
  return encodeArrays(RECORD, {
    shape: Float64Array.of(dim, p),
    mean,
    scale,
    components,
    explainedVariance,
    weights,
  });
}

/** @throws RangeError when the bytes are not a projection */
export function decodeDirectProjection(bytes: Uint8Array): DirectProjection {
  const { shape, ...arrays } = decodeArrays<ProjectionRecord>(RECORD, bytes);
  return { dim: shape[0], p: shape[1], ...arrays };
}
