import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { matrix } from '../../../latent/base/matrix.js';
import { normalFrom, seededRandom } from '../../../latent/base/random.js';
import { neighbourOverlaps, permutedOverlap } from '../../../latent/similarity/mutualNeighbours.js';
import {
  hubness,
  nearestNeighbours,
  nearestNeighboursByMeasure,
  neighbourMeasures,
} from '../../../latent/neighbours/neighbours.js';
import { clouds, fixture } from './fixtures/readFixture.js';

describe('neighbours against scikit-learn (fixtures/similarity.py)', () => {
  for (const measure of neighbourMeasures)
    test.each(fixture.pairs.map((pair, at) => ({ at, ...pair })))(`${measure}, pair $at`, async (pair) => {
      const { indices } = await nearestNeighbours(clouds(pair)[0], pair.k, measure);
      expect([...indices]).toEqual(pair.neighbours[measure]);
    });

  test.each(fixture.pairs.map((pair, at) => ({ at, ...pair })))('a permuted pairing, pair $at', async (pair) => {
    const [x, y] = clouds(pair);
    const [inX, inY] = [
      await nearestNeighbours(x, pair.k, 'euclidean'),
      await nearestNeighbours(y, pair.k, 'euclidean'),
    ];
    expect(permutedOverlap(inX, inY, Int32Array.from(pair.permutation))).toBeCloseTo(pair.permutedMutual, 12);
  });
});

describe('exactness', () => {
  test('far from the origin, where a matrix product loses the digits that tell neighbours apart', async () => {
    const normal = normalFrom(seededRandom(8));
    const [n, p, k] = [300, 4, 7];
    // half of the cloud is 1e6 away from the other half, each 1e-3 wide: |x|² + |y|² - 2xy is off by 1e-4, distances² are 1e-6
    const data = Float64Array.from({ length: n * p }, (_, at) => (at < (n * p) / 2 ? 1e6 : -1e6) + 1e-3 * normal());
    const x = matrix(data, n, p);
    const { indices } = await nearestNeighbours(x, k, 'euclidean');
    for (let i = 0; i < n; i++) {
      const distance = (j: number) => {
        let sum = 0;
        for (let c = 0; c < p; c++) sum += (data[i * p + c] - data[j * p + c]) ** 2;
        return sum;
      };
      const expected = Array.from({ length: n }, (_, j) => j)
        .filter((j) => j !== i)
        .sort((a, b) => distance(a) - distance(b) || a - b)
        .slice(0, k);
      expect([...indices.subarray(i * k, (i + 1) * k)]).toEqual(expected);
    }
  });

  test('as by sorting all pairs, for few rows, for rows tiny beside others and for clouds far from the origin', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.integer({ min: 2, max: 70 }),
        fc.constantFrom(0, 10, 1e5),
        fc.constantFrom(1e-12, 1e-3, 1),
        async (seed, n, shift, smallest) => {
          const random = seededRandom(seed);
          const normal = normalFrom(random);
          const p = 3;
          const rowScales = Float64Array.from({ length: n }, () => smallest ** random());
          const x = matrix(
            Float64Array.from({ length: n * p }, (_, at) => shift + rowScales[Math.floor(at / p)] * normal()),
            n,
            p,
          );
          const k = 1 + Math.floor(random() * (n - 1));
          const row = (i: number) => x.data.subarray(i * p, (i + 1) * p);
          const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, c) => sum + value * b[c], 0);
          const unit = (a: Float64Array) => a.map((value) => value * (1 / Math.sqrt(dot(a, a))));
          const apart = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, c) => sum + (value - b[c]) ** 2, 0);
          const distances = {
            euclidean: (i: number, j: number) => apart(row(i), row(j)),
            cosine: (i: number, j: number) => apart(unit(row(i)), unit(row(j))),
            inner: (i: number, j: number) => -dot(row(i), row(j)),
          };
          const found = await nearestNeighboursByMeasure(x, k, neighbourMeasures);
          neighbourMeasures.forEach((measure, which) => {
            for (let i = 0; i < n; i++) {
              const chosen = [...found[which].indices.subarray(i * k, (i + 1) * k)];
              expect(new Set([...chosen, i]).size).toBe(k + 1);
              const expected = Array.from({ length: n }, (_, j) => (j === i ? Infinity : distances[measure](i, j)));
              // Which of equally near rows are chosen is not told.
              expect(
                chosen.map((j) => distances[measure](i, j)),
                measure,
              ).toEqual(expected.sort((a, b) => a - b).slice(0, k));
            }
          });
        },
      ),
      { numRuns: 60 },
    );
  });

  test('ties are drawn by lot: alike for equal clouds, independently for others, every row as often', async () => {
    const [n, k] = [400, 10];
    const point = (value: number) =>
      nearestNeighbours(matrix(new Float64Array(2 * n).fill(value), n, 2), k, 'euclidean');
    const [a, again, b] = [await point(0.1), await point(0.1), await point(0.2)];
    for (let i = 0; i < n; i++) {
      const chosen = a.indices.subarray(i * k, (i + 1) * k);
      expect(new Set(chosen).size).toBe(k);
      expect(chosen).not.toContain(i);
    }
    expect(permutedOverlap(a, again, null)).toBe(1);
    expect(permutedOverlap(a, b, null)).toBeLessThan((2 * k) / n); // chance is k / n, with a standard deviation of a twentieth of it
    const counts = new Float64Array(n);
    for (const j of a.indices) counts[j]++;
    expect(counts.reduce((sum, count) => sum + (count - k) ** 2 / k, 0) / n).toBeCloseTo(1, 0); // Poisson
  });
});

test('hubness is 0 when all rows are chosen equally often and large for a star', () => {
  expect(hubness({ indices: Int32Array.of(1, 2, 3, 0), rows: 4, k: 1 })).toBe(0);
  const star = new Int32Array(50).fill(0);
  star[0] = 1;
  expect(hubness({ indices: star, rows: 50, k: 1 })).toBeGreaterThan(5);
});

test('overlaps refuse neighbour lists of different k', () => {
  const [a, b] = [1, 2].map((k) => ({ indices: new Int32Array(4 * k), rows: 4, k }));
  expect(() => neighbourOverlaps(a, b)).toThrow(/4 rows with 1 neighbours against 4 rows with 2/);
});
