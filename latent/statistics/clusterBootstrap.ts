import { seededRandom } from '../base/random.js';
import { quantile, type Interval } from './bootstrap.js';

/**
 * Calls `visit` with bootstrap weights: how often each cluster was drawn when as many as there are were drawn with replacement.
 * @param visit gets the number of the replicate and the weights [clusters], reused by the next
 */
export function resampleClusters(
  clusters: number,
  replicates: number,
  seed: number,
  visit: (replicate: number, weights: Int32Array) => void,
): void {
  const random = seededRandom(seed);
  const weights = new Int32Array(clusters);
  for (let replicate = 0; replicate < replicates; replicate++) {
    weights.fill(0);
    for (let drawn = 0; drawn < clusters; drawn++) weights[Math.floor(random() * clusters)]++;
    visit(replicate, weights);
  }
}

/**
 * Means of several figures over rows, each with a 95 % percentile interval from a bootstrap over clusters of rows (structures,
 * prototypes): rows of one cluster are no independent evidence. One cluster gives an interval without width.
 * @param columns figures [rows] each
 * @param groups [rows] cluster of each row, numbered from 0
 * @throws RangeError without rows
 */
export function clusterMeans(
  columns: readonly ArrayLike<number>[],
  { groups, count }: { groups: ArrayLike<number>; count: number },
  replicates: number,
  seed: number,
): Interval[] {
  const rows = groups.length;
  if (rows === 0) throw new RangeError('latent/statistics: there are no rows to take a mean of');
  const sizes = new Float64Array(count);
  for (let row = 0; row < rows; row++) sizes[groups[row]]++;
  const sums = columns.map((values) => {
    const sum = new Float64Array(count);
    for (let row = 0; row < rows; row++) sum[groups[row]] += values[row];
    return sum;
  });
  const drawn = columns.map(() => new Float64Array(replicates));
  resampleClusters(count, replicates, seed, (replicate, weights) => {
    const n = weighted(sizes, weights);
    sums.forEach((sum, column) => (drawn[column][replicate] = weighted(sum, weights) / n));
  });
  return sums.map((sum, column) => {
    const sorted = drawn[column].sort();
    return {
      value: sum.reduce((total, part) => total + part, 0) / rows,
      low: quantile(sorted, 0.025),
      high: quantile(sorted, 0.975),
    };
  });
}

function weighted(values: Float64Array, weights: Int32Array): number {
  let sum = 0;
  for (let at = 0; at < values.length; at++) sum += values[at] * weights[at];
  return sum;
}
