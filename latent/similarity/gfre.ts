import type { Matrix } from '../base/matrix.js';
import {
  ReconstructionSource,
  scaledSplits,
  squaredErrors,
  type ReconstructionErrors,
  type ReconstructionSplit,
  type ScaledSplit,
} from './featureReconstruction.js';
import { mean } from '../statistics/mean.js';

/**
 * Global feature reconstruction error (Goscinski et al. 2021; Chorna et al., arXiv 2512.05717), both ways, of paired rows x [n, p] and y [n, q]: root mean
 * square over the test rows of |y - xW|, W fitted on the training rows, both clouds scaled by those. 0 when one is a linear map of the other, about 1 when
 * it says nothing: also for a source whose training rows are all equal. Of a target whose training rows are there is nothing to reconstruct: null.
 * Costs singular value decompositions of the training rows.
 * @throws RangeError as `scaledSplits`
 */
export async function gfre(x: Matrix, y: Matrix, split: ReconstructionSplit): Promise<ReconstructionErrors> {
  const [left, right] = scaledSplits(x, y, split);
  const error = async (source: ScaledSplit, target: ScaledSplit) =>
    target.onePoint
      ? null
      : Math.sqrt(mean(await globalSquaredErrors(await ReconstructionSource.of(source.train), source, target)));
  return { xToY: await error(left, right), yToX: await error(right, left) };
}

/** Squared error of each test row [rows] of a target predicted from the training rows of a source. */
export async function globalSquaredErrors(
  fit: ReconstructionSource,
  source: ScaledSplit,
  target: ScaledSplit,
): Promise<Float64Array> {
  return squaredErrors(target.test, await fit.predict(target.train, source.test));
}
