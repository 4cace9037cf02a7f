import type { Matrix } from '../matrix.js';
import {
  fitReconstruction,
  meanSquaredError,
  scaledSplits,
  type ReconstructionErrors,
  type ReconstructionSplit,
  type ScaledSplit,
} from './featureReconstruction.js';

/**
 * Global feature reconstruction error (Goscinski et al. 2021; Chorna et al., arXiv 2512.05717), both ways, of paired rows x [n, p] and y [n, q]: root mean
 * square over the test rows of |y - xW|, W fitted on the training rows, both clouds scaled by those. 0 when one is a linear map of the other, about 1 when
 * it says nothing: also for a source whose training rows are all equal. A target that is one point has error 0.
 * Costs singular value decompositions of the training rows: about 2 s a direction at n = 4,000, p = 100.
 * @throws RangeError as `scaledSplits`
 */
export function gfre(x: Matrix, y: Matrix, split: ReconstructionSplit): ReconstructionErrors {
  const [left, right] = scaledSplits(x, y, split);
  return { xToY: globalError(left, right), yToX: globalError(right, left) };
}

function globalError(source: ScaledSplit, target: ScaledSplit): number {
  return Math.sqrt(meanSquaredError(source.test, target.test, fitReconstruction(source.train, target.train)));
}
