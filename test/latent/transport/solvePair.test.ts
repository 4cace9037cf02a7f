import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { matrix, type Matrix } from '../../../latent/base/matrix.js';
import { normalFrom, seededRandom } from '../../../latent/base/random.js';
import { gromovPair, solvePair } from '../../../latent/transport/solvePair.js';
import { referencePython } from '../../support/python.js';
import { describeShared, sharedPath } from '../../support/shared.js';

function normalCloud(n: number, p: number, seed: number, shift = 0): Matrix<Float64Array> {
  const normal = normalFrom(seededRandom(seed));
  return matrix(
    Float64Array.from({ length: n * p }, () => shift + normal()),
    n,
    p,
  );
}
const elements = (n: number, kinds = 3) => Int32Array.from({ length: n }, (_, at) => 1 + (at % kinds));

describeShared('transport between the coordinates of real potentials against POT', () => {
  let folder: string;
  let problems: { a: string; b: string; n: number; m: number; cost: number; mean: number; paired: number | null }[];
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'koine-transport-'));
    const script = fileURLToPath(new URL('./fixtures/realProblems.py', import.meta.url));
    execFileSync(referencePython(), [script, sharedPath('models'), folder], { stdio: ['ignore', 'ignore', 'inherit'] });
    problems = JSON.parse(readFileSync(join(folder, 'problems.json'), 'utf8')) as typeof problems;
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const points = (file: string, n: number) => {
    const bytes = readFileSync(join(folder, file));
    const data = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    return matrix(data, n, data.length / n);
  };

  test.each(Array.from({ length: 10 }, (_, k) => k))('problem %i', async (k) => {
    const { n, m, cost, mean, paired } = problems[k];
    const { summary } = await solvePair(points(`${k}.x`, n), points(`${k}.y`, m), {
      design: paired === null ? 'disjoint' : 'same',
      sourceElements: elements(n),
      sinkElements: elements(m),
    });
    expect(Math.abs(summary.cost / cost - 1)).toBeLessThan(1e-9);
    expect(Math.abs(summary.random_cost / mean - 1)).toBeLessThan(1e-9);
    if (paired === null) expect(summary.paired_cost).toBeNull();
    else expect(Math.abs((summary.paired_cost ?? 0) / paired - 1)).toBeLessThan(1e-9);
    expect(Math.abs(summary.gap ?? NaN)).toBeLessThan(1e-10);
    expect(summary.marginal_residual).toBeLessThan(1e-15);
  });

  test('costs between three models on the same atoms are a metric: 0 to itself, the same back, no detour shorter', async () => {
    const clouds = [0, 1, 2].map((model) => points(`same-${model}.x`, 300));
    const costs = await Promise.all(
      clouds.map((x) =>
        Promise.all(
          clouds.map(async (y) => {
            const { summary } = await solvePair(x, y, {
              design: 'same',
              sourceElements: elements(300),
              sinkElements: elements(300),
            });
            return summary.cost;
          }),
        ),
      ),
    );
    for (const i of [0, 1, 2])
      for (const j of [0, 1, 2]) {
        if (i === j) expect(costs[i][j]).toBe(0);
        else expect(costs[i][j]).toBeGreaterThan(0.01); // different architectures do differ
        expect(Math.abs(costs[i][j] - costs[j][i])).toBeLessThan(1e-12);
        for (const k of [0, 1, 2]) expect(costs[i][j]).toBeLessThanOrEqual(costs[i][k] + costs[k][j] + 1e-12);
      }
  });
});

describe('one pair', () => {
  test('a model against itself: cost 0, every atom found again, ratio 0', async () => {
    const x = normalCloud(80, 4, 1);
    const {
      plan,
      summary,
      elements: moved,
    } = await solvePair(x, x, {
      design: 'same',
      sourceElements: elements(80),
      sinkElements: elements(80),
    });
    expect(summary).toMatchObject({
      solver: 'exact',
      n: 80,
      m: 80,
      cost: 0,
      paired_cost: 0,
      alignment_ratio: 0,
      dropped_mass: 0,
    });
    expect(summary.identity_mass).toBeCloseTo(1, 12);
    expect(summary.element_match_mass).toBeCloseTo(1, 12);
    expect(plan.source).toEqual(plan.sink);
    expect([...moved.sourceElement]).toEqual([1, 2, 3]);
    expect([...moved.targetElement]).toEqual([1, 2, 3]);
  });

  test('a constant offset costs its length but keeps the pairing optimal', async () => {
    const x = normalCloud(60, 3, 2);
    const y = matrix(
      x.data.map((value) => value + 5),
      60,
      3,
    );
    const { summary } = await solvePair(x, y, {
      design: 'same',
      sourceElements: elements(60),
      sinkElements: elements(60),
    });
    expect(summary.cost).toBeCloseTo(5 * Math.sqrt(3), 10);
    expect(summary.alignment_ratio).toBeCloseTo(0, 9);
  });

  test('constant clouds: every plan costs the same, so there is no ratio and no atom is found beyond chance', async () => {
    const [x, y] = [matrix(new Float64Array(20).fill(1), 10, 2), matrix(new Float64Array(20), 10, 2)];
    const { summary } = await solvePair(x, y, {
      design: 'same',
      sourceElements: elements(10),
      sinkElements: elements(10),
    });
    expect(summary.cost).toBeCloseTo(Math.SQRT2, 12);
    expect(summary.alignment_ratio).toBeNull();
    expect(summary.identity_mass).toBeCloseTo(summary.identity_chance ?? NaN, 12);
  });

  test('disjoint samples have no pairing: those figures are null', async () => {
    const { summary } = await solvePair(normalCloud(30, 2, 3), normalCloud(20, 2, 4), {
      design: 'disjoint',
      sourceElements: elements(30),
      sinkElements: elements(20, 2),
    });
    expect(summary).toMatchObject({ paired_cost: null, alignment_ratio: null, identity_mass: null, n: 30, m: 20 });
    expect(summary.element_match_chance).toBeCloseTo((0.5 + 0.5) / 3, 12);
    expect(summary.element_match_mass).toBeLessThanOrEqual(2 / 3 + 1e-12); // a third of the sources has no partner
  });

  test('an entropic plan has its own cost above the exact one, and the mass that it drops', async () => {
    const [x, y] = [normalCloud(60, 3, 5), normalCloud(60, 3, 6)];
    const options = { design: 'same', sourceElements: elements(60), sinkElements: elements(60) } as const;
    const exact = await solvePair(x, y, options);
    const entropic = await solvePair(x, y, { ...options, solver: 'sinkhorn', epsilon: 0.1 });
    expect(entropic.summary).toMatchObject({ solver: 'sinkhorn', converged: true });
    expect(entropic.summary.cost).toBeGreaterThan(exact.summary.cost);
    expect(entropic.summary.dual).toBeLessThanOrEqual(exact.summary.cost + 1e-9);
    const kept = entropic.plan.mass.reduce((sum, mass) => sum + mass, 0);
    expect(kept + entropic.summary.dropped_mass).toBeCloseTo(1, 9);
    expect(entropic.summary.dropped_mass).toBeGreaterThan(0);
    const moved = entropic.elements.mass.reduce((sum, mass) => sum + mass, 0);
    expect(moved).toBeCloseTo(1, 9); // figures are of the whole plan
  });

  test('an exact plan of sizes without a common divisor keeps its smallest arcs', async () => {
    const { plan, summary } = await solvePair(normalCloud(101, 3, 5), normalCloud(100, 3, 6), {
      design: 'disjoint',
      sourceElements: elements(101),
      sinkElements: elements(100),
    });
    expect(plan.mass.reduce((sum, mass) => sum + mass, 0)).toBeCloseTo(1, 12);
    expect(Math.min(...plan.mass)).toBeLessThan(1e-3);
    expect(summary.dropped_mass).toBe(0);
  });

  test('the divergence is there when asked for, and 0 for equal clouds', async () => {
    const x = normalCloud(40, 3, 5);
    const options = { design: 'same', sourceElements: elements(40), sinkElements: elements(40) } as const;
    const plain = await solvePair(x, x, { ...options, solver: 'sinkhorn', epsilon: 0.2 });
    expect(plain.summary.divergence).toBeNull();
    const { summary } = await solvePair(x, x, { ...options, solver: 'sinkhorn', epsilon: 0.2, debias: true });
    expect(Math.abs(summary.divergence ?? NaN)).toBeLessThan(1e-9);
    expect(summary.regularised_cost).toBeGreaterThan(0.1);
  });

  test('an unbalanced plan leaves the mass that is too far, and says how much there is', async () => {
    const x = normalCloud(40, 3, 5);
    const far = matrix(
      x.data.map((value, at) => (at < 30 ? value + 50 : value)), // the first ten points
      40,
      3,
    );
    const options = { design: 'same', sourceElements: elements(40), sinkElements: elements(40) } as const;
    const { summary } = await solvePair(x, far, { ...options, solver: 'unbalanced', epsilon: 0.02, marginal: 0.5 });
    expect(summary).toMatchObject({ solver: 'unbalanced', converged: true, dual: null, gap: null });
    expect(summary.mass).toBeLessThan(0.95);
    expect(summary.cost).toBeLessThan((await solvePair(x, far, options)).summary.cost / 2);
  });

  test('the multiscale solver agrees with the exact one on a cloud within its blocks', async () => {
    const [x, y] = [normalCloud(300, 3, 5), normalCloud(300, 3, 6)];
    const options = { design: 'same', sourceElements: elements(300), sinkElements: elements(300) } as const;
    const exact = await solvePair(x, y, options);
    const { summary } = await solvePair(x, y, { ...options, solver: 'multiscale' });
    expect(Math.abs(summary.cost / exact.summary.cost - 1)).toBeLessThan(1e-12);
    expect(summary.dual ?? NaN).toBeLessThanOrEqual(exact.summary.cost + 1e-12);
  });

  test('Gromov-Wasserstein sees no difference between a cloud and its mirror image', async () => {
    const x = normalCloud(50, 3, 7);
    const mirrored = matrix(
      x.data.map((value) => -3 * value),
      50,
      3,
    );
    const options = { design: 'same', sourceElements: elements(50), sinkElements: elements(50) } as const;
    const { summary } = await gromovPair(x, mirrored, { ...options, epsilon: 0.01 });
    expect(summary).toMatchObject({ solver: 'gromov', n: 50, m: 50, dual: null });
    expect(summary.paired_cost).toBeLessThan(1e-20);
    expect(summary.cost).toBeLessThan(0.3 * summary.random_cost);
    expect(summary.identity_mass).toBeGreaterThan(0.5);
  });

  test.each([
    ['unequal rows of the same atoms', normalCloud(3, 2, 1), normalCloud(4, 2, 1), /'same' pairs row i with row i/],
    ['no rows at all', normalCloud(0, 2, 1), normalCloud(0, 2, 1), /0 sources and 0 sinks/],
    ['other coordinates', normalCloud(3, 2, 1), normalCloud(3, 3, 1), /points of 2 and 3 coordinates/],
    [
      'infinite coordinates',
      matrix(Float64Array.of(1, Infinity), 2, 1),
      normalCloud(2, 1, 1),
      /x has Infinity in row 1/,
    ],
  ])('%s are refused', async (_, x, y, message) => {
    const options = { design: 'same', sourceElements: elements(x.rows), sinkElements: elements(y.rows) } as const;
    await expect(solvePair(x, y, options)).rejects.toThrow(message);
  });
});
