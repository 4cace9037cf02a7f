/**
 * Solves A X = B for a symmetric positive definite A by its Cholesky factor.
 * @param a [n, n] row-major; only the lower triangle is read
 * @param b [n, m] row-major
 * @returns X [n, m]
 * @throws RangeError where A is not positive definite
 */
export function solvePositiveDefinite(a: Float64Array, n: number, b: Float64Array, m: number): Float64Array {
  const l = a.slice();
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      let sum = l[i * n + j];
      for (let k = 0; k < j; k++) sum -= l[i * n + k] * l[j * n + k];
      if (i !== j) l[i * n + j] = sum / l[j * n + j];
      else if (sum > 0) l[i * n + i] = Math.sqrt(sum);
      else
        throw new RangeError(`latent/linear: the ${n} x ${n} matrix is not positive definite (pivot ${i} is ${sum})`);
    }
  const x = b.slice();
  for (let column = 0; column < m; column++) {
    for (let i = 0; i < n; i++) {
      let sum = x[i * m + column];
      for (let k = 0; k < i; k++) sum -= l[i * n + k] * x[k * m + column];
      x[i * m + column] = sum / l[i * n + i];
    }
    for (let i = n - 1; i >= 0; i--) {
      let sum = x[i * m + column];
      for (let k = i + 1; k < n; k++) sum -= l[k * n + i] * x[k * m + column];
      x[i * m + column] = sum / l[i * n + i];
    }
  }
  return x;
}
