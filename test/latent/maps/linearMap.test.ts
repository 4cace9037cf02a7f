import { describe, expect, test } from 'vitest';
import { fitLinearMap, mapError } from '../../../latent/maps/linearMap.js';
import { matrix, type Matrix } from '../../../latent/base/matrix.js';
import { normalFrom, seededRandom } from '../../../latent/base/random.js';
import { applyMap } from '../../../latent/maps/anchorMaps.js';

const [P, Q, ATOMS] = [30, 6, 4];

/** Structures of four nearly equal atoms; what y has beyond a map of x is the structure's own. */
function crystals(structures: number, seed: number, noise: number): { x: Matrix; y: Matrix; groups: Int32Array } {
  const weights = normalFrom(seededRandom(1));
  const map = Float64Array.from({ length: P * Q }, () => weights() / Math.sqrt(P));
  const normal = normalFrom(seededRandom(seed));
  const [x, y] = [new Float64Array(structures * ATOMS * P), new Float64Array(structures * ATOMS * Q)];
  for (let s = 0; s < structures; s++) {
    const own = Float64Array.from({ length: P }, () => normal());
    const rest = Float64Array.from({ length: Q }, () => noise * normal());
    for (let row = s * ATOMS; row < (s + 1) * ATOMS; row++) {
      for (let i = 0; i < P; i++) x[row * P + i] = own[i] + 0.01 * normal();
      for (let j = 0; j < Q; j++) {
        y[row * Q + j] = 3 + rest[j];
        for (let i = 0; i < P; i++) y[row * Q + j] += x[row * P + i] * map[i * Q + j];
      }
    }
  }
  const groups = Int32Array.from({ length: structures * ATOMS }, (_, row) => Math.floor(row / ATOMS));
  return { x: matrix(x, groups.length, P), y: matrix(y, groups.length, Q), groups };
}

describe('the linear map', () => {
  test('chosen by structure predicts other structures better than chosen by atom', async () => {
    for (const seed of [2, 3, 4]) {
      const { x, y, groups } = crystals(40, seed, 1);
      const others = crystals(200, seed + 100, 1);
      const errorOf = async (of: ArrayLike<number>) =>
        mapError(applyMap(await fitLinearMap(x, y, of), others.x), others.y).relativeError;
      const byAtom = await errorOf(Int32Array.from(groups, (_, row) => row));
      expect(await errorOf(groups), `seed ${seed}`).toBeLessThan(0.9 * byAtom);
    }
  });

  test('is exact where y is an affine map of x', async () => {
    const { x, y, groups } = crystals(80, 5, 0);
    const others = crystals(50, 6, 0);
    const { relativeError, meanCosine } = mapError(applyMap(await fitLinearMap(x, y, groups), others.x), others.y);
    expect(relativeError).toBeLessThan(1e-6);
    expect(meanCosine).toBeCloseTo(1, 9);
  });

  test('does not depend on which even or odd number a group has', async () => {
    const { x, y, groups } = crystals(40, 7, 1);
    const one = await fitLinearMap(x, y, groups);
    const other = await fitLinearMap(
      x,
      y,
      groups.map((group) => group + 2),
    );
    expect(other).toEqual(one);
  });

  test('needs four rows of two groups', async () => {
    const { x, y, groups } = crystals(1, 8, 1);
    await expect(fitLinearMap(x, y, groups)).rejects.toThrow('the 4 rows are of one group');
    await expect(fitLinearMap(x, y, [0, 1])).rejects.toThrow('4 and 4 rows of 2 groups');
  });
});
