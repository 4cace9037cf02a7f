import { seededRandom, shuffle } from '../random.js';
import { mean } from './mutualNeighbours.js';

/** Rows of y are permuted freely, or only among rows of the same element (the strict null: composition alone cannot beat it). */
export const nullKinds = ['free', 'element'] as const;
/** See `nullKinds`. */
export type NullKind = (typeof nullKinds)[number];

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
  if (count === 0) throw new RangeError('latent/similarity: calibration needs at least one permutation');
  const combined = Float64Array.of(similarity, ...nulls).sort();
  // 1 - alpha is not exact in binary: without the slack, 0.95 * 200 would round up to 191
  const position = Math.ceil((1 - alpha) * (count + 1) - 1e-9) - 1;
  const threshold = combined[Math.min(count, Math.max(0, position))];
  const atLeast = nulls.reduce((sum, value) => sum + (value >= similarity - TIE ? 1 : 0), 0);
  const range = most - threshold;
  return {
    nullMean: mean(nulls),
    threshold,
    calibrated: range > 1e-12 ? Math.min(1, Math.max(0, (similarity - threshold) / range)) : 0,
    pValue: (1 + atLeast) / (1 + count),
  };
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
  const random = seededRandom(seed);
  const members = new Map<number, number[]>();
  for (let i = 0; i < n; i++) {
    const group = groups ? groups[i] : 0;
    const rows = members.get(group);
    if (rows) rows.push(i);
    else members.set(group, [i]);
  }
  const sorted = [...members.keys()]
    .sort((a, b) => a - b)
    .map((group) => Int32Array.from(members.get(group) as number[]));
  for (let made = 0; made < count; made++) {
    const permutation = new Int32Array(n);
    for (const rows of sorted) {
      const shuffled = shuffle(rows.slice(), random);
      rows.forEach((row, at) => (permutation[row] = shuffled[at]));
    }
    yield permutation;
  }
}
