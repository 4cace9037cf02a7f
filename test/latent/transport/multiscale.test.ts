import { describe, expect, test } from 'vitest';
import { matrix, type Matrix } from '../../../latent/base/matrix.js';
import { normalFrom, seededRandom } from '../../../latent/base/random.js';
import { euclideanCost } from '../../../latent/transport/cost.js';
import { exactTransport } from '../../../latent/transport/exact.js';
import { multiscaleTransport, type MultiscalePlan } from '../../../latent/transport/multiscale.js';

function normalCloud(n: number, p: number, seed: number, shift = 0): Matrix<Float64Array> {
  const normal = normalFrom(seededRandom(seed));
  return matrix(
    Float64Array.from({ length: n * p }, () => shift + normal()),
    n,
    p,
  );
}
const small = { cells: 40, block: 60 };

/** Marginals, from the arcs alone. */
function marginals({ n, m, source, sink, mass }: MultiscalePlan) {
  const [rows, columns] = [new Float64Array(n), new Float64Array(m)];
  mass.forEach((moved, arc) => {
    rows[source[arc]] += moved;
    columns[sink[arc]] += moved;
  });
  return { rows, columns };
}

describe('multiscale transport', () => {
  test.each([
    [400, 400],
    [400, 230],
    [150, 400],
    [401, 399],
  ])('of %d and %d points has exact marginals, and brackets the optimum', async (n, m) => {
    const [x, y] = [normalCloud(n, 4, 1), normalCloud(m, 4, 2, 0.5)];
    const plan = await multiscaleTransport(x, y, small);
    const { rows, columns } = marginals(plan);
    rows.forEach((sum) => expect(Math.abs(sum - 1 / n)).toBeLessThan(1e-14));
    columns.forEach((sum) => expect(Math.abs(sum - 1 / m)).toBeLessThan(1e-14));
    const exact = (await exactTransport(await euclideanCost(x, y))).cost;
    expect(plan.cost).toBeGreaterThanOrEqual(exact - 1e-12);
    expect(plan.cost / exact - 1).toBeLessThan(0.06); // blocks of 60 arcs are small
    expect(plan.dual).toBeLessThanOrEqual(exact + 1e-12);
    expect(plan.gap).toBeCloseTo(plan.cost - (plan.dual ?? NaN), 12);
    expect(new Set(plan.source.map((i, arc) => i * m + plan.sink[arc])).size).toBe(plan.source.length);
  });

  test('costs less with every round', async () => {
    const [x, y] = [normalCloud(500, 6, 3), normalCloud(500, 6, 4)];
    let before = Infinity;
    for (const rounds of [0, 1, 2, 4]) {
      const { cost } = await multiscaleTransport(x, y, { ...small, rounds });
      expect(cost).toBeLessThan(before);
      before = cost;
    }
  });

  test('is the exact plan where one block holds all arcs, and a permutation for equal sizes', async () => {
    const [x, y] = [normalCloud(120, 3, 5), normalCloud(120, 3, 6)];
    const plan = await multiscaleTransport(x, y);
    expect(plan.cost).toBeCloseTo((await exactTransport(await euclideanCost(x, y))).cost, 12);
    expect([...plan.source]).toEqual(Array.from({ length: 120 }, (_, i) => i));
    expect(new Set(plan.sink).size).toBe(120);
  });

  test('gives the same plan on every call, and no bound above the pairs it may look at', async () => {
    const [x, y] = [normalCloud(200, 3, 7), normalCloud(200, 3, 8)];
    const plan = await multiscaleTransport(x, y, { ...small, mostPairs: 100 });
    expect(plan).toMatchObject({ dual: null, gap: null });
    expect(await multiscaleTransport(x, y, { ...small, mostPairs: 100 })).toEqual(plan);
  });

  test.each([
    ['one point each', normalCloud(1, 3, 1), normalCloud(1, 3, 2)],
    ['one against many', normalCloud(1, 3, 1), normalCloud(90, 3, 2)],
    ['all points equal', matrix(new Float64Array(300), 100, 3), matrix(new Float64Array(300), 100, 3)],
  ])('of %s is exact', async (_, x, y) => {
    const plan = await multiscaleTransport(x, y, small);
    const exact = (await exactTransport(await euclideanCost(x, y))).cost;
    expect(plan.cost).toBeCloseTo(exact, 12);
    expect(plan.gap).toBeCloseTo(0, 12);
  });
});
