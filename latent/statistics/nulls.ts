import { rowsByLabel } from '../base/groups.js';
import { countUp } from '../base/integers.js';
import { seededIntegers } from '../base/random.js';
import { mean } from './mean.js';

/** A similarity against its permutation null. */
export interface Calibration {
  /** Mean similarity under the null. */
  nullMean: number;
  /** The value that the null exceeds with probability alpha. */
  threshold: number;
  /** max(0, (s - threshold) / (s_max - threshold)), at most 1. */
  calibrated: number;
  /** (1 + permutations at least as similar) / (1 + permutations). */
  pValue: number;
}

/** Values closer than this are ties: equal similarities may differ by rounding. */
const TIE = 1e-9;

/**
 * Null calibration (calibrated-similarity; arXiv 2602.14486, algorithm 1): threshold is the order statistic ceil((1 - alpha)(P + 1)) of observed and null
 * values together.
 * @param similarity observed; larger is more alike
 * @param nulls similarities under P permutations
 * @param most the largest value that the similarity can take
 */
export function calibrate(similarity: number, nulls: Float64Array, most = 1, alpha = 0.05): Calibration {
  const count = nulls.length;
  if (count === 0) throw new RangeError('latent/statistics: calibration needs at least one permutation');
  const combined = Float64Array.of(similarity, ...nulls).sort();
  // 1 - alpha is not exact in binary: without the slack, 0.95 * 200 would round up to 191
  const position = Math.ceil((1 - alpha) * (count + 1) - 1e-9) - 1;
  const threshold = combined[Math.min(count, Math.max(0, position))];
  const atLeast = nulls.reduce((sum, value) => sum + (value >= similarity - TIE ? 1 : 0), 0);
  return {
    nullMean: mean(nulls),
    threshold,
    calibrated: aboveThreshold(similarity, threshold, most),
    pValue: (1 + atLeast) / (1 + count),
  };
}

/** max(0, (s - threshold) / (most - threshold)), at most 1; 0 where the null reaches the largest value itself. */
export function aboveThreshold(similarity: number, threshold: number, most = 1): number {
  const range = most - threshold;
  return range > 1e-12 ? Math.min(1, Math.max(0, (similarity - threshold) / range)) : 0;
}

/**
 * Permutations of n rows; with `groups`, only within equal groups.
 * @param groups label of each row [n], such as its atomic number
 */
export function* permutations(
  n: number,
  count: number,
  seed: number,
  groups?: ArrayLike<number>,
): Generator<Int32Array> {
  const below = seededIntegers(seed);
  const sets = groups ? [...rowsByLabel(groups).values()] : [countUp(n)];
  const permutation = countUp(n);
  for (let made = 0; made < count; made++) {
    // Shuffling goes on from the permutation before: each is uniform, and independent of that one.
    for (const rows of sets)
      for (let last = rows.length - 1; last > 0; last--) {
        const [here, there] = [rows[last], rows[below(last + 1)]];
        const moved = permutation[here];
        permutation[here] = permutation[there];
        permutation[there] = moved;
      }
    yield permutation.slice();
  }
}
