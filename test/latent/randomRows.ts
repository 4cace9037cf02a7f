import { normalFrom, seededRandom } from '../../latent/base/random.js';

/**
 * Rows [n, dim] of a seeded mixture of `clusters` Gaussians with uneven sizes, like the elements of a database.
 * @param shard other rows of the same mixture
 */
export function mixtureRows(
  n: number,
  dim: number,
  clusters: number,
  spread: number,
  seed: number,
  shard?: number,
): Float32Array {
  let random = seededRandom(seed);
  let normal = normalFrom(random);
  const centres = Float64Array.from({ length: clusters * dim }, normal);
  if (shard !== undefined) {
    random = seededRandom(1000 * seed + shard);
    normal = normalFrom(random);
  }
  const x = new Float32Array(n * dim);
  for (let row = 0; row < n; row++) {
    const cluster = Math.floor(clusters * random() ** 2);
    for (let j = 0; j < dim; j++) x[row * dim + j] = centres[cluster * dim + j] + spread * normal();
  }
  return x;
}

/** A random orthogonal matrix [dim, dim] by Gram-Schmidt. */
export function randomRotation(dim: number, seed: number): Float64Array {
  const q = Float64Array.from({ length: dim * dim }, normalFrom(seededRandom(seed)));
  for (let i = 0; i < dim; i++) {
    const row = q.subarray(i * dim, (i + 1) * dim);
    for (let pass = 0; pass < 2; pass++) {
      for (let k = 0; k < i; k++) {
        const other = q.subarray(k * dim, (k + 1) * dim);
        const dot = row.reduce((sum, value, j) => sum + value * other[j], 0);
        for (let j = 0; j < dim; j++) row[j] -= dot * other[j];
      }
    }
    const norm = Math.hypot(...row);
    for (let j = 0; j < dim; j++) row[j] /= norm;
  }
  return q;
}

/** Largest |a - b| / max(|b|) over all elements. */
export function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity;
  const scale = Array.from(b).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0) / (scale || 1);
}
