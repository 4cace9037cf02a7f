import { centred, type Matrix } from '../matrix.js';
import { crossProduct, squaredNorms } from '../pairwise.js';

/** Rows of one model about their mean, with the sums that the linear metrics need of a single model. */
export interface CentredCloud {
  /** [n, p], columns of mean 0. */
  points: Matrix<Float64Array>;
  /** |x_i|² [n]. */
  squaredNorms: Float64Array;
  /** |X|²_F. */
  total: number;
  /** XᵀX [p, p]. */
  gram: Float64Array;
}

/**
 * Centres the rows and computes the sums.
 * @param known XᵀX of the same rows, where it was computed before
 */
export async function centredCloud(x: Matrix, known?: Float64Array): Promise<CentredCloud> {
  const points = centred(x);
  const norms = squaredNorms(points);
  const gram = known ?? (await crossProduct(points, points));
  return { points, squaredNorms: norms, total: norms.reduce((sum, norm) => sum + norm, 0), gram };
}

/** Sum of squares. */
export function squaredFrobenius(a: Float64Array): number {
  let sum = 0;
  for (const value of a) sum += value * value;
  return sum;
}
