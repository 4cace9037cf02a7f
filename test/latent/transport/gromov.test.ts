import { describe, expect, test } from 'vitest';
import { matrix } from '../../../latent/base/matrix.js';
import { normalFrom, seededRandom } from '../../../latent/base/random.js';
import { entropicGromov, relativeDistances } from '../../../latent/transport/gromov.js';
import { variants } from './fixtures/readFixture.js';

function normalCloud(n: number, p: number, seed: number) {
  const normal = normalFrom(seededRandom(seed));
  return matrix(
    Float64Array.from({ length: n * p }, () => normal()),
    n,
    p,
  );
}

describe('entropic Gromov-Wasserstein against POT (fixtures/entropicVariants.py)', () => {
  test.each(variants.gromov.map((problem, at) => ({ at, ...problem })))(
    'problem $at: $n x $m points in $p and $q dimensions, epsilon $epsilon',
    async ({ n, m, p, q, x, y, epsilon, loss, plan }) => {
      const [d, e] = await Promise.all([
        relativeDistances(matrix(Float64Array.from(x), n, p)),
        relativeDistances(matrix(Float64Array.from(y), m, q)),
      ]);
      const options = { epsilon, tolerance: 1e-11, marginalTolerance: 1e-12, maxIterations: 20_000 };
      const solved = await entropicGromov(d, e, options);
      expect(solved.converged).toBe(true);
      expect(Math.abs(solved.loss / loss - 1)).toBeLessThan(1e-6);
      solved.plan.data.forEach((mass, at) => expect(Math.abs(mass - plan[at])).toBeLessThan(1e-6 / n));
    },
  );
});

describe('entropic Gromov-Wasserstein', () => {
  test('finds the pairing of a cloud with its rotated and scaled copy', async () => {
    const x = normalCloud(40, 3, 1);
    const [cosine, sine] = [Math.cos(1), Math.sin(1)];
    const rotated = x.data.slice();
    for (let i = 0; i < 40; i++) {
      rotated[3 * i] = 7 * (cosine * x.data[3 * i] - sine * x.data[3 * i + 1]);
      rotated[3 * i + 1] = 7 * (sine * x.data[3 * i] + cosine * x.data[3 * i + 1]);
      rotated[3 * i + 2] = 7 * x.data[3 * i + 2];
    }
    const [d, e] = [await relativeDistances(x), await relativeDistances(matrix(rotated, 40, 3))];
    const { plan, loss, pairedLoss, independentLoss } = await entropicGromov(d, e, { epsilon: 0.005, tolerance: 1e-6 });
    expect(pairedLoss).toBeLessThan(1e-24);
    expect(loss).toBeLessThan(0.2 * independentLoss);
    const identity = plan.data.reduce((sum, mass, at) => sum + (at % 41 === 0 ? mass : 0), 0);
    expect(identity).toBeGreaterThan(0.9);
  });

  test('of constant embeddings is the independent coupling, without NaN', async () => {
    const same = await relativeDistances(matrix(new Float64Array(30).fill(2), 10, 3));
    const solved = await entropicGromov(same, same, { epsilon: 0.05 });
    expect(solved).toMatchObject({ loss: 0, independentLoss: 0, pairedLoss: 0, converged: true });
    solved.plan.data.forEach((mass) => expect(mass).toBeCloseTo(0.01, 12));
  });

  test('says when it did not converge', async () => {
    const [d, e] = [await relativeDistances(normalCloud(20, 3, 2)), await relativeDistances(normalCloud(20, 3, 3))];
    expect(await entropicGromov(d, e, { epsilon: 0.05, maxIterations: 2 })).toMatchObject({
      converged: false,
      iterations: 2,
    });
  });
});
