import { describe, expect, test } from 'vitest';
import { matrix } from '../../../latent/base/matrix.js';
import { normalFrom, seededRandom } from '../../../latent/base/random.js';
import { euclideanCost, type CostSource } from '../../../latent/transport/cost.js';
import { Relaxation } from '../../../latent/transport/relaxation.js';
import { Scaling } from '../../../latent/transport/scaling.js';

const [N, M] = [37, 29]; // neither fills whole vectors

async function normalCosts(): Promise<CostSource> {
  const normal = normalFrom(seededRandom(3));
  const cloud = (rows: number) =>
    matrix(
      Float64Array.from({ length: rows * 3 }, () => normal()),
      rows,
      3,
    );
  return euclideanCost(cloud(N), cloud(M));
}
const uniform = (n: number) => new Float64Array(n).fill(1 / n);

async function started(epsilon: number): Promise<Scaling> {
  const state = new Scaling(await normalCosts(), uniform(N), uniform(M));
  await state.rebuild(epsilon);
  return state;
}

/** The plan, once the scalings are in it. */
async function planOf(state: Scaling): Promise<number[]> {
  await state.finish();
  return Array.from({ length: N * M }, (_, at) => state.kernel[Math.floor(at / M) * state.width + (at % M)]);
}

describe('scaling', () => {
  test('to a smaller epsilon by powers is that by exponentials', async () => {
    const plans: number[][] = [];
    for (const step of [
      (state: Scaling) => Promise.resolve(state.sharpen(4)),
      (state: Scaling) => state.rebuild(0.05),
    ]) {
      const state = await started(0.2);
      for (let times = 0; times < 20; times++) state.iterate();
      await step(state);
      state.iterate();
      plans.push(await planOf(state));
    }
    plans[0].forEach((mass, at) => expect(Math.abs(mass - plans[1][at])).toBeLessThan(1e-13));
  });

  test('over-relaxed comes to the same plan in a third of the iterations at most', async () => {
    const run = async (next: (error: number) => number) => {
      const state = await started(0.05);
      let power = 1;
      while (state.iterations < 20_000) {
        const error = state.iterate(power);
        if (error < 1e-12) break;
        power = next(error);
      }
      return { iterations: state.iterations, plan: await planOf(state) };
    };
    const relaxation = new Relaxation();
    const plain = await run(() => 1);
    const relaxed = await run((error) => (relaxation.note(error), relaxation.power));
    expect(relaxed.iterations).toBeLessThan(plain.iterations / 3);
    relaxed.plan.forEach((mass, at) => expect(Math.abs(mass - plain.plan[at])).toBeLessThan(1e-10));
  });

  test('that cannot be addressed is refused by its size', () => {
    const huge = { n: 30_000, m: 20_000 } as CostSource;
    expect(() => new Scaling(huge, uniform(30_000), uniform(20_000))).toThrow(
      /between 30000 and 20000 points needs 4\.5 GiB/,
    );
  });
});

describe('relaxation', () => {
  /** Notes errors that shrink by a rate, as many as make it adapt once. */
  const feed = (relaxation: Relaxation, rate: number) => {
    const before = relaxation.power;
    for (let at = 0, error = 1; at < 50 && relaxation.power === before; at++, error *= rate) relaxation.note(error);
    return relaxation.power;
  };

  test('is the optimum of the rate that is seen, from plain updates and from over-relaxed ones', () => {
    const [plain, optimum] = [0.96, 2 / (1 + Math.sqrt(1 - 0.96))];
    expect(feed(new Relaxation(), plain)).toBeCloseTo(optimum, 12);
    const low = new Relaxation();
    feed(low, 0.9);
    // Young: the rate under a power w below the optimum is the larger root of (x + w - 1)^2 = x w^2 r
    const [w, r] = [low.power, plain];
    const half = (w * w * r) / 2 - (w - 1);
    expect(feed(low, half + Math.sqrt(half * half - (w - 1) ** 2))).toBeCloseTo(optimum, 9);
  });

  test('goes back to plain updates when the error grows', () => {
    const relaxation = new Relaxation();
    expect(feed(relaxation, 0.9)).toBeGreaterThan(1.4);
    expect(feed(relaxation, 1.1)).toBe(1);
  });
});
