import { matrix } from '../base/matrix.js';
import { innerProducts } from '../kernels/products.js';
import { seededIntegers } from '../base/random.js';
import { mean } from './mean.js';

/** Values of one draw of a metric: the estimate and its bootstrap replicates. */
export interface DrawEstimate {
  value: number;
  replicates: Float64Array;
}

/** Replicates whose counts are held at a time: 1 MB for 4,000 rows. */
const BLOCK_REPLICATES = 32;

/** A value over draws with its interval. */
export interface Interval {
  value: number;
  low: number;
  high: number;
}

/**
 * Bootstrap replicates of metrics over the same rows: each replicate resamples n rows with replacement, the same ones for all metrics, and moves a
 * metric by the mean influence of the rows drawn. For a mean of rows (mutual neighbours, neighbour sets held fixed) that is the plain bootstrap. For
 * the others it is the bootstrap of their first-order expansion: recomputing them on rows drawn twice would also raise them, since a duplicate agrees
 * with itself.
 */
export class RowResamples {
  private counts: Uint8Array | undefined;

  /** @param n rows */
  constructor(
    private readonly n: number,
    readonly replicates: number,
    private readonly seed: number,
  ) {}

  /**
   * @param influences of each metric [n], mean 0
   * @returns for each metric `replicates` shifts to add to its value
   */
  async shifts(influences: Float64Array[]): Promise<Float64Array[]> {
    const { n, replicates } = this;
    const shifts = influences.map(() => new Float64Array(replicates));
    if (n === 0 || replicates === 0) return shifts;
    // Sums over drawn rows are products of how often each row was drawn with the influences: a matrix product for a block of replicates.
    const distinct = [...new Set(influences)];
    const stacked = new Float64Array(distinct.length * n);
    distinct.forEach((influence, at) => stacked.set(influence, at * n));
    const places = influences.map((influence) => distinct.indexOf(influence));
    this.counts ??= drawCounts(n, replicates, this.seed);
    for (let first = 0; first < replicates; first += BLOCK_REPLICATES) {
      const size = Math.min(BLOCK_REPLICATES, replicates - first);
      const block = new Float64Array(this.counts.subarray(first * n, (first + size) * n));
      await innerProducts(matrix(block, size, n), matrix(stacked, distinct.length, n), (r, sums, offset) =>
        places.forEach((place, metric) => (shifts[metric][first + r] = sums[offset + place] / n)),
      );
    }
    return shifts;
  }
}

/** How often each row is drawn [replicates, n] when n are drawn with replacement; more than 255 times never happens. */
function drawCounts(n: number, replicates: number, seed: number): Uint8Array {
  const below = seededIntegers(seed);
  const counts = new Uint8Array(replicates * n);
  for (let start = 0; start < counts.length; start += n)
    for (let drawn = 0; drawn < n; drawn++) counts[start + below(n)]++;
  return counts;
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
  if (draws.length === 0) throw new RangeError('latent/statistics: no draws to combine');
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
