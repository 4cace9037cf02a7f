type Matrix3 = readonly [number, number, number, number, number, number, number, number, number];

/** Determinant of a 3 x 3 row-major matrix; of a lattice, its volume, negative where the axes are left-handed. */
export function determinant3(matrix: Float64Array | readonly number[]): number {
  const [a, b, c, d, e, f, g, h, i] = entries(matrix);
  return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
}

/** Inverse of a 3 x 3 row-major matrix; not finite where it has none. */
export function inverse3(matrix: Float64Array | readonly number[]): Float64Array {
  const [a, b, c, d, e, f, g, h, i] = entries(matrix);
  const determinant = determinant3(matrix);
  // prettier-ignore
  return Float64Array.of(
    (e * i - f * h) / determinant, (c * h - b * i) / determinant, (b * f - c * e) / determinant,
    (f * g - d * i) / determinant, (a * i - c * g) / determinant, (c * d - a * f) / determinant,
    (d * h - e * g) / determinant, (b * g - a * h) / determinant, (a * e - b * d) / determinant,
  );
}

function entries(matrix: Float64Array | readonly number[]): Matrix3 {
  return matrix as unknown as Matrix3;
}
