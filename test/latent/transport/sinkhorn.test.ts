import { describe, expect, test } from 'vitest';
import { matrix } from '../../../latent/base/matrix.js';
import { normalFrom, seededRandom } from '../../../latent/base/random.js';
import { DenseCost, euclideanCost, type CostSource } from '../../../latent/transport/cost.js';
import { exactTransport } from '../../../latent/transport/exact.js';
import { medianCost } from '../../../latent/transport/medianCost.js';
import { debiased, sinkhorn, type SinkhornOptions } from '../../../latent/transport/sinkhorn.js';
import { clouds, fixture, variants } from './fixtures/readFixture.js';

function normalCloud(n: number, p: number, seed: number) {
  const normal = normalFrom(seededRandom(seed));
  return matrix(
    Float64Array.from({ length: n * p }, () => normal()),
    n,
    p,
  );
}

const divergenceOf = async (xy: CostSource, xx: CostSource, yy: CostSource, options: SinkhornOptions) =>
  debiased(await sinkhorn(xy, options), xx, yy, options);

describe('entropic transport against POT in the log domain (fixtures/transport.py)', () => {
  test.each(fixture.entropic.map((problem, at) => ({ at, ...problem })))(
    'problem $at: $n x $m points, epsilon $epsilon of the median',
    async (problem) => {
      const cost = await euclideanCost(...clouds(problem));
      const plan = await sinkhorn(cost, {
        epsilon: problem.epsilon,
        tolerance: 1e-12,
        keepShare: 0,
        maxIterations: 500_000,
        sourceWeights: Float64Array.from(problem.a ?? []),
        sinkWeights: Float64Array.from(problem.b ?? []),
      });
      expect(plan.converged).toBe(true);
      expect(plan.epsilon).toBeCloseTo(problem.epsilon * problem.median, 14);
      expect(Math.abs(plan.cost / problem.cost - 1)).toBeLessThan(1e-8);
      expect(Math.abs(plan.regularisedCost / problem.regularised - 1)).toBeLessThan(1e-8);
      expect(plan.marginalResidual).toBeLessThan(1e-11);
      expect(plan.droppedMass).toBeLessThan(1e-12);
      plan.mass.forEach((mass, at) =>
        expect(Math.abs(mass - problem.plan[plan.source[at] * problem.m + plan.sink[at]])).toBeLessThan(1e-9),
      );
    },
  );
});

describe('unbalanced transport against POT (fixtures/entropicVariants.py)', () => {
  test.each(variants.unbalanced.map((problem, at) => ({ at, ...problem })))(
    'problem $at: $n x $m points, epsilon $epsilon, price $marginal of the median',
    async (problem) => {
      const cost = await euclideanCost(...clouds(problem));
      const plan = await sinkhorn(cost, {
        epsilon: problem.epsilon,
        marginal: problem.marginal,
        tolerance: 1e-13,
        keepShare: 0,
        maxIterations: 500_000,
        sourceWeights: Float64Array.from(problem.a ?? []),
        sinkWeights: Float64Array.from(problem.b ?? []),
      });
      expect(plan.converged).toBe(true);
      expect(Math.abs(plan.cost / problem.cost - 1)).toBeLessThan(1e-8);
      expect(Math.abs(plan.regularisedCost / problem.regularised - 1)).toBeLessThan(1e-8);
      expect(Math.abs(plan.total / problem.total - 1)).toBeLessThan(1e-8);
      plan.mass.forEach((mass, at) =>
        expect(Math.abs(mass - problem.plan[plan.source[at] * problem.m + plan.sink[at]])).toBeLessThan(1e-9),
      );
    },
  );

  test('is the balanced plan where the price is high', async () => {
    const cost = await euclideanCost(...clouds(variants.divergences[1]));
    const balanced = await sinkhorn(cost, { epsilon: 0.2 });
    const dear = await sinkhorn(cost, { epsilon: 0.2, marginal: 1e7 });
    expect(Math.abs(dear.cost / balanced.cost - 1)).toBeLessThan(1e-5);
    expect(dear.total).toBeCloseTo(1, 5);
  });
});

test.each(variants.divergences)('the divergence at epsilon $epsilon is that of POT', async (problem) => {
  const [x, y] = clouds(problem);
  const [xy, xx, yy] = [await euclideanCost(x, y), await euclideanCost(x, x), await euclideanCost(y, y)];
  const { divergence } = await divergenceOf(xy, xx, yy, {
    epsilon: problem.epsilon,
    tolerance: 1e-12,
    maxIterations: 200_000,
  });
  expect(Math.abs(divergence / problem.divergence - 1)).toBeLessThan(1e-6);
});

describe('entropic transport', () => {
  const [x, y] = [normalCloud(60, 4, 1), normalCloud(45, 4, 2)];

  test('approaches the exact cost from above, and its dual bounds it from below', async () => {
    const cost = await euclideanCost(x, y);
    const exact = (await exactTransport(cost)).cost;
    let previous = Infinity;
    for (const epsilon of [0.5, 0.1, 0.02, 0.005]) {
      const plan = await sinkhorn(cost, { epsilon, tolerance: 1e-7, maxIterations: 200_000 });
      expect(plan.converged).toBe(true);
      expect(plan.cost).toBeGreaterThan(exact - 1e-9);
      expect(plan.cost).toBeLessThan(previous);
      expect(plan.dual).toBeLessThan(exact + 1e-9);
      previous = plan.cost;
    }
    expect(previous / exact - 1).toBeLessThan(5e-3);
  });

  test('survives an epsilon at which exp(-C / epsilon) underflows', async () => {
    const far = new DenseCost(Float64Array.of(1000, 1001, 1001, 1000.5), 2, 2);
    const plan = await sinkhorn(far, { epsilon: 1e-2, epsilonUnit: 'cost' });
    expect(plan.converged).toBe(true);
    expect(plan.cost).toBeCloseTo(1000.25, 6);
  });

  test('is finite however early it is left, also where no row reaches a column yet', async () => {
    const random = seededRandom(1);
    const [apart, own] = [
      (row: number) => (row < 15 ? 0 : 300),
      (row: number) => (row < 5 ? 0 : row < 10 ? 500 : 300),
    ].map((place, side) =>
      matrix(
        Float64Array.from({ length: side === 0 ? 90 : 60 }, (_, at) => place(Math.floor(at / 3)) + random()),
        side === 0 ? 30 : 20,
        3,
      ),
    );
    const cost = await euclideanCost(apart, own);
    for (const maxIterations of [1, 2, 5, 10]) {
      const plan = await sinkhorn(cost, { epsilon: 1e-4, maxIterations });
      expect(plan.converged).toBe(false);
      for (const value of [plan.cost, plan.marginalResidual, plan.gap, ...plan.f, ...plan.g, ...plan.mass])
        expect(value).toSatisfy(Number.isFinite);
    }
  });

  test('says when it did not converge', async () => {
    const plan = await sinkhorn(await euclideanCost(x, y), { epsilon: 0.01, maxIterations: 3 });
    expect(plan.converged).toBe(false);
    expect(plan.iterations).toBe(3);
    expect(plan.marginalResidual).toBeGreaterThan(1e-9);
  });

  test('counts the mass of the arcs that it leaves out', async () => {
    const cost = await euclideanCost(x, y);
    const plan = await sinkhorn(cost, { epsilon: 0.05, keepShare: 0.01 });
    const kept = plan.mass.reduce((sum, mass) => sum + mass, 0);
    expect(kept + plan.droppedMass).toBeCloseTo(1, 9);
    expect(plan.droppedMass).toBeGreaterThan(0);
    expect(Math.min(...plan.mass)).toBeGreaterThanOrEqual(0.01 / 60);
  });

  test('the divergence is 0 between equal clouds and positive between others', async () => {
    const [xy, xx, yy] = [await euclideanCost(x, y), await euclideanCost(x, x), await euclideanCost(y, y)];
    const options = { epsilon: 0.1, tolerance: 1e-6 };
    expect(Math.abs((await divergenceOf(xx, xx, xx, options)).divergence)).toBeLessThan(1e-9);
    const other = await divergenceOf(xy, xx, yy, options);
    expect(other.converged).toBe(true);
    expect(other.divergence).toBeGreaterThan(0.01);
  });

  test('refuses an epsilon of 0 and weights of 0', async () => {
    const cost = await euclideanCost(x, y);
    await expect(sinkhorn(cost, { epsilon: 0 })).rejects.toThrow(/epsilon is 0/);
    await expect(
      sinkhorn(cost, { epsilon: 1, sourceWeights: new Float64Array(60).fill(1).fill(0, 3, 4) }),
    ).rejects.toThrow(/weights above 0/);
  });
});

test('the median of costs is exact for odd and even numbers of them', async () => {
  for (const [n, m] of [
    [31, 17],
    [30, 17],
    [1, 1],
    [1, 2],
  ]) {
    const values = normalCloud(n, m, n + m).data;
    const sorted = values.slice().sort();
    const count = n * m;
    const expected = (sorted[Math.floor((count - 1) / 2)] + sorted[Math.floor(count / 2)]) / 2;
    expect(await medianCost(new DenseCost(values, n, m))).toBe(expected);
  }
  expect(await medianCost(new DenseCost(new Float64Array(6).fill(2.5), 2, 3))).toBe(2.5);
});
