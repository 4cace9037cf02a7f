/** Thin singular value decomposition A = U diag(s) Vᵀ with r = min(rows, columns). */
export interface SingularValues {
  /** Left vectors [rows, r], columns orthonormal where s > 0, else zero. */
  u: Float64Array;
  /** Singular values [r], descending. */
  s: Float64Array;
  /** Right vectors [columns, r]. */
  v: Float64Array;
}

const MOST_SWEEPS = 60;

/**
 * Singular value decomposition by one-sided Jacobi rotations (Hestenes; de Rijk's ordering), which finds small singular values to full relative
 * accuracy, unlike the eigenvalues of AᵀA. O(rows columns²) a sweep, 6 to 10 sweeps.
 * @param a [rows, columns] row-major, finite
 */
export function svd(a: Float64Array, rows: number, columns: number): SingularValues {
  if (rows < columns) {
    const { u, s, v } = svd(transposed(a, rows, columns), columns, rows);
    return { u: v, s, v: u };
  }
  // Columns of A as contiguous rows of `w`; the rotations gather in `z`, the rows of Vᵀ.
  const w = transposed(a, rows, columns);
  const z = new Float64Array(columns * columns);
  for (let c = 0; c < columns; c++) z[c * columns + c] = 1;
  const norms = new Float64Array(columns);
  for (let c = 0; c < columns; c++) norms[c] = dot(w, c * rows, w, c * rows, rows);
  // Cosine at which two columns count as orthogonal: what rounding leaves of an inner product (LAPACK's dgesvj has half of it).
  const orthogonal = Number.EPSILON * Math.sqrt(rows);
  const floor = Math.max(...norms, 0) * Number.EPSILON ** 2 * rows * rows;
  for (let sweep = 0, rotated = true; rotated; sweep++) {
    if (sweep === MOST_SWEEPS)
      throw new Error(`latent/linear: no convergence of a ${rows} x ${columns} matrix in ${MOST_SWEEPS} sweeps`);
    rotated = false;
    for (let p = 0; p < columns - 1; p++) {
      let largest = p;
      for (let c = p + 1; c < columns; c++) if (norms[c] > norms[largest]) largest = c;
      if (largest !== p) {
        swap(w, p * rows, largest * rows, rows);
        swap(z, p * columns, largest * columns, columns);
        [norms[p], norms[largest]] = [norms[largest], norms[p]];
      }
      for (let q = p + 1; q < columns; q++) {
        if (norms[p] <= floor || norms[q] <= floor) continue;
        const inner = dot(w, p * rows, w, q * rows, rows);
        if (Math.abs(inner) <= orthogonal * Math.sqrt(norms[p] * norms[q])) continue;
        rotated = true;
        const zeta = (norms[q] - norms[p]) / (2 * inner);
        const t = Math.sign(zeta || 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
        const cosine = 1 / Math.hypot(1, t);
        const sine = cosine * t;
        rotate(w, p * rows, q * rows, rows, cosine, sine);
        rotate(z, p * columns, q * columns, columns, cosine, sine);
        norms[p] = dot(w, p * rows, w, p * rows, rows);
        norms[q] = dot(w, q * rows, w, q * rows, rows);
      }
    }
  }
  const order = Array.from(norms.keys()).sort((i, j) => norms[j] - norms[i] || i - j);
  const s = Float64Array.from(order, (c) => Math.sqrt(norms[c]));
  const u = new Float64Array(rows * columns);
  const v = new Float64Array(columns * columns);
  order.forEach((from, c) => {
    for (let r = 0; r < columns; r++) v[r * columns + c] = z[from * columns + r];
    if (s[c] > 0) for (let r = 0; r < rows; r++) u[r * columns + c] = w[from * rows + r] / s[c];
  });
  return { u, s, v };
}

function transposed(a: Float64Array, rows: number, columns: number): Float64Array {
  const t = new Float64Array(a.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) t[c * rows + r] = a[r * columns + c];
  return t;
}

function dot(a: Float64Array, i: number, b: Float64Array, j: number, length: number): number {
  let [even, odd] = [0, 0];
  let k = 0;
  for (; k + 1 < length; k += 2) {
    even += a[i + k] * b[j + k];
    odd += a[i + k + 1] * b[j + k + 1];
  }
  return k < length ? even + odd + a[i + k] * b[j + k] : even + odd;
}

function rotate(a: Float64Array, i: number, j: number, length: number, cosine: number, sine: number): void {
  for (let k = 0; k < length; k++) {
    const x = a[i + k];
    const y = a[j + k];
    a[i + k] = cosine * x - sine * y;
    a[j + k] = sine * x + cosine * y;
  }
}

function swap(a: Float64Array, i: number, j: number, length: number): void {
  for (let k = 0; k < length; k++) {
    const x = a[i + k];
    a[i + k] = a[j + k];
    a[j + k] = x;
  }
}
