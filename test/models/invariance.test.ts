import { afterAll, beforeAll, expect, test } from 'vitest';
import { readSettings } from '../../config/settings.js';
import type { Crystal } from '../../models/graphBatch.js';
import { InferencePool } from '../../models/inferencePool.js';
import { measureInvariance } from '../../models/invariance.js';
import { openModels } from '../../workers/dependencies.js';
import { describeShared, sharedPath } from '../support/shared.js';
import { devStructures } from './devStructures.js';

/** Above this share of the root mean square a change is no rounding. */
const CHANGED = 1e-3;

describeShared('invariance, measured by running networks', () => {
  let pool: InferencePool;
  beforeAll(() => (pool = new InferencePool({ threads: 1, provider: 'cpu' })));
  afterAll(() => pool.close());

  async function measured(id: string, change: (crystal: Crystal) => Crystal = (crystal) => crystal) {
    const model = await openModels(readSettings({}), [sharedPath('models')]).resolve(id);
    const structures = (await devStructures()).filter(({ atomicNumbers }) => atomicNumbers.length <= 16).slice(0, 24);
    return measureInvariance((crystals) => pool.embed(model, crystals.map(change)), structures, {
      rotations: 1,
      seed: 1,
    });
  }
  const shareChanged = (changes: Float64Array) => changes.filter((value) => value > CHANGED).length / changes.length;

  test('SevenNet is invariant under rotations but not under inversion, also in its energies', async () => {
    const { rotation, inversion } = await measured('sevennet-0-11jul2024');
    expect(Math.max(...rotation.changes)).toBeLessThan(1e-4);
    expect(shareChanged(inversion.changes)).toBeGreaterThan(0.3);
    expect(Math.max(...inversion.energies)).toBeGreaterThan(1e-4);
  });

  test.each(['chgnet-0.3.0', 'tensornet-matpes-pbe', 'nequix-mp-1'])('%s is invariant under both', async (id) => {
    const { rotation, inversion } = await measured(id);
    expect(rotation.structures).toBeGreaterThan(15);
    expect(Math.max(...rotation.changes, ...inversion.changes)).toBeLessThan(1e-4);
    expect(Math.max(...rotation.energies, ...inversion.energies)).toBeLessThan(1e-4);
  });

  test('a copy that nudges atoms along one axis before it encodes is caught', async () => {
    const nudged = (crystal: Crystal): Crystal => {
      const { lattice, fractionalCoordinates: given } = crystal;
      // Every atom moves along x by up to 0.05 Å, according to its number: a uniform shift would change nothing.
      const fractionalCoordinates = given.slice();
      for (let atom = 0; atom < crystal.atomicNumbers.length; atom++)
        for (let k = 0; k < 3; k++) {
          const moved = given[3 * atom + k] + 0.05 * Math.sin(1 + 7 * atom) * inverseEntry(lattice, 0, k);
          fractionalCoordinates[3 * atom + k] = moved - Math.floor(moved);
        }
      return { ...crystal, fractionalCoordinates };
    };
    const { rotation, inversion } = await measured('chgnet-0.3.0', nudged);
    expect(shareChanged(rotation.changes)).toBeGreaterThan(0.5);
    expect(shareChanged(inversion.changes)).toBeGreaterThan(0.3);
  });
});

function determinant(m: Float64Array): number {
  return m[0] * (m[4] * m[8] - m[5] * m[7]) - m[1] * (m[3] * m[8] - m[5] * m[6]) + m[2] * (m[3] * m[7] - m[4] * m[6]);
}

/** Entry (axis, k) of the inverse of the lattice: change of fractional coordinate k for a step of 1 Å along the axis. */
function inverseEntry(m: Float64Array, axis: number, k: number): number {
  const [a, b] = [(axis + 1) % 3, (axis + 2) % 3];
  const [i, j] = [(k + 1) % 3, (k + 2) % 3];
  return (m[3 * i + a] * m[3 * j + b] - m[3 * i + b] * m[3 * j + a]) / determinant(m);
}
