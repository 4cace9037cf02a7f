import { symmetricEigen } from '../eigen.js';
import { singularValues } from '../singularValues.js';
import type { CentredCloud } from './centredCloud.js';
import { bilinearForms } from './linearCka.js';

/**
 * The orthogonal map that brings y nearest to x, UVᵀ [p, q] of XᵀY = U S Vᵀ, by the eigenvectors of its smaller square. Directions whose singular
 * value is below 1e-7 of the largest are left out: of them rounding would decide.
 * @param cross XᵀY [p, q]
 */
export function nearestRotation(cross: Float64Array, p: number, q: number): Float64Array {
  if (q > p) return transposed(nearestRotation(transposed(cross, p, q), q, p), q, p);
  const square = new Float64Array(q * q);
  for (let r = 0; r < p; r++)
    for (let i = 0; i < q; i++)
      for (let j = i, left = cross[r * q + i]; j < q; j++) square[i * q + j] += left * cross[r * q + j];
  for (let i = 0; i < q; i++) for (let j = 0; j < i; j++) square[i * q + j] = square[j * q + i];
  const { values, vectors } = symmetricEigen(square, q);
  // C V S⁻¹ Vᵀ, with V S⁻¹ Vᵀ [q, q] first
  const inverse = new Float64Array(q * q);
  for (let c = 0; c < q && values[c] > 1e-14 * values[0]; c++)
    for (let i = 0; i < q; i++)
      for (let j = 0, left = vectors[c * q + i] / Math.sqrt(values[c]); j < q; j++)
        inverse[i * q + j] += left * vectors[c * q + j];
  const rotation = new Float64Array(p * q);
  for (let r = 0; r < p; r++)
    for (let i = 0; i < q; i++)
      for (let j = 0, left = cross[r * q + i]; j < q; j++) rotation[r * q + j] += left * inverse[i * q + j];
  return rotation;
}

/**
 * Cosine of the angular Procrustes distance (netrep's shape metric, alpha = 1; Williams et al. 2021) of centred clouds, |XᵀY|_* / (|X|_F |Y|_F): the
 * distance is its arccos, 0 for clouds equal up to rotation, reflection and scale, π/2 when nothing is shared. Clouds of different width are
 * compared as if the narrower were padded with zeros.
 * @param cross XᵀY of the centred clouds [p, q]
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
  cross: Float64Array,
  cosine: number,
): Promise<Float64Array> {
  const n = x.points.rows;
  const influence = new Float64Array(n);
  const sine = Math.sqrt((1 - cosine) * (1 + cosine));
  if (sine < 1e-7 || cosine === 0) return influence;
  const shares = await bilinearForms(x, y, nearestRotation(cross, x.points.columns, y.points.columns));
  const nuclear = cosine * Math.sqrt(x.total * y.total);
  for (let i = 0; i < n; i++) {
    const relative = shares[i] / nuclear - x.squaredNorms[i] / (2 * x.total) - y.squaredNorms[i] / (2 * y.total);
    influence[i] = (-n * cosine * relative) / sine;
  }
  return influence;
}

function transposed(a: Float64Array, rows: number, columns: number): Float64Array {
  const t = new Float64Array(a.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) t[c * rows + r] = a[r * columns + c];
  return t;
}
