import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { matrix, type Matrix } from '../../../latent/matrix.js';
import { normalFrom, seededRandom } from '../../../latent/random.js';
import { solvePair } from '../../../latent/transport/solvePair.js';
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
    expect(Math.abs(summary.gap)).toBeLessThan(1e-10);
    expect(summary.marginal_residual).toBeLessThan(1e-15);
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

  test('constant clouds: every plan costs the same, and the ratio is 0, not NaN', async () => {
    const [x, y] = [matrix(new Float64Array(20).fill(1), 10, 2), matrix(new Float64Array(20), 10, 2)];
    const { summary } = await solvePair(x, y, {
      design: 'same',
      sourceElements: elements(10),
      sinkElements: elements(10),
    });
    expect(summary.cost).toBeCloseTo(Math.SQRT2, 12);
    expect(summary.alignment_ratio).toBe(0);
  });

  test('disjoint samples have no pairing: those figures are null', async () => {
    const { summary } = await solvePair(normalCloud(30, 2, 3), normalCloud(20, 2, 4), {
      design: 'disjoint',
      sourceElements: elements(30),
      sinkElements: elements(20, 2),
    });
    expect(summary).toMatchObject({ paired_cost: null, alignment_ratio: null, identity_mass: null, n: 30, m: 20 });
    expect(summary.element_match_chance).toBeCloseTo((0.5 + 0.5) / 3, 12);
    expect(summary.element_match_ceiling).toBeCloseTo(2 / 3, 12);
    expect(summary.element_match_mass).toBeLessThanOrEqual(summary.element_match_ceiling + 1e-12);
  });

  test('an entropic plan has its own cost above the exact one, and the mass that it drops', async () => {
    const [x, y] = [normalCloud(60, 3, 5), normalCloud(60, 3, 6)];
    const options = { design: 'same', sourceElements: elements(60), sinkElements: elements(60) } as const;
    const exact = await solvePair(x, y, options);
    const entropic = await solvePair(x, y, { ...options, solver: { name: 'sinkhorn', epsilon: 0.1 } });
    expect(entropic.summary).toMatchObject({ solver: 'sinkhorn', converged: true });
    expect(entropic.summary.cost).toBeGreaterThan(exact.summary.cost);
    expect(entropic.summary.dual).toBeLessThanOrEqual(exact.summary.cost + 1e-9);
    const kept = entropic.plan.mass.reduce((sum, mass) => sum + mass, 0);
    expect(kept + entropic.summary.dropped_mass).toBeCloseTo(1, 9);
  });

  test.each([
    ['unequal rows of the same atoms', normalCloud(3, 2, 1), normalCloud(4, 2, 1), /'same' pairs row i with row i/],
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
