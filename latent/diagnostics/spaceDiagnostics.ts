import { symmetricEigen } from '../linear/eigen.js';
import { columnMeans, type Matrix, finiteFloat64 } from '../base/matrix.js';
import { effectiveRank } from '../statistics/effectiveRank.js';
import type { Moments } from '../statistics/moments.js';
import { PairwiseDistances, squaredDistance } from '../neighbours/pairwise.js';

/** How the rows of an embedding space are spread (docs/method.md, Spaces). */
export interface SpaceDiagnostics {
  n: number;
  dim: number;
  /** Mean cosine over all pairs of different rows; 0 in an isotropic space. */
  meanCosine: number;
  /** Share of the second moment that is the mean: |mean|² / mean |x|². */
  meanShare: number;
  /** exp of the entropy of the shares of variance along the principal axes (Roy and Vetterli 2007): between 1 and d. */
  effectiveRank: number;
  meanNorm: number;
  /** Population standard deviation of the norms. */
  normDeviation: number;
}

/** Mean cosine above which coordinates should be centred by the anchors' mean (docs/method.md, Coordinates). */
export const ANISOTROPY_WARNING = 0.6;

/** Diagnostics from moments alone, so exact for any number of rows. */
export function spaceDiagnostics({ n, dim, mean, scatter, unitSum, normSum }: Moments): SpaceDiagnostics {
  const square = (v: Float64Array): number => v.reduce((sum, value) => sum + value * value, 0);
  const full = new Float64Array(dim * dim);
  let trace = 0;
  for (let i = 0, at = 0; i < dim; i++) {
    trace += scatter[at];
    for (let j = i; j < dim; j++, at++) full[i * dim + j] = full[j * dim + i] = scatter[at];
  }
  const meanSquare = square(mean) + trace / n;
  const meanNorm = normSum / n;
  return {
    n,
    dim,
    meanCosine: n > 1 ? (square(unitSum) - n) / (n * (n - 1)) : 1,
    meanShare: square(mean) / meanSquare,
    effectiveRank: effectiveRank(symmetricEigen(full, dim).values),
    meanNorm,
    normDeviation: Math.sqrt(Math.max(meanSquare - meanNorm * meanNorm, 0)),
  };
}

/**
 * Intrinsic dimension by the two nearest neighbours of every row (Facco et al. 2017): with mu = r2/r1 in ascending order and F = i/n,
 * the slope of -ln(1 - F) on ln mu through the origin, the last point dropped. Rows with a duplicate (r1 = 0) are left out.
 * Rows must be independent of one another: atoms of one crystal would be each other's neighbours, and look like a space of few dimensions.
 * @param x [n, d]; O(n²) work, so give it a sample
 * @returns null when fewer than 3 rows have no duplicate, or both neighbours of all rows are equally far, as on a lattice
 */
export async function twoNearestNeighbourDimension(x: Matrix): Promise<number | null> {
  const points = finiteFloat64(x, 'sample');
  const logRatios: number[] = [];
  await new PairwiseDistances(points, points).scan((i, squared, offset) => {
    let [first, second] = [-1, -1];
    for (let j = 0; j < points.rows; j++) {
      if (j === i) continue;
      if (first < 0 || squared[offset + j] < squared[offset + first]) [first, second] = [j, first];
      else if (second < 0 || squared[offset + j] < squared[offset + second]) second = j;
    }
    if (second < 0) return;
    const [a, b] = [squaredDistance(points, i, points, first), squaredDistance(points, i, points, second)];
    if (Math.min(a, b) > 0) logRatios.push(0.5 * Math.abs(Math.log(b / a)));
  });
  const n = logRatios.length;
  if (n < 3) return null;
  logRatios.sort((a, b) => a - b);
  let [across, along] = [0, 0];
  for (let i = 0; i < n - 1; i++) {
    across -= logRatios[i] * Math.log(1 - (i + 1) / n);
    along += logRatios[i] * logRatios[i];
  }
  return along === 0 ? null : across / along;
}

/**
 * Share of the variance of x [n, d] that lies between groups of rows (elements): 0 when all groups have one mean, 1 when rows of a group are
 * equal.
 * @returns null where all rows are equal
 */
export function groupShare(x: Matrix, groups: ArrayLike<number>): number | null {
  const { data, rows, columns } = finiteFloat64(x, 'sample');
  const mean = columnMeans(x);
  const members = new Map<number, { sum: Float64Array; count: number }>();
  let total = 0;
  for (let row = 0, at = 0; row < rows; row++) {
    const group = members.get(groups[row]) ?? { sum: new Float64Array(columns), count: 0 };
    members.set(groups[row], group);
    group.count++;
    for (let c = 0; c < columns; c++, at++) {
      group.sum[c] += data[at] - mean[c];
      total += (data[at] - mean[c]) ** 2;
    }
  }
  let between = 0;
  for (const { sum, count } of members.values()) between += sum.reduce((a, value) => a + value * value, 0) / count;
  return total === 0 ? null : Math.min(1, between / total);
}
