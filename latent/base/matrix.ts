/** A dense matrix view: `data` [rows, columns], row-major. */
export interface Matrix<T extends Float32Array | Float64Array = Float32Array | Float64Array> {
  readonly data: T;
  readonly rows: number;
  readonly columns: number;
}

/**
 * Wraps `data` as a matrix.
 * @throws RangeError when the length is not rows x columns
 */
export function matrix<T extends Float32Array | Float64Array>(data: T, rows: number, columns: number): Matrix<T> {
  if (data.length !== rows * columns)
    throw new RangeError(`latent/base: ${data.length} values do not make ${rows} rows of ${columns}`);
  return { data, rows, columns };
}

/**
 * The same matrix in float64, checked to be finite.
 * @param name of the matrix in the error message
 * @throws RangeError naming the first row with a NaN or an infinite value
 */
export function finiteFloat64(x: Matrix, name: string): Matrix<Float64Array> {
  const data = x.data instanceof Float64Array ? x.data : new Float64Array(x.data);
  for (let at = 0; at < data.length; at++)
    if (!Number.isFinite(data[at]))
      throw new RangeError(
        `latent/base: ${name} has ${data[at]} in row ${Math.floor(at / x.columns)}, column ${at % x.columns}; values must be finite`,
      );
  return { data, rows: x.rows, columns: x.columns };
}

/** The chosen rows, in the order of `indices`. */
export function takeRows<T extends Float32Array | Float64Array>(x: Matrix<T>, indices: ArrayLike<number>): Matrix<T> {
  const data = new (x.data.constructor as new (length: number) => T)(indices.length * x.columns);
  for (let row = 0; row < indices.length; row++) {
    const from = indices[row] * x.columns;
    data.set(x.data.subarray(from, from + x.columns), row * x.columns);
  }
  return { data, rows: indices.length, columns: x.columns };
}

/** Column means [columns]. */
export function columnMeans(x: Matrix): Float64Array {
  const means = new Float64Array(x.columns);
  for (let row = 0, at = 0; row < x.rows; row++) for (let c = 0; c < x.columns; c++) means[c] += x.data[at++];
  for (let c = 0; c < x.columns; c++) means[c] /= x.rows;
  return means;
}

/** A float64 copy with `shift` [columns] subtracted from every row; the column means by default. */
export function centred(x: Matrix, shift: Float64Array = columnMeans(x)): Matrix<Float64Array> {
  const data = new Float64Array(x.data.length);
  for (let row = 0, at = 0; row < x.rows; row++)
    for (let c = 0; c < x.columns; c++, at++) data[at] = x.data[at] - shift[c];
  return { data, rows: x.rows, columns: x.columns };
}

/** Squared Euclidean norm of every row [rows]. */
export function squaredNorms(x: Matrix): Float64Array {
  const norms = new Float64Array(x.rows);
  for (let row = 0, at = 0; row < x.rows; row++)
    for (let c = 0; c < x.columns; c++, at++) norms[row] += x.data[at] ** 2;
  return norms;
}

/** Sum of squares. */
export function squaredFrobenius(a: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += a[at] * a[at];
  return sum;
}
