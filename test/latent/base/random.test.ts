import { describe, expect, test } from 'vitest';
import { hashUnit, normalFrom, seededRandom, shuffle } from '../../../latent/base/random.js';

// Recomputed with arbitrary-precision integers in Python from the published definitions of the algorithms.
const GOLDEN_42 = [0.18688972084273714, 0.9742027028804975, 0.9146379308815911];
const GOLDEN_HASH = 0.3911990898092075;

/** Pearson's statistic of numbers in [0, 1) over equal bins. */
function chiSquare(values: number[], bins: number): number {
  const counts = new Float64Array(bins);
  for (const value of values) counts[Math.floor(value * bins)]++;
  return counts.reduce((sum, count) => sum + (count - values.length / bins) ** 2 / (values.length / bins), 0);
}

describe('random', () => {
  test('a seed gives the same numbers for ever, another seed others', () => {
    const first = seededRandom(42);
    expect([first(), first(), first()]).toEqual(GOLDEN_42);
    expect(seededRandom(43)()).not.toBe(GOLDEN_42[0]);
    expect(seededRandom(42 + 2 ** 32)()).not.toBe(GOLDEN_42[0]);
    expect(() => seededRandom(0.5)).toThrow('seed is 0.5; it must be an integer');
  });

  test('numbers are uniform and normal numbers have moments 0, 1, 0, 3', () => {
    const random = seededRandom(1);
    expect(chiSquare(Array.from({ length: 20_000 }, random), 100)).toBeLessThan(150); // 99.9 % of uniform samples
    const normal = Array.from({ length: 40_000 }, normalFrom(random));
    const moments = [1, 2, 3, 4].map((power) => normal.reduce((sum, value) => sum + value ** power, 0) / normal.length);
    for (const [i, expected] of [0, 1, 0, 3].entries()) expect(Math.abs(moments[i] - expected)).toBeLessThan(0.12);
  });

  test('a shuffle is a permutation that depends on the seed alone', () => {
    const shuffled = shuffle(
      Int32Array.from({ length: 50 }, (_, i) => i),
      seededRandom(7),
    );
    expect([...shuffled]).toEqual([
      ...shuffle(
        Int32Array.from({ length: 50 }, (_, i) => i),
        seededRandom(7),
      ),
    ]);
    expect([...shuffled].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect(shuffled[0] === 0 && shuffled[1] === 1 && shuffled[2] === 2).toBe(false);
  });

  test('hashes are uniform over consecutive atoms, and no two of 100,000 are equal', () => {
    const hashes = Array.from({ length: 100_000 }, (_, i) => hashUnit(42, `mp-${Math.floor(i / 10)}`, i % 10));
    expect(new Set(hashes).size).toBe(hashes.length);
    expect(chiSquare(hashes, 100)).toBeLessThan(150);
    expect(
      chiSquare(
        hashes.map((hash) => (hash * 2 ** 20) % 1),
        100,
      ),
    ).toBeLessThan(150);
  });

  test('every key counts, and so does where one ends', () => {
    const all = [
      hashUnit(1, 'ab', 1),
      hashUnit(2, 'ab', 1),
      hashUnit(1, 'a', 'b1'),
      hashUnit(1, 'ab1'),
      hashUnit(1, 'ab', 2),
      hashUnit(1, 'äb', 1),
    ];
    expect(new Set(all).size).toBe(all.length);
    expect(hashUnit(42, 'mp-149', 0)).toBe(GOLDEN_HASH);
  });
});
