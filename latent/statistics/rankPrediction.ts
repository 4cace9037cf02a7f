import { countUp } from '../base/integers.js';
import { resampleClusters } from './clusterBootstrap.js';
import { quantile } from './bootstrap.js';

/** One in how many rows counts as bad. */
export const WORST_ONE_IN = 10;
/** Clusters below which a bootstrap says nothing. */
export const FEWEST_CLUSTERS = 5;

/** A figure with its interval; without one where there are too few clusters. */
export interface Estimate {
  value: number;
  low: number | null;
  high: number | null;
}

/** How well a score foretells an error. */
export interface RankPrediction {
  /** Spearman's rank correlation, ties by their mean rank. */
  spearman: Estimate;
  /** Area under the ROC curve of finding the rows of the largest errors, ties half. */
  auroc: Estimate;
}

/**
 * How well scores [n] foretell errors [n], by their ranks alone. The rows to find are the fewest with the largest errors that make up one in
 * {@link WORST_ONE_IN}, and those that equal the last of them. 95 % percentile intervals are of a bootstrap over clusters of rows, in which
 * the rows to find are found anew; replicates that draw no two different scores or errors have no value and are left out.
 * @param clusters cluster of each row [n], numbered from 0, and their number
 * @returns undefined where all scores or all errors are equal, or no row is left beside those to find
 * @throws RangeError for numbers that are not finite, which have no rank
 */
export function rankPrediction(
  scores: ArrayLike<number>,
  errors: ArrayLike<number>,
  clusters: { groups: ArrayLike<number>; count: number },
  replicates: number,
  seed: number,
): RankPrediction | undefined {
  const [byScore, byError] = [new Ranking(scores, 'score'), new Ranking(errors, 'error')];
  const weights = new Int32Array(scores.length).fill(1);
  const estimate = figures(byScore, byError, weights);
  if (!estimate) return undefined;
  const drawn: { spearman: number[]; auroc: number[] } = { spearman: [], auroc: [] };
  if (clusters.count >= FEWEST_CLUSTERS)
    resampleClusters(clusters.count, replicates, seed, (_, counts) => {
      for (let row = 0; row < weights.length; row++) weights[row] = counts[clusters.groups[row]];
      const found = figures(byScore, byError, weights);
      if (!found) return;
      drawn.spearman.push(found.spearman);
      drawn.auroc.push(found.auroc);
    });
  const withInterval = (name: 'spearman' | 'auroc'): Estimate => {
    const sorted = Float64Array.from(drawn[name]).sort();
    if (sorted.length === 0) return { value: estimate[name], low: null, high: null };
    return { value: estimate[name], low: quantile(sorted, 0.025), high: quantile(sorted, 0.975) };
  };
  return { spearman: withInterval('spearman'), auroc: withInterval('auroc') };
}

/** Both figures of rows that each occur `weights` times; undefined where they are not defined. */
function figures(byScore: Ranking, byError: Ranking, weights: Int32Array) {
  const [x, y] = [byScore.ranks(weights), byError.ranks(weights)];
  let n = 0;
  for (const weight of weights) n += weight;
  const middle = (n + 1) / 2; // the mean of ranks, whatever the ties
  let [xx, yy, xy] = [0, 0, 0];
  for (let row = 0; row < weights.length; row++) {
    const [dx, dy] = [x[row] - middle, y[row] - middle];
    xx += weights[row] * dx * dx;
    yy += weights[row] * dy * dy;
    xy += weights[row] * dx * dy;
  }
  if (xx === 0 || yy === 0) return undefined;

  const worst = byError.largest(weights, n / WORST_ONE_IN);
  let [positives, sum] = [0, 0];
  for (let row = 0; row < weights.length; row++) {
    if (byError.values[row] < worst) continue;
    positives += weights[row];
    sum += weights[row] * x[row];
  }
  if (positives === n) return undefined;
  return {
    spearman: Math.max(-1, Math.min(1, xy / Math.sqrt(xx * yy))),
    auroc: (sum - (positives * (positives + 1)) / 2) / (positives * (n - positives)),
  };
}

/** Values sorted once, ranked under any weights in linear time. */
class Ranking {
  private readonly order: Int32Array;
  private readonly found: Float64Array;

  constructor(
    readonly values: ArrayLike<number>,
    what: string,
  ) {
    for (let row = 0; row < values.length; row++)
      if (!Number.isFinite(values[row]))
        throw new RangeError(`latent/statistics: ${what} ${values[row]} of row ${row} has no rank; leave it out`);
    this.order = countUp(values.length).sort((a, b) => values[a] - values[b]);
    this.found = new Float64Array(values.length);
  }

  /** Ranks from 1 [n], ties by their mean, as if each row came `weights` times; overwritten by the next call. */
  ranks(weights: Int32Array): Float64Array {
    const { order, values, found } = this;
    let below = 0;
    for (let first = 0; first < order.length;) {
      let [end, tied] = [first, 0];
      for (; end < order.length && values[order[end]] === values[order[first]]; end++) tied += weights[order[end]];
      for (let at = first; at < end; at++) found[order[at]] = below + (tied + 1) / 2;
      below += tied;
      first = end;
    }
    return found;
  }

  /** The value from which on rows of a weight of at least `share` lie, the largest such. */
  largest(weights: Int32Array, share: number): number {
    const { order, values } = this;
    let above = 0;
    let at = order.length;
    while (above < share) above += weights[order[--at]];
    return values[order[at]];
  }
}
