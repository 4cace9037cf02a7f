import { columnMeans, type Matrix } from '../base/matrix.js';

/** Mean and standard deviation of every coordinate of a model: what makes coordinates of different models comparable. */
export interface ColumnScale {
  /** [K] */
  mean: Float64Array;
  /** [K], 1 for a constant column */
  deviation: Float64Array;
}

/** Deviations below this share of their root mean square are rounding of float32; such a column says nothing. */
const CONSTANT = 1e-6;

/** The scale of the columns of x [n, K]. @throws RangeError without rows */
export function columnScale(x: Matrix): ColumnScale {
  if (x.rows === 0) throw new RangeError('latent/statistics: there are no rows to take a scale from');
  const mean = columnMeans(x);
  const deviation = new Float64Array(x.columns);
  for (let row = 0, at = 0; row < x.rows; row++)
    for (let c = 0; c < x.columns; c++, at++) deviation[c] += (x.data[at] - mean[c]) ** 2;
  const floor = CONSTANT * Math.sqrt(deviation.reduce((sum, value) => sum + value, 0) / x.columns / x.rows);
  for (let c = 0; c < x.columns; c++) {
    const value = Math.sqrt(deviation[c] / x.rows);
    deviation[c] = value > floor ? value : 1;
  }
  return { mean, deviation };
}
