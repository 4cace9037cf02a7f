/** The matrix at work, kept between calls: to clear a new one takes a third as long as to decompose it. */
let scratch = new Float64Array(0);

/**
 * Singular values alone, many times faster than `svd`: Householder bidiagonalisation, then the differential quotient-difference algorithm
 * with shifts. Absolute accuracy is n eps times the largest, n the smaller side.
 * @param a [rows, columns] row-major, finite
 * @returns [min(rows, columns)], descending
 */
export function singularValues(a: Float64Array, rows: number, columns: number): Float64Array {
  const [m, n] = rows > columns ? [rows, columns] : [columns, rows];
  let largest = 0;
  for (let at = 0; at < m * n; at++) {
    const size = Math.abs(a[at]);
    if (size > largest) largest = size;
  }
  if (largest === 0) return new Float64Array(n);
  // Columns of the taller orientation, contiguous (column c is at c * m), and about 1, so that squares stay in range.
  const unit = 2 ** Math.max(-1022, Math.round(Math.log2(largest)));
  if (scratch.length < m * n) scratch = new Float64Array(m * n);
  if (rows > columns) {
    for (let r = 0, at = 0; r < m; r++) for (let c = 0; c < n; c++, at++) scratch[c * m + r] = a[at] / unit;
  } else for (let at = 0; at < m * n; at++) scratch[at] = a[at] / unit;
  const { diagonal, above } = bidiagonalise(scratch, m, n);
  return squaredSingularValues(diagonal, above)
    .map((square) => unit * Math.sqrt(square))
    .sort()
    .reverse();
}

/**
 * Householder reflections from both sides, A = U B Vᵀ with B upper bidiagonal; w holds the columns and is destroyed. The rank-two change of
 * a step is put off to the next, which makes it in the pass that it needs anyway (Howell et al. 2008): each step then reads all that is left
 * of the matrix twice and writes it once.
 * @returns the diagonal [n] and what stands above it [n], the last of which is 0
 */
function bidiagonalise(w: Float64Array, m: number, n: number): { diagonal: Float64Array; above: Float64Array } {
  const diagonal = new Float64Array(n);
  const above = new Float64Array(n);
  const left = new Float64Array(m); // the reflector of a column, and that of the column before
  const leftBefore = new Float64Array(m);
  const leftWeights = new Float64Array(n); // put off: column k is w_k - leftWeights_k leftBefore - rowWeights_k fromRight
  const rowWeights = new Float64Array(n);
  const fromRight = new Float64Array(m);
  for (let c = 0; c < n; c++) {
    const column = c * m;
    const u = leftWeights[c];
    const v = rowWeights[c];
    let square = 0;
    for (let r = c; r < m; r++) {
      const value = w[column + r] - u * leftBefore[r] - v * fromRight[r];
      left[r] = value;
      square += value * value;
    }
    // From the left: column c below the diagonal becomes zero.
    diagonal[c] = left[c] > 0 ? -Math.sqrt(square) : Math.sqrt(square);
    left[c] -= diagonal[c];
    const beta = square > NO_LENGTH ? -1 / (diagonal[c] * left[c]) : 0;
    if (c + 1 === n) break;
    changeColumns(w, m, n, c, leftBefore, leftWeights, fromRight, rowWeights, left, beta);
    // From the right: row c beyond the first superdiagonal becomes zero.
    square = 0;
    for (let k = c + 1; k < n; k++) {
      rowWeights[k] = w[k * m + c] - leftWeights[k] * left[c];
      square += rowWeights[k] * rowWeights[k];
    }
    above[c] = rowWeights[c + 1] > 0 ? -Math.sqrt(square) : Math.sqrt(square);
    rowWeights[c + 1] -= above[c];
    let overlap = 0;
    for (let k = c + 1; k < n; k++) overlap += rowWeights[k] * leftWeights[k];
    const gamma = square > NO_LENGTH ? -1 / (above[c] * rowWeights[c + 1]) : 0;
    sumColumns(w, m, n, c + 1, rowWeights, fromRight);
    for (let r = c + 1; r < m; r++) fromRight[r] = gamma * (fromRight[r] - overlap * left[r]);
    leftBefore.set(left);
  }
  return { diagonal, above };
}

/** Makes the change put off in rows `first` on of the columns after `first`; their weights become `beta` times their product with `next`. */
function changeColumns(
  w: Float64Array,
  m: number,
  n: number,
  first: number,
  x: Float64Array,
  xWeights: Float64Array,
  y: Float64Array,
  yWeights: Float64Array,
  next: Float64Array,
  beta: number,
): void {
  let k = first + 1;
  for (; k + 1 < n; k += 2) {
    const x0 = xWeights[k];
    const x1 = xWeights[k + 1];
    const y0 = yWeights[k];
    const y1 = yWeights[k + 1];
    let sum0 = 0;
    let sum1 = 0;
    for (let r = first, at = k * m + r, beside = at + m; r < m; r++, at++, beside++) {
      // Read before w is written, which might be the same memory for all that the compiler knows.
      const ofX = x[r];
      const ofY = y[r];
      const ofNext = next[r];
      const a0 = w[at] - x0 * ofX - y0 * ofY;
      const a1 = w[beside] - x1 * ofX - y1 * ofY;
      w[at] = a0;
      w[beside] = a1;
      sum0 += a0 * ofNext;
      sum1 += a1 * ofNext;
    }
    xWeights[k] = beta * sum0;
    xWeights[k + 1] = beta * sum1;
  }
  if (k === n) return;
  let sum = 0;
  for (let r = first, at = k * m + r; r < m; r++, at++) {
    w[at] -= xWeights[k] * x[r] + yWeights[k] * y[r];
    sum += w[at] * next[r];
  }
  xWeights[k] = beta * sum;
}

/** Weighted sum of the columns from `first` on, in rows `first` on. */
function sumColumns(
  w: Float64Array,
  m: number,
  n: number,
  first: number,
  weights: Float64Array,
  sums: Float64Array,
): void {
  sums.fill(0, first);
  let k = first;
  for (; k + 3 < n; k += 4) {
    const w0 = weights[k];
    const w1 = weights[k + 1];
    const w2 = weights[k + 2];
    const w3 = weights[k + 3];
    for (let r = first, a0 = k * m + r, a1 = a0 + m, a2 = a1 + m, a3 = a2 + m; r < m; r++, a0++, a1++, a2++, a3++)
      sums[r] += w0 * w[a0] + w1 * w[a1] + (w2 * w[a2] + w3 * w[a3]);
  }
  for (; k < n; k++) for (let r = first, at = k * m + r; r < m; r++, at++) sums[r] += weights[k] * w[at];
}

/** Squared length of a vector of rounding, beside entries of about 1: there is no need to reflect it, and its reciprocal is out of range. */
const NO_LENGTH = 1e-280;
/** Sweeps for one value before giving up; three are usual. */
const MOST_SWEEPS = 100;
/** Shifts tried in one sweep before it is made without; nearly always the first will do. */
const MOST_FAILED = 6;

/**
 * Squares of the singular values of an upper bidiagonal matrix with entries of about 1 at most, in no order: dqds (Fernando and Parlett 1994; Parlett
 * and Marques 2000), which works on the squares of the entries without forming the Gram matrix, and so loses no digits.
 */
function squaredSingularValues(diagonal: Float64Array, above: Float64Array): Float64Array {
  const n = diagonal.length;
  const q = diagonal.map((value) => value * value);
  const e = above.map((value) => value * value);
  const next = { q: new Float64Array(n), e: new Float64Array(n) };
  let scale = 0;
  for (let k = 0; k < n; k++) scale = Math.max(scale, q[k] + e[k]);
  // An entry left out moves a singular value by its own size at most: that is the rounding of the largest.
  const negligible = Number.EPSILON ** 2 * scale;
  const blocks = [{ first: 0, last: n - 1, shift: 0 }];
  for (let block = blocks.pop(); block; block = blocks.pop()) {
    let { first, last, shift } = block;
    if (q[first] < q[last]) turnRound(q, e, first, last); // the smallest come off at the end
    let least = 0; // that the sweep before came to: no value is larger
    for (let sweep = 0; last > first; sweep++) {
      if (sweep === MOST_SWEEPS)
        throw new Error(`latent/singularValues: value ${last} of ${n} did not converge in ${MOST_SWEEPS} sweeps`);
      if (e[last - 1] <= negligible) {
        q[last--] += shift;
        least = Infinity;
        sweep = -1;
        continue;
      }
      for (let k = last - 2; k >= first; k--)
        if (e[k] <= negligible) {
          blocks.push({ first, last: k, shift });
          first = k + 1;
          break;
        }
      let by =
        least < 0.9 * q[last] ? Math.max(least / 4, certainBound(q, e, first, last)) : likelyBound(q, e, first, last);
      // A shift above the smallest value shows as a negative number; none at all always works.
      for (let failed = 1; ; failed++) {
        least = sweepDown(q, e, first, last, by, next);
        if (least >= 0) break;
        by = failed === 1 ? Math.max(0.9 * by, certainBound(q, e, first, last)) : failed < MOST_FAILED ? by / 4 : 0;
      }
      shift += by;
    }
    q[first] += shift;
  }
  return q;
}

/**
 * One sweep of dqds on a block: the squares of the next bidiagonal matrix, whose squared singular values are less by the shift.
 * @param next takes the squares until all are known to be good
 * @returns the least number on the way, an upper bound of the smallest square that is left; negative, and nothing changed, when the shift was too large
 */
function sweepDown(
  q: Float64Array,
  e: Float64Array,
  first: number,
  last: number,
  shift: number,
  next: { q: Float64Array; e: Float64Array },
): number {
  const nextQ = next.q;
  const nextE = next.e;
  let d = q[first] - shift;
  let least = d;
  for (let k = first; k < last && least >= 0; k++) {
    const sum = d + e[k];
    const ratio = q[k + 1] / sum;
    nextQ[k] = sum;
    nextE[k] = e[k] * ratio;
    d = d * ratio - shift;
    if (d < least) least = d;
  }
  if (!(least >= 0)) return -1;
  for (let k = first; k < last; k++) {
    q[k] = nextQ[k];
    e[k] = nextE[k];
  }
  q[last] = d;
  return least;
}

/**
 * About the smallest squared singular value of a block, rather below than above once its last entries separate: with z the vector that the
 * matrix takes to its last unit vector, the Rayleigh quotient less the square of the residual over the gap (Kato and Temple).
 */
function likelyBound(q: Float64Array, e: Float64Array, first: number, last: number): number {
  let [square, term] = [0, 1]; // of z without its last entry, which is 1
  for (let k = last - 1; k >= first && term >= 0.01 * square && square < 1; k--) {
    term *= e[k] / q[k];
    square += term;
  }
  square *= 1.05; // for the terms not summed
  if (square >= 1) return Math.max(q[last] / 4, certainBound(q, e, first, last));
  const rayleigh = q[last] / (1 + square);
  const residual = rayleigh * Math.sqrt(square);
  const coupling = last - 1 > first ? Math.sqrt(q[last - 1] * e[last - 2]) : 0;
  const gap = q[last - 1] - coupling - rayleigh;
  return rayleigh - (gap > residual ? (residual * residual) / gap : residual);
}

/** A lower bound of the smallest squared singular value of a block, 0 at least (Johnson 1989, Gershgorin's discs for singular values). */
function certainBound(q: Float64Array, e: Float64Array, first: number, last: number): number {
  let least = Infinity;
  let before = 0;
  for (let k = first; k <= last; k++) {
    const after = k < last ? Math.sqrt(e[k]) : 0;
    least = Math.min(least, Math.sqrt(q[k]) - (before + after) / 2);
    before = after;
  }
  return least > 0 ? least * least * (1 - 4 * Number.EPSILON) : 0;
}

/** The same block from its other end: the matrix is transposed and its rows and columns are reversed. */
function turnRound(q: Float64Array, e: Float64Array, first: number, last: number): void {
  q.subarray(first, last + 1).reverse();
  e.subarray(first, last).reverse();
}
