import { centred, takeRows, type Matrix } from '../matrix.js';
import { squaredDistance } from '../pairwise.js';
import {
  aboutMean,
  fitReconstruction,
  meanSquaredError,
  scaledSplits,
  type ReconstructionErrors,
  type ReconstructionSplit,
  type ScaledSplit,
} from './featureReconstruction.js';

/**
 * Local feature reconstruction error (Goscinski et al. 2021; Chorna et al., arXiv 2512.05717), both ways: as `gfre`, but every test row has a map of its own,
 * fitted about their means on the training rows nearest to it in the source (ties to the one that comes first). Low where the clouds are smooth
 * functions of one another, linear or not. A target that is one point has error 0; a source that is one point predicts the mean of the first rows.
 * Costs three small singular value decompositions a test row: give fewer test rows at p = 100.
 * @param neighbours training rows of a local map; min(p, q) by default, as published, which leaves the map one direction short
 * @throws RangeError as `scaledSplits`, or when there are fewer training rows than neighbours
 */
export function lfre(
  x: Matrix,
  y: Matrix,
  split: ReconstructionSplit,
  neighbours = Math.min(x.columns, y.columns),
): ReconstructionErrors {
  if (!(Number.isInteger(neighbours) && neighbours >= 1 && neighbours <= split.train.length))
    throw new RangeError(
      `latent/similarity: local maps of ${neighbours} among ${split.train.length} training rows; give 1 to as many`,
    );
  const [left, right] = scaledSplits(x, y, split);
  return { xToY: localError(left, right, neighbours), yToX: localError(right, left, neighbours) };
}

function localError(source: ScaledSplit, target: ScaledSplit, k: number): number {
  let sum = 0;
  for (let i = 0; i < source.test.rows; i++) {
    const near = nearestRows(source.train, source.test, i, k);
    const [x, y] = [aboutMean(takeRows(source.train, near)), aboutMean(takeRows(target.train, near))];
    const map = fitReconstruction(x.points, y.points);
    const [xTest, yTest] = [takeRows(source.test, [i]), takeRows(target.test, [i])];
    sum += meanSquaredError(centred(xTest, x.mean), centred(yTest, y.mean), map);
  }
  return Math.sqrt(sum / source.test.rows);
}

/** The k rows of a cloud nearest to row i of another, nearest first. */
function nearestRows(cloud: Matrix, other: Matrix, i: number, k: number): Int32Array {
  const rows = new Int32Array(k);
  const best = new Float64Array(k).fill(Infinity);
  for (let j = 0; j < cloud.rows; j++) {
    const squared = squaredDistance(other, i, cloud, j);
    if (squared >= best[k - 1]) continue;
    let at = k - 1;
    for (; at > 0 && best[at - 1] > squared; at--) {
      best[at] = best[at - 1];
      rows[at] = rows[at - 1];
    }
    best[at] = squared;
    rows[at] = j;
  }
  return rows;
}
