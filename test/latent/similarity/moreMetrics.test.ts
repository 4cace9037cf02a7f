import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { matrix, takeRows, type Matrix } from '../../../latent/base/matrix.js';
import { normalFrom, seededRandom, shuffle } from '../../../latent/base/random.js';
import { cknna, cknnaInfluence, cknnaOf, maskedKernel, sharedKernel } from '../../../latent/similarity/cknna.js';
import {
  DistanceCorrelations,
  distanceCorrelation,
  distanceMatrix,
} from '../../../latent/similarity/distanceCorrelation.js';
import { reconstructionHalves } from '../../../latent/similarity/featureReconstruction.js';
import { gfre } from '../../../latent/similarity/gfre.js';
import {
  imbalanceOfRows,
  imbalanceOfTables,
  informationImbalance,
  permutedImbalance,
  rankTable,
} from '../../../latent/similarity/informationImbalance.js';
import { lfre } from '../../../latent/similarity/lfre.js';
import { permutedOverlap } from '../../../latent/similarity/mutualNeighbours.js';
import { nearestNeighbours } from '../../../latent/neighbours/neighbours.js';
import { randomRotation } from '../randomRows.js';

type Cloud = Matrix<Float64Array>;
type Both = [number, number];

/** moreMetrics.json, written by moreMetrics.py. */
const pairs = JSON.parse(readFileSync(new URL('./fixtures/moreMetrics.json', import.meta.url), 'utf8')) as {
  n: number;
  p: number;
  q: number;
  k: number;
  x: number[];
  y: number[];
  train: number[];
  test: number[];
  cknna: number;
  distanceCorrelation: number;
  unbiasedSquare: number;
  nearest: Both;
  imbalance: Both;
  gfre: Both;
  lfre: Both;
  lfreOf12: Both;
}[];

const [N, P, Q] = [36, 4, 5];
const split = reconstructionHalves(N, 1);

function normalCloud(n: number, p: number, seed: number): Cloud {
  const normal = normalFrom(seededRandom(seed));
  return matrix(
    Float64Array.from({ length: n * p }, () => normal()),
    n,
    p,
  );
}

/** y of rows that x says something about. */
function relatedCloud(x: Cloud, seed: number): Cloud {
  const y = normalCloud(x.rows, Q, seed);
  for (let i = 0; i < x.rows; i++)
    for (let c = 0; c < P; c++) y.data[i * Q + c] = 0.3 * y.data[i * Q + c] + x.data[i * P + c];
  return y;
}

function moved(x: Cloud, seed: number, scale: number, shift: number): Cloud {
  const p = x.columns;
  const q = randomRotation(p, seed);
  const data = new Float64Array(x.data.length).fill(shift);
  for (let i = 0; i < x.rows; i++)
    for (let r = 0; r < p; r++) for (let c = 0; c < p; c++) data[i * p + c] += scale * x.data[i * p + r] * q[r * p + c];
  return matrix(data, x.rows, p);
}

/** Both ways, of clouds of which neither is one point. */
function both({ xToY, yToX }: { xToY: number | null; yToX: number | null }): Both {
  if (xToY === null || yToX === null) throw new Error('a way is undefined');
  return [xToY, yToX];
}

/** Every value of every metric. */
async function values(x: Cloud, y: Cloud): Promise<Record<string, number>> {
  const { value, unbiasedSquare } = await distanceCorrelation(x, y);
  const [imbalanceXToY, imbalanceYToX] = both(await informationImbalance(x, y, 3));
  const [gfreXToY, gfreYToX] = both(await gfre(x, y, split));
  const [lfreXToY, lfreYToX] = both(await lfre(x, y, split, 8));
  return {
    cknna: await cknna(x, y, 8),
    value,
    unbiasedSquare,
    imbalanceXToY,
    imbalanceYToX,
    gfreXToY,
    gfreYToX,
    lfreXToY,
    lfreYToX,
  };
}

describe('against numpy and scipy (fixtures/moreMetrics.py)', () => {
  test.each(pairs.map((pair, at) => ({ at, ...pair })))('pair $at: $n rows of $p and $q', async (pair) => {
    const x = matrix(Float64Array.from(pair.x), pair.n, pair.p);
    const y = matrix(Float64Array.from(pair.y), pair.n, pair.q);
    const halves = { train: Int32Array.from(pair.train), test: Int32Array.from(pair.test) };
    expect(await cknna(x, y, pair.k)).toBeCloseTo(pair.cknna, 11);
    const correlation = await distanceCorrelation(x, y);
    expect(correlation.value).toBeCloseTo(pair.distanceCorrelation, 11);
    expect(correlation.unbiasedSquare).toBeCloseTo(pair.unbiasedSquare, 11);
    const close = (found: Both, expected: Both) =>
      found.forEach((value, way) => expect(Math.abs(value / expected[way] - 1)).toBeLessThan(1e-9));
    close(both(await informationImbalance(x, y)), pair.nearest);
    close(both(await informationImbalance(x, y, pair.k)), pair.imbalance);
    close(both(await gfre(x, y, halves)), pair.gfre);
    close(both(await lfre(x, y, halves)), pair.lfre);
    close(both(await lfre(x, y, halves, 12)), pair.lfreOf12);
  });
});

describe('what the metrics do not see', () => {
  test('rotation and scale of either cloud, and (but for CKNNA) translation', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.double({ min: 0.05, max: 20, noNaN: true }),
        fc.double({ min: -3, max: 3, noNaN: true }),
        async (seed, scale, shift) => {
          const x = normalCloud(N, P, seed);
          const y = relatedCloud(x, seed ^ 1);
          const before = await values(x, y);
          const rotated = await values(moved(x, seed ^ 2, scale, 0), moved(y, seed ^ 3, 1 / scale, 0));
          const shifted = await values(moved(x, seed ^ 2, scale, shift), moved(y, seed ^ 3, 1 / scale, -shift));
          for (const [name, value] of Object.entries(before)) {
            expect(rotated[name], name).toBeCloseTo(value, 8);
            if (name !== 'cknna') expect(shifted[name], name).toBeCloseTo(value, 8);
          }
        },
      ),
      { numRuns: 20 },
    );
  });

  test('the order of paired rows', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const x = normalCloud(N, P, seed);
        const y = relatedCloud(x, seed ^ 1);
        const order = shuffle(
          Int32Array.from({ length: N }, (_, at) => at),
          seededRandom(seed),
        );
        const [ofX, ofY] = [takeRows(x, order), takeRows(y, order)];
        expect(await cknna(ofX, ofY, 8)).toBeCloseTo(await cknna(x, y, 8), 10);
        const [before, after] = [await distanceCorrelation(x, y), await distanceCorrelation(ofX, ofY)];
        expect(after.value).toBeCloseTo(before.value, 10);
        expect(after.unbiasedSquare).toBeCloseTo(before.unbiasedSquare, 10);
        const imbalance = both(await informationImbalance(x, y));
        both(await informationImbalance(ofX, ofY)).forEach((value, way) =>
          expect(value).toBeCloseTo(imbalance[way], 12),
        );
        // the split follows the rows
        const place = new Int32Array(N);
        order.forEach((from, to) => (place[from] = to));
        const followed = { train: split.train.map((row) => place[row]), test: split.test.map((row) => place[row]) };
        for (const error of [gfre, lfre]) {
          const expected = both(await error(x, y, split));
          both(await error(ofX, ofY, followed)).forEach((value, way) => expect(value).toBeCloseTo(expected[way], 9));
        }
      }),
      { numRuns: 10 },
    );
  });

  test('which of several equal rows comes first, for the information imbalance', async () => {
    const few = normalCloud(6, 3, 5);
    const repeated = takeRows(
      few,
      Int32Array.from({ length: 24 }, (_, at) => at % 6),
    );
    const y = normalCloud(24, 3, 6);
    const order = shuffle(
      Int32Array.from({ length: 24 }, (_, at) => at),
      seededRandom(7),
    );
    const before = await informationImbalance(repeated, y, 2);
    const after = await informationImbalance(takeRows(repeated, order), takeRows(y, order), 2);
    both(after).forEach((value, way) => expect(value).toBeCloseTo(both(before)[way], 12));
  });
});

describe('permuted rows', () => {
  const permutation = shuffle(
    Int32Array.from({ length: N }, (_, at) => at),
    seededRandom(21),
  );
  const x = normalCloud(N, P, 22);
  const y = relatedCloud(x, 23);
  const permuted = takeRows(y, permutation);

  test('what is shared with a relabelled kernel is what is shared with permuted rows', async () => {
    const kernel = async (cloud: Cloud) => maskedKernel(cloud, await nearestNeighbours(cloud, 8, 'inner'));
    const [a, b, c] = [await kernel(x), await kernel(y), await kernel(permuted)];
    const relabelled = sharedKernel(a, b, permutation);
    expect(cknnaOf(a, b, relabelled)).toBeCloseTo(await cknna(x, permuted, 8), 12);
    expect(relabelled.overlap).toBeCloseTo(permutedOverlap(a.neighbours, c.neighbours, null), 12);
  });

  test('distance correlations and information imbalances from tables made once', async () => {
    const correlations = new DistanceCorrelations(await distanceMatrix(x), await distanceMatrix(y));
    const [found, expected] = [correlations.of(permutation), await distanceCorrelation(x, permuted)];
    expect(found.value).toBeCloseTo(expected.value, 12);
    expect(found.unbiasedSquare).toBeCloseTo(expected.unbiasedSquare, 12);
    const repeated = takeRows(
      y,
      Int32Array.from({ length: N }, (_, at) => at >> 1),
    ); // every row twice: ties
    for (const [first, second] of [
      [x, y],
      [x, repeated],
      [repeated, x],
    ]) {
      const imbalance = permutedImbalance(await rankTable(first), await rankTable(second), permutation);
      const direct = await informationImbalance(first, takeRows(second, permutation));
      expect(imbalance.xToY).toBeCloseTo(direct.xToY, 12);
      expect(imbalance.yToX).toBeCloseTo(direct.yToX, 12);
    }
  });
});

describe('influence of rows', () => {
  const n = 30;
  const x = normalCloud(n, 3, 31);
  const y = matrix(
    x.data.map((value, at) => value + 0.5 * normalCloud(n, 3, 32).data[at]),
    n,
    3,
  );

  test('on distance correlation is what leaving rows out does', async () => {
    const correlations = new DistanceCorrelations(await distanceMatrix(x), await distanceMatrix(y));
    const influence = correlations.influence().value;
    expect(Math.abs(influence.reduce((sum, one) => sum + one, 0))).toBeLessThan(1e-9);
    const all = correlations.of().value;
    const jackknife: number[] = [];
    for (let left = 0; left < n; left++) {
      const rest = Int32Array.from({ length: n - 1 }, (_, at) => at + Number(at >= left));
      jackknife.push((n - 1) * (all - (await distanceCorrelation(takeRows(x, rest), takeRows(y, rest))).value));
    }
    expect(correlationOf(influence, jackknife)).toBeGreaterThan(0.98);
    expect(spread(influence) / spread(jackknife)).toBeGreaterThan(0.85);
    expect(spread(influence) / spread(jackknife)).toBeLessThan(1.15);
  });

  test('on CKNNA is the derivative by weights, neighbours held fixed', async () => {
    const k = 6;
    const kernel = async (cloud: Cloud) => maskedKernel(cloud, await nearestNeighbours(cloud, k, 'inner'));
    const [a, b] = [await kernel(x), await kernel(y)];
    const inX = (i: number, j: number) => a.neighbours.indices.subarray(i * k, (i + 1) * k).includes(j);
    const inY = (i: number, j: number) => b.neighbours.indices.subarray(i * k, (i + 1) * k).includes(j);
    const product = (c: Cloud, i: number, j: number) =>
      [0, 1, 2].reduce((sum, at) => sum + c.data[3 * i + at] * c.data[3 * j + at], 0);
    // the estimator with weighted sums, dense
    const hsic = (w: number[], one: Cloud, two: Cloud, mask: (i: number, j: number) => boolean) => {
      let [trace, total1, total2, through] = [0, 0, 0, 0];
      const [columns, rows] = [new Float64Array(n), new Float64Array(n)];
      for (let i = 0; i < n; i++)
        for (let j = 0; j < n; j++) {
          if (!mask(i, j)) continue;
          if (mask(j, i)) trace += w[i] * w[j] * product(one, i, j) * product(two, j, i);
          total1 += w[i] * w[j] * product(one, i, j);
          total2 += w[i] * w[j] * product(two, i, j);
          columns[j] += w[i] * product(one, i, j);
          rows[i] += w[j] * product(two, i, j);
        }
      for (let j = 0; j < n; j++) through += w[j] * columns[j] * rows[j];
      return trace + (total1 * total2) / ((n - 1) * (n - 2)) - (2 * through) / (n - 2);
    };
    const value = (w: number[]) =>
      hsic(w, x, y, (i, j) => inX(i, j) && inY(i, j)) / Math.sqrt(hsic(w, x, x, inX) * hsic(w, y, y, inY));
    const step = 1e-5;
    const slopes = Array.from({ length: n }, (_, at) => {
      const moved = (by: number) => value(Array.from({ length: n }, (_, i) => (i === at ? 1 + by : 1)));
      return (n * (moved(step) - moved(-step))) / (2 * step);
    });
    const centre = slopes.reduce((sum, one) => sum + one, 0) / n;
    const influence = cknnaInfluence(a, b);
    slopes.forEach((slope, i) => expect(influence[i]).toBeCloseTo(slope - centre, 6));
  });
});

describe('ends of the scales', () => {
  test('equal clouds', async () => {
    const x = normalCloud(N, P, 3);
    const { value, unbiasedSquare } = await distanceCorrelation(x, x);
    expect([value, unbiasedSquare, await cknna(x, x, 8)].map((one) => one.toFixed(10))).toEqual(
      Array(3).fill('1.0000000000'),
    );
    for (const k of [1, 4])
      both(await informationImbalance(x, x, k)).forEach((way) => expect(way).toBeCloseTo((k + 1) / N, 12));
    for (const error of [...both(await gfre(x, x, split)), ...both(await lfre(x, x, split, 14))])
      expect(error).toBeLessThan(1e-12);
  });

  test('independent clouds', async () => {
    const [x, y] = [normalCloud(400, 3, 8), normalCloud(400, 3, 9)];
    expect(Math.abs((await distanceCorrelation(x, y)).unbiasedSquare)).toBeLessThan(0.02);
    expect(Math.abs(await cknna(x, y, 10))).toBeLessThan(0.05);
    both(await informationImbalance(x, y)).forEach((way) => expect(Math.abs(way - 1)).toBeLessThan(0.1));
    both(await gfre(x, y, reconstructionHalves(400, 2))).forEach((way) => expect(Math.abs(way - 1)).toBeLessThan(0.1));
  });

  test('a linear map is seen through globally, a curve only locally and only one way', async () => {
    const n = 300;
    const t = normalCloud(n, 1, 11);
    const parabola = matrix(
      t.data.map((value) => value * value),
      n,
      1,
    );
    const halves = reconstructionHalves(n, 3);
    const global = await gfre(t, parabola, halves);
    const local = await lfre(t, parabola, halves, 8);
    expect(global.xToY).toBeGreaterThan(0.8);
    expect(local.xToY).toBeLessThan(0.1);
    expect(local.yToX).toBeGreaterThan(0.8);
    const imbalance = await informationImbalance(t, parabola);
    expect(imbalance.xToY).toBeLessThan(0.1);
    expect(imbalance.yToX).toBeGreaterThan(0.3);
  });

  test.each([
    ['far from the origin', 1e6 + 0.1],
    ['at the origin', 0],
  ])('a constant cloud %s shares nothing, never NaN; an error of reconstructing it is undefined', async (_, at) => {
    const constant = matrix(new Float64Array(N * P).fill(at), N, P);
    const y = normalCloud(N, Q, 4);
    for (const [a, b] of [
      [constant, y],
      [y, constant],
      [constant, constant],
    ] as const) {
      expect(await distanceCorrelation(a, b)).toEqual({ value: 0, unbiasedSquare: 0 });
      expect(await cknna(a, b, 5)).toBe(0);
      both(await informationImbalance(a, b, 2)).forEach((way) => expect(way).toBeCloseTo(1, 12));
    }
    const none = { xToY: null, yToX: null };
    expect([await gfre(constant, constant, split), await lfre(constant, constant, split)]).toEqual([none, none]);
    for (const { xToY, yToX } of [await gfre(constant, y, split), await lfre(constant, y, split)]) {
      expect(yToX).toBeNull(); // nothing to reconstruct
      expect(xToY).toBeGreaterThan(0.7);
      expect(xToY).toBeLessThan(2);
    }
  });

  test('rows that are mostly duplicates give finite values', async () => {
    const few = normalCloud(3, P, 12);
    const x = takeRows(
      few,
      Int32Array.from({ length: N }, (_, at) => at % 3),
    );
    for (const value of Object.values(await values(x, normalCloud(N, Q, 13))))
      expect(Number.isFinite(value)).toBe(true);
    for (const value of Object.values(await values(x, x))) expect(Number.isFinite(value)).toBe(true);
  });

  test('unpaired rows, NaN and too few rows are refused', async () => {
    const [x, short] = [normalCloud(9, 2, 1), normalCloud(8, 2, 1)];
    const bad = matrix(
      Float64Array.from(x.data, (value, at) => (at === 3 ? NaN : value)),
      9,
      2,
    );
    const halves = reconstructionHalves(9, 1);
    const of = {
      cknna: (a: Cloud, b: Cloud) => cknna(a, b, 3),
      distanceCorrelation,
      informationImbalance,
      gfre: (a: Cloud, b: Cloud) => Promise.resolve().then(() => gfre(a, b, halves)),
      lfre: (a: Cloud, b: Cloud) => Promise.resolve().then(() => lfre(a, b, halves)),
    };
    for (const metric of Object.values(of)) {
      await expect(metric(x, short)).rejects.toThrow(/x has 9 rows and y 8; rows are paired/);
      await expect(metric(bad, x)).rejects.toThrow(/x has NaN in row 1, column 1/);
    }
    await expect(distanceCorrelation(normalCloud(3, 2, 1), normalCloud(3, 2, 2))).rejects.toThrow(/at least 4 rows/);
    await expect(cknna(x, x, 1)).rejects.toThrow(/at least 4 and 2/);
    await expect(informationImbalance(x, x, 9)).rejects.toThrow(/9 neighbours among 9 rows/);
    await expect(lfre(x, x, halves, 6)).rejects.toThrow(/6 among 5 training rows/);
    await expect(gfre(x, x, { train: halves.train, test: new Int32Array(0) })).rejects.toThrow(
      /5 rows to train and 0 to test/,
    );
  });
});

function spread(values: ArrayLike<number>): number {
  return Math.sqrt(Array.from(values).reduce((sum, value) => sum + value ** 2, 0) / values.length);
}

function correlationOf(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const about = (values: ArrayLike<number>) => {
    const centre = Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
    return Array.from(values, (value) => value - centre);
  };
  const [x, y] = [about(a), about(b)];
  return x.reduce((sum, value, i) => sum + value * y[i], 0) / (x.length * spread(x) * spread(y));
}

test('a table of ranks gives every row the contribution that it has by its distances, near ties, ties and duplicates among them', async () => {
  const normal = normalFrom(seededRandom(77));
  const n = 70;
  const grid = matrix(
    Float64Array.from({ length: n * 3 }, () => Math.round(normal())),
    n,
    3,
  ); // many equal distances and rows
  const close = matrix(
    grid.data.map((value) => 1e6 + value + 1e-9 * normal()),
    n,
    3,
  ); // distances that a matrix product cannot tell apart
  const free = normalCloud(n, 5, 78);
  for (const [x, y] of [
    [grid, free],
    [free, close],
    [grid, close],
    [matrix(new Float64Array(n * 2), n, 2), free],
  ]) {
    const found = imbalanceOfTables(await rankTable(x), await rankTable(y));
    const expected = await imbalanceOfRows(x, y);
    for (const way of ['xToY', 'yToX'] as const)
      found[way].forEach((one, i) => expect(one, `row ${i}`).toBeCloseTo(expected[way][i], 12));
  }
});
