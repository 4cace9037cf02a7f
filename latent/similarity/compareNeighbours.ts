import type { SimilarityMetric } from '../../config/names.js';
import { lastOnly } from '../base/lastOnly.js';
import { hubness } from '../neighbours/neighbours.js';
import type { RowSet } from '../samples/rowSet.js';
import { cknnaInfluence, cknnaOf, sharedKernel } from './cknna.js';
import type { Measured } from './measured.js';
import { measureOf, type SimilarityValueName } from './metrics.js';
import { neighbourOverlaps, permutedOverlap, permutedOverlaps } from './mutualNeighbours.js';
import type { PreparedCloud } from './preparedCloud.js';

/**
 * The metrics of mutual neighbours and CKNNA.
 * @param withKernels whether CKNNA has nulls too, which tell the overlap of the neighbours by cosine on the way
 */
export function compareNeighbours(
  metrics: readonly SimilarityMetric[],
  x: PreparedCloud,
  y: PreparedCloud,
  rows: RowSet,
  withKernels: boolean,
): Measured[] {
  const measured: Measured[] = [];
  const [a, b] = [x.work.kernel, y.work.kernel];
  const kernels = metrics.includes('cknna') && a && b ? { a, b } : null;
  const shared = kernels && lastOnly((permutation: Int32Array) => sharedKernel(kernels.a, kernels.b, permutation));
  for (const metric of metrics) {
    const measure = measureOf[metric];
    const [inX, inY] = measure ? [x.work.neighbours[measure], y.work.neighbours[measure]] : [];
    if (!inX || !inY) continue;
    const value = permutedOverlap(inX, inY, null); // rounded as those of permutations are
    measured.push({
      metric,
      name: metric as SimilarityValueName,
      rows,
      value,
      influence: () => neighbourOverlaps(inX, inY).map((overlap) => overlap - value),
      hubness: { x: hubness(inX), y: hubness(inY) },
      permuted:
        shared && withKernels && measure === 'cosine'
          ? (permutation) => shared(permutation).overlap
          : { all: (permutations) => permutedOverlaps(inX, inY, permutations) },
    });
  }
  if (kernels && shared)
    measured.push({
      metric: 'cknna',
      name: 'cknna',
      rows,
      value: cknnaOf(kernels.a, kernels.b),
      influence: () => cknnaInfluence(kernels.a, kernels.b),
      hubness: { x: hubness(kernels.a.neighbours), y: hubness(kernels.b.neighbours) },
      permuted: (permutation) => cknnaOf(kernels.a, kernels.b, shared(permutation)),
    });
  return measured;
}
