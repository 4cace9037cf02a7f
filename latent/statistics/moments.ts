import { decodeArrays, encodeArrays } from '../base/typedArrays.js';
import { CHUNK_ROWS, gramMatrix } from '../kernels/products.js';

/**
 * First and second moments of a set of rows: enough for scaling, PCA and anisotropy. Moments of parts merge to the moments of the
 * whole, so that no machine ever holds all rows.
 */
export interface Moments {
  /** Number of rows. */
  n: number;
  /** Number of columns, d. */
  dim: number;
  /** [d] */
  mean: Float64Array;
  /** Σ (x - mean)(x - mean)ᵀ, the upper triangle row by row: [d (d + 1) / 2] */
  scatter: Float64Array;
  /** Σ x/|x|, from which the mean cosine of all pairs follows: [d] */
  unitSum: Float64Array;
  /** Σ |x| */
  normSum: number;
}

/** Length of a norm below which a row has no direction. */
const SMALLEST_NORM = 1e-30;

/** |x_row - centre| (centre zero unless given), refused when it is zero or not finite, as cosines are not defined then. */
export function rowNorm(x: Float32Array | Float64Array, row: number, dim: number, centre?: Float64Array): number {
  let square = 0;
  for (let j = 0, at = row * dim; j < dim; j++, at++) {
    const value = centre ? x[at] - centre[j] : x[at];
    square += value * value;
  }
  const norm = Math.sqrt(square);
  if (!(norm > SMALLEST_NORM && norm < Infinity)) {
    throw new RangeError(
      `latent/statistics: row ${row} has norm ${norm}; zero-norm and non-finite rows must be quarantined first`,
    );
  }
  return norm;
}

function checkShape(x: { length: number }, n: number, dim: number): void {
  if (x.length !== n * dim) throw new RangeError(`latent/statistics: ${x.length} values are not ${n} rows of ${dim}`);
}

async function momentsOfChunk(
  x: Float32Array | Float64Array,
  first: number,
  count: number,
  dim: number,
): Promise<Moments> {
  const mean = new Float64Array(dim);
  const unitSum = new Float64Array(dim);
  let normSum = 0;
  for (let row = first; row < first + count; row++) {
    const norm = rowNorm(x, row, dim);
    const inverse = 1 / norm;
    normSum += norm;
    for (let j = 0, at = row * dim; j < dim; j++, at++) {
      mean[j] += x[at];
      unitSum[j] += x[at] * inverse;
    }
  }
  for (let j = 0; j < dim; j++) mean[j] /= count;
  const centred = new Float64Array(count * dim);
  for (let row = 0; row < count; row++) {
    for (let j = 0, at = row * dim; j < dim; j++, at++) centred[at] = x[first * dim + at] - mean[j];
  }
  const gram = await gramMatrix(centred, count, dim);
  const scatter = new Float64Array((dim * (dim + 1)) / 2);
  for (let i = 0, at = 0; i < dim; i++) for (let j = i; j < dim; j++) scatter[at++] = gram[i * dim + j];
  return { n: count, dim, mean, scatter, unitSum, normSum };
}

/**
 * Moments of the rows of x [n, d]. Chunks of rows are centred by their own mean in float64 before they are multiplied, then merged.
 * @throws RangeError at a row of zero or non-finite norm
 */
export async function momentsOf(x: Float32Array | Float64Array, n: number, dim: number): Promise<Moments> {
  checkShape(x, n, dim);
  if (n === 0) throw new RangeError('latent/statistics: there are no rows');
  let merged: Moments | undefined;
  for (let first = 0; first < n; first += CHUNK_ROWS) {
    const chunk = await momentsOfChunk(x, first, Math.min(CHUNK_ROWS, n - first), dim);
    merged = merged ? mergePair(merged, chunk) : chunk;
  }
  return merged!;
}

/** Chan, Golub and LeVeque's pairwise update (1979): no cancellation, whatever the means. */
function mergePair(a: Moments, b: Moments): Moments {
  const { dim } = a;
  const n = a.n + b.n;
  const delta = b.mean.map((value, j) => value - a.mean[j]);
  const mean = a.mean.map((value, j) => value + (delta[j] * b.n) / n);
  const weight = (a.n * b.n) / n;
  const scatter = new Float64Array(a.scatter.length);
  for (let i = 0, at = 0; i < dim; i++) {
    const scaled = weight * delta[i];
    for (let j = i; j < dim; j++, at++) scatter[at] = a.scatter[at] + b.scatter[at] + scaled * delta[j];
  }
  return {
    n,
    dim,
    mean,
    scatter,
    unitSum: a.unitSum.map((value, j) => value + b.unitSum[j]),
    normSum: a.normSum + b.normSum,
  };
}

/**
 * Moments of the union, merged from left to right: the same parts in the same order give the same bits. Merging merged parts agrees
 * with merging them all at once to rounding, not to the bit, so a merge tree must have a fixed shape.
 */
export function mergeMoments(parts: readonly Moments[]): Moments {
  if (parts.length === 0) throw new RangeError('latent/statistics: there are no parts to merge');
  const { dim } = parts[0];
  const odd = parts.find((part) => part.dim !== dim);
  if (odd) throw new RangeError(`latent/statistics: cannot merge moments of ${dim} and of ${odd.dim} columns`);
  return parts.reduce(mergePair);
}

const RECORD = 'moments';
type MomentsRecord = Record<'counts' | 'mean' | 'scatter' | 'unitSum', Float64Array>;

/** Moments as bytes (about 4 d² of them). */
export function encodeMoments(m: Moments): Uint8Array {
  return encodeArrays(RECORD, {
    counts: Float64Array.of(m.n, m.dim, m.normSum),
    mean: m.mean,
    scatter: m.scatter,
    unitSum: m.unitSum,
  });
}

/** @throws RangeError when the bytes are not moments */
export function decodeMoments(bytes: Uint8Array): Moments {
  const { counts, mean, scatter, unitSum } = decodeArrays<MomentsRecord>(RECORD, bytes);
  return { n: counts[0], dim: counts[1], mean, scatter, unitSum, normSum: counts[2] };
}
