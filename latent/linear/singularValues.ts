import { columnKernel, COLUMNS_TOGETHER } from '../kernels/columns.js';

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
  // Columns of the taller orientation, contiguous, and about 1, so that squares stay in range.
  const unit = 2 ** Math.max(-1022, Math.round(Math.log2(largest)));
  const work = new ColumnMatrix(m, n);
  const { w, stride } = work;
  if (rows > columns) {
    for (let r = 0, at = 0; r < m; r++) for (let c = 0; c < n; c++, at++) w[c * stride + r] = a[at] / unit;
  } else for (let c = 0, at = 0; c < n; c++) for (let r = 0; r < m; r++, at++) w[c * stride + r] = a[at] / unit;
  const { diagonal, above } = bidiagonalise(work);
  return squaredSingularValues(diagonal, above)
    .map((square) => unit * Math.sqrt(square))
    .sort()
    .reverse();
}

/** A matrix [m, n] in the memory of `columnKernel`, column after column, with the vectors that its bidiagonalisation needs; all 0 at first. */
class ColumnMatrix {
  /** Float64 from one column to the next: m, made even by a row of zeros. */
  readonly stride: number;
  /** Column c at c * stride; after the last there are some of zeros. */
  readonly w: Float64Array;
  /** The reflector of a column, and that of the column before [stride]. */
  readonly left: Float64Array;
  readonly leftBefore: Float64Array;
  readonly fromRight: Float64Array;
  /** Put off: column k is w_k - leftWeights_k leftBefore - rowWeights_k fromRight. */
  readonly leftWeights: Float64Array;
  readonly rowWeights: Float64Array;

  constructor(
    readonly m: number,
    readonly n: number,
  ) {
    const padded = n + COLUMNS_TOGETHER - 1;
    this.stride = m + (m & 1);
    const sizes = [padded * this.stride, this.stride, this.stride, this.stride, padded, padded];
    const total = sizes.reduce((sum, size) => sum + size);
    const memory = new Float64Array(columnKernel.reserve(8 * total), 0, total).fill(0);
    let end = 0;
    [this.w, this.left, this.leftBefore, this.fromRight, this.leftWeights, this.rowWeights] = sizes.map((size) =>
      memory.subarray(end, (end += size)),
    );
  }

  /** Makes the change put off in rows `first` on of the columns after `first`; their leftWeights become `scale` times their product with `left`. */
  change(first: number, scale: number): void {
    const { stride, n, leftWeights, rowWeights } = this;
    const row = first & ~1; // row first - 1 is done with: it may change too, and `left` is 0 there
    columnKernel.call.change(
      this.column(first + 1, row),
      8 * stride,
      8 * (stride - row),
      addressOf(this.leftBefore, row),
      addressOf(this.fromRight, row),
      addressOf(this.left, row),
      addressOf(leftWeights, first + 1),
      addressOf(rowWeights, first + 1),
      addressOf(leftWeights, n),
      scale,
    );
  }

  /** `fromRight` as the sum of the columns from `first` on by their rowWeights, in rows `first` on. */
  sum(first: number): void {
    const { stride, n, rowWeights, fromRight } = this;
    const row = first & ~1;
    fromRight.fill(0, row);
    columnKernel.call.sum(
      this.column(first, row),
      8 * stride,
      8 * (stride - row),
      addressOf(rowWeights, first),
      addressOf(rowWeights, n),
      addressOf(fromRight, row),
    );
  }

  private column(k: number, row: number): number {
    return addressOf(this.w, k * this.stride + row);
  }
}

function addressOf(vector: Float64Array, at: number): number {
  return vector.byteOffset + 8 * at;
}

/**
 * Householder reflections from both sides, A = U B Vᵀ with B upper bidiagonal; the matrix is destroyed. The rank-two change of
 * a step is put off to the next, which makes it in the pass that it needs anyway (Howell et al. 2008): each step then reads all that is left
 * of the matrix twice and writes it once.
 * @returns the diagonal [n] and what stands above it [n], the last of which is 0
 */
function bidiagonalise(work: ColumnMatrix): { diagonal: Float64Array; above: Float64Array } {
  const { m, n, w, stride, left, leftBefore, fromRight, leftWeights, rowWeights } = work;
  const diagonal = new Float64Array(n);
  const above = new Float64Array(n);
  for (let c = 0; c < n; c++) {
    const column = c * stride;
    const u = leftWeights[c];
    const v = rowWeights[c];
    let square = 0;
    if (c > 0) left[c - 1] = 0;
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
    work.change(c, beta);
    // From the right: row c beyond the first superdiagonal becomes zero.
    square = 0;
    for (let k = c + 1; k < n; k++) {
      rowWeights[k] = w[k * stride + c] - leftWeights[k] * left[c];
      square += rowWeights[k] * rowWeights[k];
    }
    above[c] = rowWeights[c + 1] > 0 ? -Math.sqrt(square) : Math.sqrt(square);
    rowWeights[c + 1] -= above[c];
    let overlap = 0;
    for (let k = c + 1; k < n; k++) overlap += rowWeights[k] * leftWeights[k];
    const gamma = square > NO_LENGTH ? -1 / (above[c] * rowWeights[c + 1]) : 0;
    work.sum(c + 1);
    for (let r = c + 1; r < m; r++) fromRight[r] = gamma * (fromRight[r] - overlap * left[r]);
    leftBefore.set(left);
  }
  return { diagonal, above };
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
        throw new Error(`latent/linear: value ${last} of ${n} did not converge in ${MOST_SWEEPS} sweeps`);
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
