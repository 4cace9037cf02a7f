import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { matrix, takeRows, type Matrix } from '../../../latent/base/matrix.js';
import { normalFrom, seededRandom } from '../../../latent/base/random.js';
import { comparePair } from '../../../latent/similarity/comparePair.js';
import type { CalibratedValue } from '../../../latent/similarity/measured.js';
import { SIMILARITY_METRICS } from '../../../config/names.js';
import { directedMetrics } from '../../../latent/similarity/metrics.js';
import { nearestNeighbours } from '../../../latent/neighbours/neighbours.js';
import { randomRotation } from '../randomRows.js';
import { clouds, fixture } from './fixtures/readFixture.js';

function normalCloud(n: number, p: number, seed: number): Matrix<Float64Array> {
  const normal = normalFrom(seededRandom(seed));
  return matrix(
    Float64Array.from({ length: n * p }, () => normal()),
    n,
    p,
  );
}

const plain = { seed: 1, replicates: 0 };
const numbersOf = ({ nullMean, threshold, calibrated, pValue, replicates }: CalibratedValue) => [
  nullMean,
  threshold,
  calibrated,
  pValue,
  ...replicates,
];

async function values(x: Matrix, y: Matrix, neighbours = 5): Promise<Record<string, number>> {
  const compared = await comparePair(x, y, { ...plain, neighbours });
  return Object.fromEntries(compared.map(({ name, value }) => [name, value]));
}

describe('metrics against numpy, scipy and scikit-learn (fixtures/similarity.py)', () => {
  test.each(fixture.pairs.map((pair, at) => ({ at, ...pair })))('pair $at: $n rows of $p and $q', async (pair) => {
    const compared = await comparePair(...clouds(pair), { ...plain, neighbours: pair.k });
    const byName = Object.fromEntries(compared.map((one) => [one.metric, one]));
    expect(new Set(compared.map(({ metric }) => metric))).toEqual(new Set(SIMILARITY_METRICS));
    for (const measure of ['euclidean', 'cosine', 'inner'] as const) {
      expect(byName[`mutual_knn_${measure}`].value).toBeCloseTo(pair.mutual[measure], 12);
      expect(byName[`mutual_knn_${measure}`].hubness?.x).toBeCloseTo(pair.hubness[measure], 10);
    }
    expect(byName.linear_cka.value).toBeCloseTo(pair.cka, 12);
    expect(byName.unbiased_linear_cka.value).toBeCloseTo(pair.unbiasedCka, 12);
    // arccos loses half of the digits near 0, where the first pair (an exact linear map) may lie
    expect(byName.angular_procrustes.value).toBeCloseTo(pair.procrustes, 9);
  });
});

describe('what the metrics do not see', () => {
  test('rotation, scale, and (but for cosine and inner product) translation', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.double({ min: 0.05, max: 20, noNaN: true }),
        fc.double({ min: -3, max: 3, noNaN: true }),
        async (seed, scale, shift) => {
          const [x, y] = [normalCloud(40, 5, seed), normalCloud(40, 4, seed ^ 1)];
          const q = randomRotation(5, seed ^ 2);
          const moved = (by: number) => {
            const data = new Float64Array(40 * 5).fill(by);
            for (let i = 0; i < 40; i++)
              for (let r = 0; r < 5; r++)
                for (let c = 0; c < 5; c++) data[i * 5 + c] += scale * x.data[i * 5 + r] * q[r * 5 + c];
            return matrix(data, 40, 5);
          };
          const before = await values(x, y);
          const rotated = await values(moved(0), y);
          const shifted = await values(moved(shift), y);
          for (const [name, value] of Object.entries(before)) {
            expect(rotated[name], name).toBeCloseTo(value, 8);
            if (!/cosine|inner|cknna/.test(name)) expect(shifted[name], name).toBeCloseTo(value, 8);
          }
        },
      ),
      { numRuns: 25 },
    );
  });

  test('the order of the anchors: columns of coordinates', async () => {
    const [x, y] = [normalCloud(40, 5, 51), normalCloud(40, 5, 52)];
    const order = [3, 0, 4, 1, 2];
    const reordered = ({ data }: Matrix) =>
      matrix(
        Float64Array.from(data, (_, at) => data[at - (at % 5) + order[at % 5]]),
        40,
        5,
      );
    const [before, after] = [await values(x, y), await values(reordered(x), reordered(y))];
    for (const [name, value] of Object.entries(before)) expect(after[name], name).toBeCloseTo(value, 9);
  });

  test('the order of paired rows', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const [x, y] = [normalCloud(30, 3, seed), normalCloud(30, 4, seed ^ 1)];
        const reversed = ({ data, rows, columns }: Matrix) =>
          matrix(
            Float64Array.from(data, (_, at) => data[(rows - 1 - Math.floor(at / columns)) * columns + (at % columns)]),
            rows,
            columns,
          );
        const [before, after] = [await values(x, y), await values(reversed(x), reversed(y))];
        for (const [name, value] of Object.entries(before))
          if (!name.includes('fre_')) expect(after[name], name).toBeCloseTo(value, 10); // which rows are held out changes
      }),
      { numRuns: 15 },
    );
  });
});

describe('special clouds', () => {
  test('equal clouds reach the end of every scale', async () => {
    const x = normalCloud(50, 6, 3);
    const same = await values(x, x);
    for (const [name, value] of Object.entries(same))
      if (name === 'angular_procrustes') expect(value).toBeLessThan(1e-6);
      else if (name.startsWith('information_imbalance')) expect(value, name).toBeCloseTo(2 / 50, 12);
      else if (!name.startsWith('lfre')) expect(value, name).toBeCloseTo(name.startsWith('gfre') ? 0 : 1, 10); // LFRE's maps are a direction short
  });

  test.each([
    ['a constant cloud', matrix(new Float64Array(50 * 3).fill(2), 50, 3)],
    ['a cloud of zeros', matrix(new Float64Array(50 * 3), 50, 3)],
    [
      'one-hot elements',
      matrix(
        Float64Array.from({ length: 50 * 3 }, (_, at) => Number(at % 9 === 0)),
        50,
        3,
      ),
    ],
  ])('%s shares nothing, or what chance shares; nothing is NaN, in any metric or null', async (_, x) => {
    for (const other of [normalCloud(50, 3, 4), x]) {
      const compared = await comparePair(x, other, {
        seed: 1,
        replicates: 10,
        neighbours: 4,
        elements: Int32Array.from({ length: 50 }, (_, at) => at % 2),
        nulls: { kinds: ['free', 'within_element'], permutations: 9 },
      });
      // of a constant cloud there is nothing to reconstruct: its values are left out, in every null too
      const onePoint = (cloud: Matrix) => new Set(cloud.data).size === 1;
      const names = SIMILARITY_METRICS.flatMap((metric): string[] => {
        if (!(directedMetrics as readonly string[]).includes(metric)) return [metric];
        const undefinedTo = (cloud: Matrix) => metric !== 'information_imbalance' && onePoint(cloud);
        return [...(undefinedTo(other) ? [] : [`${metric}_a_to_b`]), ...(undefinedTo(x) ? [] : [`${metric}_b_to_a`])];
      });
      expect(new Set(compared.map(({ name }) => name))).toEqual(new Set(names));
      for (const { name, value, replicates, nulls, hubness } of compared)
        for (const number of [value, ...replicates, hubness?.x ?? 0, ...nulls.flatMap((one) => numbersOf(one))])
          expect(Number.isFinite(number), name).toBe(true);
      if (onePoint(x))
        expect(compared.flatMap(({ name, value }) => (/cka|correlation|cknna/.test(name) ? [value] : []))).toEqual([
          0, 0, 0, 0, 0,
        ]);
    }
  });

  test('a zero row is nearest to zero rows by its cosine, and at right angles to the others', async () => {
    const x = normalCloud(20, 3, 9);
    x.data.fill(0, 0, 9); // rows 0, 1, 2
    const { indices } = await nearestNeighbours(x, 2, 'cosine');
    expect([...indices.subarray(0, 6)].sort()).toEqual([0, 0, 1, 1, 2, 2]);
    const nonzero = takeRows(
      x,
      Int32Array.from({ length: 17 }, (_, at) => at + 3),
    );
    const apart = await nearestNeighbours(nonzero, 2, 'cosine');
    expect([...indices.subarray(6)]).toEqual([...apart.indices].map((row) => row + 3));
  });

  test('metrics that have too few rows are left out', async () => {
    const names = async (n: number) =>
      (await comparePair(normalCloud(n, 2, 1), normalCloud(n, 2, 2), { ...plain, neighbours: 5 })).map(
        ({ name }) => name,
      );
    expect(await names(1)).toEqual([]);
    expect(await names(3)).toEqual([
      'linear_cka',
      'angular_procrustes',
      'information_imbalance_a_to_b',
      'information_imbalance_b_to_a',
    ]);
    expect(await names(6)).not.toContain('mutual_knn_euclidean');
    expect(await names(7)).toContain('mutual_knn_euclidean');
  });

  test.each([
    ['unpaired rows', normalCloud(9, 2, 1), normalCloud(8, 2, 1), /9 rows and y 8/],
    ['NaN', matrix(Float64Array.of(1, NaN, 3, 4), 2, 2), normalCloud(2, 2, 1), /x has NaN in row 0, column 1/],
  ])('%s are refused', async (_, x, y, message) => {
    await expect(comparePair(x, y, { ...plain, neighbours: 5 })).rejects.toThrow(message);
  });
});

describe('intervals', () => {
  test('of independent samples cover the value of the population nine times in ten', async () => {
    // y = x + noise of known variance s²: population CKA of isotropic clouds and cos of the angle are both known for p = 1.
    const [n, s] = [200, 0.7];
    const correlation = 1 / Math.sqrt(1 + s * s);
    let covered = { linear_cka: 0, angular_procrustes: 0 };
    const trials = 60;
    for (let trial = 0; trial < trials; trial++) {
      const x = normalCloud(n, 1, 1000 + trial);
      const noise = normalCloud(n, 1, 5000 + trial);
      const y = matrix(
        x.data.map((value, at) => value + s * noise.data[at]),
        n,
        1,
      );
      const compared = await comparePair(x, y, {
        seed: trial,
        replicates: 400,
        metrics: ['linear_cka', 'angular_procrustes'],
      });
      const truth = { linear_cka: correlation ** 2, angular_procrustes: Math.acos(correlation) };
      for (const { metric, replicates } of compared) {
        const sorted = replicates.slice().sort();
        const name = metric as keyof typeof truth;
        if (sorted[10] <= truth[name] && truth[name] <= sorted[389])
          covered = { ...covered, [name]: covered[name] + 1 };
      }
    }
    for (const hits of Object.values(covered)) {
      expect(hits).toBeGreaterThanOrEqual(0.87 * trials);
      expect(hits).toBeLessThan(trials + 1);
    }
  });
});

describe('nulls', () => {
  test('p-values are uniform when the pairing is random', async () => {
    const metrics = [
      ...(['mutual_knn_euclidean', 'cknna', 'linear_cka', 'angular_procrustes'] as const),
      ...(['unbiased_distance_correlation', 'information_imbalance', 'gfre'] as const),
    ];
    const trials = 120;
    const below: Record<string, number> = {};
    const elements = Int32Array.from({ length: 40 }, (_, at) => at % 3);
    for (let trial = 0; trial < trials; trial++) {
      const compared = await comparePair(normalCloud(40, 3, 2 * trial), normalCloud(40, 3, 2 * trial + 1), {
        seed: 1,
        replicates: 0,
        neighbours: 4,
        metrics,
        elements,
        nulls: { kinds: ['free', 'within_element'], permutations: 19 },
      });
      for (const { metric, name, nulls } of compared)
        for (const { null: kind, pValue } of nulls)
          for (const level of [0.2, 0.5])
            if (pValue <= level && !name.endsWith('b_to_a'))
              below[`${metric} ${kind} ${level}`] = (below[`${metric} ${kind} ${level}`] ?? 0) + 1;
    }
    for (const metric of metrics)
      for (const kind of ['free', 'within_element'])
        for (const level of [0.2, 0.5]) {
          const share = (below[`${metric} ${kind} ${level}`] ?? 0) / trials;
          const spread = 3.5 * Math.sqrt((level * (1 - level)) / trials);
          expect(share, `${metric} ${kind} ${level}`).toBeLessThan(level + spread);
          // ties make the p-value of a count conservative, never liberal
          if (!/mutual|cknna/.test(metric)) expect(share, `${metric} ${kind} ${level}`).toBeGreaterThan(level - spread);
        }
  });

  test('what composition explains is significant against the free null and not within elements', async () => {
    const elements = Int32Array.from({ length: 120 }, (_, at) => at % 4);
    const clustered = (seed: number) => {
      const noise = normalCloud(120, 3, seed);
      const centres = normalCloud(4, 3, 77);
      return matrix(
        noise.data.map((value, at) => value + 20 * centres.data[(Math.floor(at / 3) % 4) * 3 + (at % 3)]),
        120,
        3,
      );
    };
    const [{ value, nulls }] = await comparePair(clustered(1), clustered(2), {
      ...plain,
      metrics: ['mutual_knn_euclidean'],
      neighbours: 10,
      elements,
      nulls: { kinds: ['free', 'within_element'], permutations: 99 },
    });
    expect(value).toBeGreaterThan(0.2);
    expect(nulls[0].pValue).toBe(0.01);
    expect(nulls[1].pValue).toBeGreaterThan(0.05);
    expect(nulls[1].nullMean).toBeGreaterThan(0.2);
  });

  test('clouds that know nothing but the element agree no more than their nulls within elements', async () => {
    const elements = Int32Array.from({ length: 300 }, (_, at) => (at * at) % 7);
    const metrics = ['mutual_knn_euclidean', 'mutual_knn_cosine', 'mutual_knn_inner'] as const;
    const pairs = 20;
    const pValues: Partial<Record<string, number[]>> = {};
    for (let seed = 0; seed < pairs; seed++) {
      const [x, y] = [7, 5].map((columns) => takeRows(normalCloud(7, columns, 10 * seed + columns), elements));
      const asked = { ...plain, seed, metrics, neighbours: 10, elements };
      const nulls = { kinds: ['within_element'], permutations: 99 } as const;
      for (const {
        metric,
        nulls: [found],
      } of await comparePair(x, y, { ...asked, nulls }))
        (pValues[metric] ??= []).push(found.pValue);
    }
    for (const metric of metrics) {
      const p = pValues[metric]!.sort((a, b) => a - b);
      expect(p[0], metric).toBeLessThan(0.3);
      expect(p[pairs / 2], metric).toBeGreaterThan(0.25);
      expect(p[pairs / 2], metric).toBeLessThan(0.75);
    }
  });

  test('a null without freedom (every element once) ties with the observed value: p = 1, calibrated 0', async () => {
    const elements = Int32Array.from({ length: 30 }, (_, at) => at);
    const compared = await comparePair(normalCloud(30, 3, 1), normalCloud(30, 3, 2), {
      ...plain,
      elements,
      nulls: { kinds: ['within_element'], permutations: 19 },
    });
    for (const { metric, nulls } of compared) {
      expect(nulls[0].pValue, metric).toBe(1);
      expect(nulls[0].calibrated, metric).toBe(0);
    }
  });
});
