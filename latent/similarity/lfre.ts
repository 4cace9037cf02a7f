import { centred, takeRows, type Matrix } from '../base/matrix.js';
import { squaredDistance } from '../neighbours/pairwise.js';
import {
  aboutMean,
  ReconstructionSource,
  scaledSplits,
  squaredErrors,
  type ReconstructionErrors,
  type ReconstructionSplit,
  type ScaledSplit,
} from './featureReconstruction.js';
import { mean } from '../statistics/mean.js';

/**
 * Local feature reconstruction error (Goscinski et al. 2021; Chorna et al., arXiv 2512.05717), both ways: as `gfre`, but every test row has a map of its own,
 * fitted about their means on the training rows nearest to it in the source (ties to the one that comes first). Low where the clouds are smooth
 * functions of one another, linear or not. Null of a target that is one point; a source that is one point predicts the mean of the first rows.
 * Costs three small singular value decompositions a test row: give fewer test rows at p = 100.
 * @param neighbours training rows of a local map; min(p, q) by default, as published, which leaves the map one direction short
 * @throws RangeError as `scaledSplits`, or when there are fewer training rows than neighbours
 */
export async function lfre(
  x: Matrix,
  y: Matrix,
  split: ReconstructionSplit,
  neighbours = Math.min(x.columns, y.columns),
): Promise<ReconstructionErrors> {
  const [left, right] = scaledSplits(x, y, split);
  const error = async (source: ScaledSplit, target: ScaledSplit) =>
    target.onePoint ? null : Math.sqrt(mean(await localSquaredErrors(await localSources(source, neighbours), target)));
  return { xToY: await error(left, right), yToX: await error(right, left) };
}

/** What the map of one test row is fitted on. */
export interface LocalSource {
  /** Positions of its rows among the training rows, nearest first. */
  near: Int32Array;
  fit: ReconstructionSource;
  /** The test row about the mean of those rows [1, p]. */
  test: Matrix<Float64Array>;
}

/**
 * The sources of all test rows.
 * @throws RangeError when there are fewer training rows than neighbours
 */
export async function localSources({ train, test }: ScaledSplit, neighbours: number): Promise<LocalSource[]> {
  if (!(Number.isInteger(neighbours) && neighbours >= 1 && neighbours <= train.rows))
    throw new RangeError(
      `latent/similarity: local maps of ${neighbours} among ${train.rows} training rows; give 1 to as many`,
    );
  const sources: LocalSource[] = [];
  for (let i = 0; i < test.rows; i++) {
    const near = nearestRows(train, test, i, neighbours);
    const { points, mean } = aboutMean(takeRows(train, near));
    sources.push({ near, fit: await ReconstructionSource.of(points), test: centred(takeRows(test, [i]), mean) });
  }
  return sources;
}

/** Squared error of each test row [rows] of a target. */
export async function localSquaredErrors(sources: readonly LocalSource[], target: ScaledSplit): Promise<Float64Array> {
  const errors = new Float64Array(sources.length);
  for (const [i, { near, fit, test }] of sources.entries()) {
    const { points, mean } = aboutMean(takeRows(target.train, near));
    errors[i] = squaredErrors(centred(takeRows(target.test, [i]), mean), await fit.predict(points, test))[0];
  }
  return errors;
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
