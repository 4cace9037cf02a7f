import { centred, squaredNorms, type Matrix } from '../base/matrix.js';

/** Rows of one model about their mean, with the sums that the linear metrics need of a single model. */
export interface CentredCloud {
  /** [n, p], columns of mean 0. */
  points: Matrix<Float64Array>;
  /** |x_i|² [n]. */
  squaredNorms: Float64Array;
  /** |X|²_F. */
  total: number;
}

/** A centred cloud with its second moments. */
export interface GramCloud extends CentredCloud {
  /** XᵀX [p, p]. */
  gram: Float64Array;
}

/** Centres the rows and computes the sums. */
export function centredCloud(x: Matrix): CentredCloud {
  const points = centred(x);
  const norms = squaredNorms(points);
  return { points, squaredNorms: norms, total: norms.reduce((sum, norm) => sum + norm, 0) };
}
