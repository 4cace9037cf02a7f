import { seededRandom } from '../random.js';
import { mean } from './mutualNeighbours.js';

/** Values of one draw of a metric: the estimate and its bootstrap replicates. */
export interface DrawEstimate {
  value: number;
  replicates: Float64Array;
}

/** A value over draws with its interval. */
export interface Interval {
  value: number;
  low: number;
  high: number;
}

/**
 * Bootstrap replicates of several metrics over the same rows: each replicate resamples n rows with replacement, the same ones for all metrics, and moves a
 * metric by the mean influence of the rows drawn. For a mean of rows (mutual neighbours, neighbour sets held fixed) that is the plain bootstrap. For
 * the others it is the bootstrap of their first-order expansion: recomputing them on rows drawn twice would also raise them, since a duplicate agrees
 * with itself.
 * @param influences of each metric [n], mean 0
 * @returns for each metric `replicates` shifts to add to its value
 */
export function bootstrapShifts(influences: Float64Array[], replicates: number, seed: number): Float64Array[] {
  const n = influences[0]?.length ?? 0;
  const random = seededRandom(seed);
  const rows = new Int32Array(n);
  const shifts = influences.map(() => new Float64Array(replicates));
  for (let replicate = 0; replicate < replicates; replicate++) {
    for (let at = 0; at < n; at++) rows[at] = Math.floor(random() * n);
    influences.forEach((influence, metric) => {
      let sum = 0;
      for (let at = 0; at < n; at++) sum += influence[rows[at]];
      shifts[metric][replicate] = sum / n;
    });
  }
  return shifts;
}

/**
 * The value over draws is their mean; the 95 % interval holds the middle of all draws' replicates pooled, so that it covers the spread within
 * a draw and between draws. Draws share a pool of structures: it is not narrowed by their number.
 * @param bounds the range that the metric cannot leave
 * @throws RangeError without draws
 */
export function combineDraws(
  draws: readonly DrawEstimate[],
  bounds: [number, number] = [-Infinity, Infinity],
): Interval {
  if (draws.length === 0) throw new RangeError('latent/similarity: no draws to combine');
  const value = mean(draws.map((draw) => draw.value));
  const pooled = Float64Array.from(draws.flatMap((draw) => Array.from(draw.replicates))).sort();
  if (pooled.length === 0) return { value, low: value, high: value };
  const within = (at: number) => Math.min(bounds[1], Math.max(bounds[0], at));
  return { value, low: within(quantile(pooled, 0.025)), high: within(quantile(pooled, 0.975)) };
}

/** Quantile by linear interpolation of sorted values (numpy's default). */
export function quantile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(sorted.length - 1, below + 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}
