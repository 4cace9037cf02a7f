import { symmetricEigen } from '../linear/eigen.js';
import { singularValues } from '../linear/singularValues.js';
import type { CentredCloud } from './centredCloud.js';
import { bilinearForms } from './linearCka.js';

/**
 * The orthogonal map that brings y nearest to x, UVᵀ [p, q] of XᵀY = U S Vᵀ, by the eigenvectors of its smaller square. Directions whose singular
 * value is below 1e-7 of the largest are left out: of them rounding would decide.
 * @param cross XᵀY [p, q]
 */
export function nearestRotation(cross: Float64Array, p: number, q: number): Float64Array {
  if (q > p) return transposed(nearestRotation(transposed(cross, p, q), q, p), q, p);
  const columns = transposed(cross, p, q);
  const { values, vectors } = symmetricEigen(rowsTimesRows(columns, columns, p), q);
  // C V S⁻¹ Vᵀ, with its transpose V (V S⁻¹)ᵀ [q, q] first
  let rank = 0;
  while (rank < q && values[rank] > 1e-14 * values[0]) rank++;
  if (rank === 0) return new Float64Array(p * q);
  const kept = transposed(vectors.subarray(0, rank * q), rank, q);
  const scaled = kept.map((value, at) => value / Math.sqrt(values[at % rank]));
  return rowsTimesRows(cross, rowsTimesRows(kept, scaled, rank), q);
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

/**
 * A Bᵀ [n, m] of a [n, k] and b [m, k]. Unlike a matrix kernel it sums in one order on every machine: what is divided by small singular values next
 * would show the difference.
 */
function rowsTimesRows(a: Float64Array, b: Float64Array, k: number): Float64Array {
  const [n, m] = [a.length / k, b.length / k];
  const products = new Float64Array(n * m);
  for (let i = 0; i < n; i++) {
    let j = 0;
    for (; j + 3 < m; j += 4) {
      let [sum0, sum1, sum2, sum3] = [0, 0, 0, 0]; // which do not wait for one another
      for (let at = i * k, end = at + k, beside = j * k; at < end; at++, beside++) {
        const value = a[at];
        sum0 += value * b[beside];
        sum1 += value * b[beside + k];
        sum2 += value * b[beside + 2 * k];
        sum3 += value * b[beside + 3 * k];
      }
      products[i * m + j] = sum0;
      products[i * m + j + 1] = sum1;
      products[i * m + j + 2] = sum2;
      products[i * m + j + 3] = sum3;
    }
    for (; j < m; j++)
      for (let at = i * k, end = at + k, beside = j * k; at < end; at++, beside++)
        products[i * m + j] += a[at] * b[beside];
  }
  return products;
}
