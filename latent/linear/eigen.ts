/** Eigenvalues and eigenvectors of a real symmetric matrix, the largest eigenvalue first. */
export interface SymmetricEigen {
  /** [n], descending */
  values: Float64Array;
  /** [n, n]: row i is the unit eigenvector of values[i] */
  vectors: Float64Array;
}

/** Iterations of the QL algorithm per eigenvalue before giving up; two or three are usual. */
const MOST_ITERATIONS = 60;

/** Householder reduction A = Q T Qᵀ of a [n, n] (destroyed): diagonal and off-diagonal of T, and Qᵀ row by row. */
function tridiagonalise(
  a: Float64Array,
  n: number,
): { diagonal: Float64Array; off: Float64Array; qTransposed: Float64Array } {
  const diagonal = new Float64Array(n);
  const off = new Float64Array(n);
  const betas = new Float64Array(n);
  const w = new Float64Array(n);
  for (let k = 0; k < n - 1; k++) {
    const row = k * n; // row k right of the diagonal equals column k below it, and holds the reflector from here on
    let tail = 0;
    for (let j = k + 2; j < n; j++) tail += a[row + j] * a[row + j];
    const head = a[row + k + 1];
    if (tail === 0) {
      off[k] = head;
      continue;
    }
    const alpha = head > 0 ? -Math.sqrt(head * head + tail) : Math.sqrt(head * head + tail);
    off[k] = alpha;
    a[row + k + 1] = head - alpha;
    const beta = 2 / ((head - alpha) * (head - alpha) + tail);
    betas[k] = beta;
    let overlap = 0;
    for (let i = k + 1; i < n; i++) {
      let sum = 0;
      for (let j = k + 1; j < n; j++) sum += a[i * n + j] * a[row + j];
      w[i] = beta * sum;
      overlap += w[i] * a[row + i];
    }
    for (let i = k + 1; i < n; i++) w[i] -= 0.5 * beta * overlap * a[row + i];
    for (let i = k + 1; i < n; i++) {
      const vi = a[row + i];
      const wi = w[i];
      for (let j = k + 1; j < n; j++) a[i * n + j] -= vi * w[j] + wi * a[row + j];
    }
  }
  for (let k = 0; k < n; k++) diagonal[k] = a[k * n + k];
  const q = new Float64Array(n * n);
  for (let i = 0; i < n; i++) q[i * n + i] = 1;
  for (let k = n - 3; k >= 0; k--) {
    for (let i = k + 1; betas[k] !== 0 && i < n; i++) {
      let sum = 0;
      for (let j = k + 1; j < n; j++) sum += q[i * n + j] * a[k * n + j];
      for (let j = k + 1; j < n; j++) q[i * n + j] -= betas[k] * sum * a[k * n + j];
    }
  }
  return { diagonal, off, qTransposed: q };
}

/** Turns rows i and i + 1 of z [n, n] by the plane rotation (c, s). */
function rotateRows(z: Float64Array, n: number, i: number, c: number, s: number): void {
  for (let k = i * n, end = k + n; k < end; k++) {
    const lower = z[k + n];
    z[k + n] = s * z[k] + c * lower;
    z[k] = c * z[k] - s * lower;
  }
}

/** Implicit QL with Wilkinson shifts on a tridiagonal matrix (EISPACK's imtql2, Golub and Van Loan 8.3), in place; rows of z follow. */
function diagonalise(d: Float64Array, e: Float64Array, z: Float64Array): void {
  const n = d.length;
  // Off-diagonals below the rounding error of the reduction count as zero, as in EISPACK's tql2: beside the eigenvalues of a
  // matrix of low rank (coordinates of a model of 16 dimensions on 100 anchors) there is noise, which need not converge in itself.
  const noise = Number.EPSILON * d.reduce((norm, value, k) => Math.max(norm, Math.abs(value) + Math.abs(e[k])), 0);
  for (let l = 0; l < n; l++) {
    for (let iteration = 0; ; iteration++) {
      let m = l;
      while (
        m < n - 1 &&
        Math.abs(e[m]) > Math.max(noise, Number.EPSILON * 0.5 * (Math.abs(d[m]) + Math.abs(d[m + 1])))
      )
        m++;
      if (m === l) break;
      if (iteration === MOST_ITERATIONS) throw new Error(`latent/linear: eigenvalue ${l} of ${n} did not converge`);
      let g = (d[l + 1] - d[l]) / (2 * e[l]);
      const root = Math.sqrt(g * g + 1);
      g = d[m] - d[l] + e[l] / (g + (g < 0 ? -root : root));
      let s = 1;
      let c = 1;
      let shift = 0;
      let i = m - 1;
      for (; i >= l; i--) {
        const f = s * e[i];
        const b = c * e[i];
        const r = Math.sqrt(f * f + g * g);
        e[i + 1] = r;
        if (r === 0) break;
        s = f / r;
        c = g / r;
        const before = d[i + 1] - shift;
        const turned = (d[i] - before) * s + 2 * c * b;
        shift = s * turned;
        d[i + 1] = before + shift;
        g = c * turned - b;
        rotateRows(z, n, i, c, s);
      }
      if (i >= l) {
        d[i + 1] -= shift;
      } else {
        d[l] -= shift;
        e[l] = g;
      }
      e[m] = 0;
    }
  }
}

/**
 * All eigenpairs of a symmetric matrix: Householder tridiagonalisation, then implicit QL; about 10 ms at n = 128. The sign of every
 * vector is fixed as scikit-learn's `svd_flip` does for PCA: its entry of largest magnitude (the first of equal ones) is positive.
 * @param matrix [n, n]; only its symmetric part is meant, it is not checked and not changed
 * @throws RangeError at a wrong length or an entry that is not finite
 */
export function symmetricEigen(matrix: Float64Array, n: number): SymmetricEigen {
  if (matrix.length !== n * n)
    throw new RangeError(`latent/linear: ${matrix.length} values are not a ${n} by ${n} matrix`);
  const bad = matrix.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw new RangeError(`latent/linear: entry (${Math.floor(bad / n)}, ${bad % n}) is ${matrix[bad]}`);
  const { diagonal, off, qTransposed } = tridiagonalise(matrix.slice(), n);
  diagonalise(diagonal, off, qTransposed);
  const order = Array.from(diagonal.keys()).sort((i, j) => diagonal[j] - diagonal[i] || i - j);
  const vectors = new Float64Array(n * n);
  for (const [to, from] of order.entries()) {
    const vector = qTransposed.subarray(from * n, from * n + n);
    let largest = 0;
    for (let j = 1; j < n; j++) if (Math.abs(vector[j]) > Math.abs(vector[largest])) largest = j;
    const sign = vector[largest] < 0 ? -1 : 1;
    for (let j = 0; j < n; j++) vectors[to * n + j] = sign * vector[j];
  }
  return { values: Float64Array.from(order, (i) => diagonal[i]), vectors };
}
