import { columnScale } from '../statistics/columnScale.js';
import { gramMatrix } from '../kernels/products.js';
import { type Matrix } from '../base/matrix.js';
import { PairwiseDistances } from '../neighbours/pairwise.js';
import { solvePositiveDefinite } from '../linear/cholesky.js';

/** Predicts one number for each row of standardised vectors. */
export type Head = (x: Matrix<Float64Array>) => Promise<Float64Array>;

/** Strength of the ridge: chosen by native cross-validation a head fails on other models, since coordinates are nearly collinear. */
export const RIDGE_STRENGTH = 1e3;
/** Neighbours of the other head. */
export const HEAD_NEIGHBOURS = 5;

/** The heads, fixed beforehand. */
export const HEADS = { ridge: ridgeHead, neighbours: neighbourHead } as const;
/** Name of a head. */
export type HeadName = keyof typeof HEADS;

/**
 * The rows of x less the means of `reference` over its deviations: every model is standardised by its *own* statistics, so that heads see
 * alike columns. Constant columns become 0.
 */
export function standardised(x: Matrix, reference: Matrix): Matrix<Float64Array> {
  const { mean, deviation } = columnScale(reference);
  const data = new Float64Array(x.data.length);
  for (let row = 0, at = 0; row < x.rows; row++)
    for (let c = 0; c < x.columns; c++, at++) data[at] = (x.data[at] - mean[c]) / deviation[c];
  return { data, rows: x.rows, columns: x.columns };
}

/** Ridge regression of strength {@link RIDGE_STRENGTH} with an intercept that is not penalised; x [n, p] must be centred. */
export async function ridgeHead(x: Matrix<Float64Array>, y: Float64Array): Promise<Head> {
  const p = x.columns;
  const intercept = y.reduce((sum, value) => sum + value, 0) / y.length;
  const a = await gramMatrix(x.data, x.rows, p);
  for (let c = 0; c < p; c++) a[c * p + c] += RIDGE_STRENGTH;
  const b = new Float64Array(p);
  for (let row = 0, at = 0; row < x.rows; row++)
    for (let c = 0; c < p; c++) b[c] += x.data[at++] * (y[row] - intercept);
  const weights = solvePositiveDefinite(a, p, b, 1);
  return (other) => {
    const predicted = new Float64Array(other.rows).fill(intercept);
    for (let row = 0, at = 0; row < other.rows; row++)
      for (let c = 0; c < p; c++) predicted[row] += other.data[at++] * weights[c];
    return Promise.resolve(predicted);
  };
}

/** Mean target of the {@link HEAD_NEIGHBOURS} nearest training rows. */
export function neighbourHead(x: Matrix<Float64Array>, y: Float64Array): Promise<Head> {
  const k = Math.min(HEAD_NEIGHBOURS, x.rows);
  return Promise.resolve(async (other) => {
    const predicted = new Float64Array(other.rows);
    const nearest = new Float64Array(k);
    const targets = new Float64Array(k);
    await new PairwiseDistances(other, x).scan((i, squared, offset) => {
      nearest.fill(Infinity);
      for (let j = 0; j < x.rows; j++) {
        const distance = squared[offset + j];
        if (distance >= nearest[k - 1]) continue;
        let at = k - 1;
        for (; at > 0 && nearest[at - 1] > distance; at--) {
          nearest[at] = nearest[at - 1];
          targets[at] = targets[at - 1];
        }
        nearest[at] = distance;
        targets[at] = y[j];
      }
      predicted[i] = targets.reduce((sum, value) => sum + value, 0) / k;
    });
    return predicted;
  });
}
