import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { matrix, type Matrix } from '../../../latent/base/matrix.js';
import { normalFrom, seededRandom } from '../../../latent/base/random.js';
import { DenseCost, euclideanCost, EuclideanCost, type CostSource } from '../../../latent/transport/cost.js';
import { exactTransport, type ExactPlan } from '../../../latent/transport/exact.js';
import { clouds, fixture } from './fixtures/readFixture.js';

const uniform = (length: number) => new Float64Array(length).fill(1 / length);

/** Everything that makes a plan optimal, checked from the costs alone. */
function expectOptimal(plan: ExactPlan, cost: CostSource, a = uniform(cost.n), b = uniform(cost.m)): void {
  const scale = Math.max(1, ...Array.from(plan.arcCost, Math.abs));
  const rows = new Float64Array(cost.n);
  const columns = new Float64Array(cost.m);
  let total = 0;
  plan.mass.forEach((mass, at) => {
    expect(mass).toBeGreaterThan(0);
    rows[plan.source[at]] += mass;
    columns[plan.sink[at]] += mass;
    total += mass * cost.at(plan.source[at], plan.sink[at]);
  });
  rows.forEach((sum, i) => expect(Math.abs(sum - a[i])).toBeLessThan(1e-12));
  columns.forEach((sum, j) => expect(Math.abs(sum - b[j])).toBeLessThan(1e-12));
  let worst = Infinity;
  for (let i = 0; i < cost.n; i++)
    for (let j = 0; j < cost.m; j++) worst = Math.min(worst, cost.at(i, j) - plan.f[i] - plan.g[j]);
  expect(worst).toBeGreaterThan(-1e-11 * scale);
  let dual = 0;
  plan.f.forEach((value, i) => (dual += value * a[i]));
  plan.g.forEach((value, j) => (dual += value * b[j]));
  expect(Math.abs(total - plan.cost)).toBeLessThan(1e-12 * scale);
  expect(Math.abs(dual - plan.dual)).toBeLessThan(1e-12 * scale);
  expect(Math.abs(plan.gap)).toBeLessThan(1e-10 * scale);
  expect(plan.source.length).toBeLessThan(cost.n + cost.m);
}

function normalCloud(n: number, p: number, seed: number, shift = 0, width = 1): Matrix<Float64Array> {
  const normal = normalFrom(seededRandom(seed));
  return matrix(
    Float64Array.from({ length: n * p }, () => shift + width * normal()),
    n,
    p,
  );
}

describe('exact transport against POT and scipy (fixtures/transport.py)', () => {
  test.each(fixture.problems.map((problem, at) => ({ at, ...problem })))(
    'problem $at: $n x $m points',
    async (problem) => {
      const [x, y] = clouds(problem);
      const cost = await euclideanCost(x, y);
      const a = problem.a && Float64Array.from(problem.a);
      const b = problem.b && Float64Array.from(problem.b);
      const plan = await exactTransport(cost, { sourceWeights: a, sinkWeights: b });
      expect(Math.abs(plan.cost - problem.cost)).toBeLessThanOrEqual(1e-9 * problem.cost + 1e-14);
      if (problem.assignment !== undefined)
        expect(Math.abs(plan.cost - problem.assignment)).toBeLessThanOrEqual(1e-9 * problem.cost + 1e-14);
      const share = (weights?: Float64Array) => {
        const sum = weights?.reduce((total, weight) => total + weight, 0) ?? 1;
        return weights?.map((weight) => weight / sum);
      };
      expectOptimal(plan, cost, share(a), share(b));
    },
  );
});

describe('exact transport on hard clouds', () => {
  const [n, p] = [700, 6];
  const base = normalCloud(n, p, 1);
  const noise = normalCloud(n, p, 2, 0, 0.05);
  const offset = matrix(
    base.data.map((value, at) => value + 3 + noise.data[at]),
    n,
    p,
  );
  const duplicated = matrix(
    Float64Array.from({ length: n * p }, (_, at) => base.data[at % (7 * p)]),
    n,
    p,
  );
  const lattice = matrix(
    base.data.map((value) => Math.round(value)),
    n,
    p,
  );
  const line = normalCloud(n, 1, 3);
  const cases: [string, Matrix, Matrix][] = [
    ['paired with a constant offset', base, offset],
    ['unpaired', base, normalCloud(n, p, 4, 0.3, 0.6)],
    ['seven points a hundred times', duplicated, lattice],
    ['a lattice with many ties', lattice, matrix(normalCloud(n, p, 5).data.map(Math.round), n, p)],
    ['on a line', line, normalCloud(n, 1, 6, 1)],
    ['unequal, 700 and 450', base, normalCloud(450, p, 7)],
    ['unequal, 350 and 700', normalCloud(350, p, 8), base],
    ['one against many', normalCloud(1, p, 9), base],
    ['many against one', base, normalCloud(1, p, 10)],
    ['all sources at one point', matrix(new Float64Array(n * p), n, p), base],
  ];
  test.each(cases)('%s: feasible, with a closed gap', async (_, x, y) => {
    const cost = await euclideanCost(x, y);
    expectOptimal(await exactTransport(cost), cost);
  });

  test('on a line the optimum is the difference of sorted values', async () => {
    const other = normalCloud(n, 1, 6, 1);
    const plan = await exactTransport(await euclideanCost(line, other));
    const [left, right] = [line.data.slice().sort(), other.data.slice().sort()];
    const expected = left.reduce((sum, value, at) => sum + Math.abs(value - right[at]) / n, 0);
    expect(plan.cost).toBeCloseTo(expected, 12);
  });

  test('a plan of equal sizes is a permutation, and the same on every call', async () => {
    const cost = await euclideanCost(base, offset);
    const plan = await exactTransport(cost);
    expect([...plan.source]).toEqual(Array.from({ length: n }, (_, at) => at));
    expect(new Set(plan.sink).size).toBe(n);
    expect(await exactTransport(cost)).toEqual(plan);
  });

  test('costs computed anew at every scan give the same optimum as costs in memory', async () => {
    const other = normalCloud(500, p, 11);
    const kept = await exactTransport(await euclideanCost(base, other));
    const streamed = await exactTransport(new EuclideanCost(base, other));
    expect(streamed.cost).toBeCloseTo(kept.cost, 12);
    expect(streamed.gap).toBeLessThan(1e-11);
  });
});

describe('exact transport as a distance', () => {
  const cloud = (n: number, p: number) =>
    fc
      .array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: n * p, maxLength: n * p })
      .map((values) => matrix(Float64Array.from(values), n, p));
  const costOf = async (x: Matrix, y: Matrix) => (await exactTransport(await euclideanCost(x, y))).cost;

  test('is no dearer than any of all permutations', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5 }).chain((n) => fc.tuple(cloud(n, 2), cloud(n, 2))),
        async ([x, y]) => {
          const cost = await euclideanCost(x, y);
          const n = x.rows;
          let best = Infinity;
          const visit = (row: number, used: number, sum: number) => {
            if (row === n) best = Math.min(best, sum / n);
            for (let j = 0; j < n; j++) if (!(used & (1 << j))) visit(row + 1, used | (1 << j), sum + cost.at(row, j));
          };
          visit(0, 0, 0);
          expect(Math.abs((await exactTransport(cost)).cost - best)).toBeLessThan(1e-10);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('is 0 to itself, symmetric, and obeys the triangle inequality', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 })),
        fc.integer(),
        async ([a, b, c], seed) => {
          const [x, y, z] = [
            normalCloud(a, 3, seed),
            normalCloud(b, 3, seed ^ 1, 1),
            normalCloud(c, 3, seed ^ 2, -1, 2),
          ];
          expect(await costOf(x, x)).toBe(0);
          expect(Math.abs((await costOf(x, y)) - (await costOf(y, x)))).toBeLessThan(1e-11);
          expect(await costOf(x, z)).toBeLessThanOrEqual((await costOf(x, y)) + (await costOf(y, z)) + 1e-11);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('scales with the clouds and does not see the order of rows', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.double({ min: 0.01, max: 100, noNaN: true }), async (seed, scale) => {
        const [x, y] = [normalCloud(20, 3, seed), normalCloud(15, 3, seed ^ 1)];
        const expected = await costOf(x, y);
        const scaled = (z: Matrix) =>
          matrix(
            Float64Array.from(z.data, (value) => scale * value),
            z.rows,
            z.columns,
          );
        expect(Math.abs((await costOf(scaled(x), scaled(y))) - scale * expected)).toBeLessThan(1e-11 * scale);
        const reversed = Float64Array.from(x.data, (_, at) => x.data[(19 - Math.floor(at / 3)) * 3 + (at % 3)]);
        expect(Math.abs((await costOf(matrix(reversed, 20, 3), y)) - expected)).toBeLessThan(1e-11);
      }),
      { numRuns: 40 },
    );
  });
});

describe('what exact transport refuses', () => {
  const cost = new DenseCost(new Float64Array(6).fill(1), 2, 3);
  test.each([
    ['an empty side', () => exactTransport(new DenseCost(new Float64Array(0), 0, 3)), /0 sources and 3 sinks/],
    [
      'a negative weight',
      () => exactTransport(cost, { sourceWeights: Float64Array.of(1, -1) }),
      /source weight 1 is -1/,
    ],
    ['no mass', () => exactTransport(cost, { sinkWeights: new Float64Array(3) }), /sink weights sum to 0/],
    [
      'the wrong number of weights',
      () => exactTransport(cost, { sinkWeights: new Float64Array(2) }),
      /2 sink weights for 3/,
    ],
  ])('%s', async (_, solve, message) => {
    await expect(solve()).rejects.toThrow(message);
  });

  test('a cost that is not finite', () => {
    expect(() => new DenseCost(Float64Array.of(1, NaN), 1, 2)).toThrow(/source 0 and sink 1 is NaN/);
  });
});
