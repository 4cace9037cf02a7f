/**
 * Singular values alone, several times faster than `svd`: Householder bidiagonalisation, then the eigenvalues of the Golub-Kahan
 * tridiagonal matrix [0 Bᵀ; B 0], which are ±s, so that nothing is squared. Absolute accuracy is eps times the largest.
 * @param a [rows, columns] row-major, finite
 * @returns [min(rows, columns)], descending
 */
export function singularValues(a: Float64Array, rows: number, columns: number): Float64Array {
  const [m, n] = rows >= columns ? [rows, columns] : [columns, rows];
  // Columns of the taller orientation, contiguous: column c is at c * m.
  const w = new Float64Array(m * n);
  if (rows >= columns) for (let r = 0; r < m; r++) for (let c = 0; c < n; c++) w[c * m + r] = a[r * n + c];
  else w.set(a);
  const { diagonal, above } = bidiagonalise(w, m, n);
  // The tridiagonal of order 2n has zeros on its diagonal and d1, e1, d2, e2, ... beside it.
  const beside = new Float64Array(2 * n);
  for (let c = 0; c < n; c++) {
    beside[2 * c] = diagonal[c];
    beside[2 * c + 1] = c + 1 < n ? above[c] : 0;
  }
  const values = tridiagonalEigenvalues(new Float64Array(2 * n), beside).sort();
  return Float64Array.from({ length: n }, (_, c) => Math.max(0, values[2 * n - 1 - c]));
}

/** Householder reflections from both sides; w holds the columns and is destroyed. */
function bidiagonalise(w: Float64Array, m: number, n: number): { diagonal: Float64Array; above: Float64Array } {
  const diagonal = new Float64Array(n);
  const above = new Float64Array(n);
  const reflector = new Float64Array(n);
  const sums = new Float64Array(m);
  for (let c = 0; c < n; c++) {
    // From the left: column c below the diagonal becomes zero.
    const column = c * m;
    let norm = Math.sqrt(dot(w, column + c, column + c, m - c));
    diagonal[c] = norm;
    if (norm > 0) {
      if (w[column + c] > 0) diagonal[c] = -norm;
      w[column + c] -= diagonal[c];
      const beta = -1 / (diagonal[c] * w[column + c]);
      for (let k = c + 1; k < n; k++) {
        const other = k * m;
        const sum = beta * dot(w, column + c, other + c, m - c);
        for (let r = c; r < m; r++) w[other + r] -= sum * w[column + r];
      }
    }
    if (c + 1 === n) break;
    // From the right: row c beyond the first superdiagonal becomes zero.
    norm = 0;
    for (let k = c + 1; k < n; k++) norm += w[k * m + c] * w[k * m + c];
    norm = Math.sqrt(norm);
    above[c] = norm;
    if (norm === 0) continue;
    if (w[(c + 1) * m + c] > 0) above[c] = -norm;
    for (let k = c + 1; k < n; k++) reflector[k] = w[k * m + c];
    reflector[c + 1] -= above[c];
    const beta = -1 / (above[c] * reflector[c + 1]);
    sums.fill(0, c + 1);
    for (let k = c + 1; k < n; k++) {
      const weight = beta * reflector[k];
      for (let r = c + 1, at = k * m + r; r < m; r++, at++) sums[r] += weight * w[at];
    }
    for (let k = c + 1; k < n; k++) {
      const weight = reflector[k];
      for (let r = c + 1, at = k * m + r; r < m; r++, at++) w[at] -= weight * sums[r];
    }
  }
  return { diagonal, above };
}

/** Inner product of two runs of w, in four sums: they do not wait for one another. */
function dot(w: Float64Array, i: number, j: number, length: number): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  let k = 0;
  for (; k + 3 < length; k += 4) {
    a += w[i + k] * w[j + k];
    b += w[i + k + 1] * w[j + k + 1];
    c += w[i + k + 2] * w[j + k + 2];
    d += w[i + k + 3] * w[j + k + 3];
  }
  for (; k < length; k++) a += w[i + k] * w[j + k];
  return a + b + (c + d);
}

/** Iterations for one eigenvalue before giving up; two or three are usual. */
const MOST_ITERATIONS = 60;

/** Eigenvalues of a symmetric tridiagonal matrix by implicit QL with Wilkinson's shift; both arrays are destroyed, `d` returned. */
function tridiagonalEigenvalues(d: Float64Array, e: Float64Array): Float64Array {
  const n = d.length;
  let scale = 0;
  for (let i = 0; i < n; i++) scale = Math.max(scale, Math.abs(d[i]) + Math.abs(e[i]));
  const negligible = Number.EPSILON * scale;
  for (let l = 0; l < n; l++) {
    for (let iteration = 0; ; iteration++) {
      let end = l;
      while (end < n - 1 && Math.abs(e[end]) > negligible) end++;
      if (end === l) break;
      if (iteration === MOST_ITERATIONS)
        throw new Error(
          `latent/singularValues: value ${l} of ${n / 2} did not converge in ${MOST_ITERATIONS} iterations`,
        );
      const half = (d[l + 1] - d[l]) / (2 * e[l]);
      const root = Math.sqrt(half * half + 1);
      let g = d[end] - d[l] + e[l] / (half + (half >= 0 ? root : -root));
      let [sine, cosine, shift] = [1, 1, 0];
      let i = end - 1;
      for (; i >= l; i--) {
        const f = sine * e[i];
        const b = cosine * e[i];
        const r = Math.sqrt(f * f + g * g);
        e[i + 1] = r;
        if (r === 0) {
          d[i + 1] -= shift;
          e[end] = 0;
          break;
        }
        sine = f / r;
        cosine = g / r;
        const next = d[i + 1] - shift;
        const t = (d[i] - next) * sine + 2 * cosine * b;
        shift = sine * t;
        d[i + 1] = next + shift;
        g = cosine * t - b;
      }
      if (i >= l) continue;
      d[l] -= shift;
      e[l] = g;
      e[end] = 0;
    }
  }
  return d;
}
