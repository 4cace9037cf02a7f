import { singularValues } from '../singularValues.js';
import { svd } from '../svd.js';
import type { CentredCloud } from './centredCloud.js';
import { bilinearForms } from './linearCka.js';

/** Distance of two shapes and what a resampling of rows needs. */
export interface Procrustes {
  /** arccos of the cosine: 0 for clouds equal up to rotation, reflection and scale, π/2 when nothing is shared. */
  angle: number;
  /** |XᵀY|_* / (|X|_F |Y|_F). */
  cosine: number;
  /** The best orthogonal map from x to y, UVᵀ [p, q]. */
  rotation: Float64Array;
}

/**
 * Angular Procrustes distance (netrep's shape metric, alpha = 1; Williams et al. 2021) of centred clouds: the nuclear norm of their cross-product by singular
 * values. Clouds of different width are compared as if the narrower were padded with zeros.
 * @param cross XᵀY of the centred clouds [p, q]
 * @returns angle π/2 when either cloud is a single point
 */
export function angularProcrustes(x: CentredCloud, y: CentredCloud, cross: Float64Array): Procrustes {
  const [p, q] = [x.points.columns, y.points.columns];
  const rotation = new Float64Array(p * q);
  const norm = Math.sqrt(x.total * y.total);
  if (norm === 0) return { angle: Math.PI / 2, cosine: 0, rotation };
  const { u, s, v } = svd(cross, p, q);
  const r = s.length;
  let nuclear = 0;
  for (let c = r - 1; c >= 0; c--) nuclear += s[c];
  let rank = 0;
  while (rank < r && s[rank] > 1e-14 * s[0]) rank++;
  for (let i = 0; i < p; i++)
    for (let j = 0; j < q; j++) {
      let sum = 0;
      for (let c = 0; c < rank; c++) sum += u[i * r + c] * v[j * r + c];
      rotation[i * q + j] = sum;
    }
  const cosine = Math.min(1, nuclear / norm);
  return { angle: Math.acos(cosine), cosine, rotation };
}

/**
 * The cosine alone, by singular values without their vectors: several times faster, equal to rounding.
 * @returns 0 when either cloud is a single point, at most 1
 */
export function angularProcrustesCosine(x: CentredCloud, y: CentredCloud, cross: Float64Array): number {
  const norm = Math.sqrt(x.total * y.total);
  if (norm === 0) return 0;
  const values = singularValues(cross, x.points.columns, y.points.columns);
  let nuclear = 0;
  for (let c = values.length - 1; c >= 0; c--) nuclear += values[c];
  return Math.min(1, nuclear / norm);
}

/**
 * Influence of every row on the angle [n], mean 0: the derivative of the nuclear norm is the optimal rotation, so that a row's share of it is
 * x_iᵀ R y_i. All zero where the angle is 0, a minimum without a derivative.
 */
export async function angularProcrustesInfluence(
  x: CentredCloud,
  y: CentredCloud,
  { cosine, rotation }: Procrustes,
): Promise<Float64Array> {
  const n = x.points.rows;
  const influence = new Float64Array(n);
  const sine = Math.sqrt((1 - cosine) * (1 + cosine));
  if (sine < 1e-7 || cosine === 0) return influence;
  const shares = await bilinearForms(x, y, rotation);
  const nuclear = cosine * Math.sqrt(x.total * y.total);
  for (let i = 0; i < n; i++) {
    const relative = shares[i] / nuclear - x.squaredNorms[i] / (2 * x.total) - y.squaredNorms[i] / (2 * y.total);
    influence[i] = (-n * cosine * relative) / sine;
  }
  return influence;
}
