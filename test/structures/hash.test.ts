import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { structureHash } from '../../structures/hash.js';
import { readStructures } from '../../structures/readers/read.js';
import type { Structure } from '../../structures/structure.js';
import { describeShared } from '../support/shared.js';
import { anyCrystal, anyRotation, crystal, permuted, rotated } from './crystals.js';
import { runReference } from './reference/run.js';

const rockSalt = crystal([0, 2.82, 2.82, 2.82, 0, 2.82, 2.82, 2.82, 0], [0, 0, 0, 0.5, 0.5, 0.5], [11, 17]);

describe('structureHash', () => {
  test('is 64 hex digits and stays what it is', () => {
    // Hashes are kept in published tables: a change of this value is a change of the format.
    expect(structureHash(rockSalt)).toBe('c119f8afc639ca53fca29290f0f27fe9bdbfebf9025a7099ad6b0764b3729a22');
  });

  test('rotation, atom order and lattice translations of atoms do not change it', () => {
    fc.assert(
      fc.property(anyCrystal(8), anyRotation, fc.nat(), (structure, matrix, seed) => {
        const n = structure.atomicNumbers.length;
        const order = Array.from({ length: n }, (_, k) => (k + seed) % n);
        const other = permuted(rotated(structure, matrix), order);
        other.fractionalCoordinates.forEach((f, k) => (other.fractionalCoordinates[k] = f + ((seed + k) % 5) - 2));
        expect(structureHash(other)).toBe(structureHash(structure));
      }),
    );
  });

  test.each([
    1 / 2,
    1 / 3,
    2 / 3,
    1 / 4,
    1 / 6,
    5 / 6,
    1 / 8,
    3 / 8,
    1 / 12,
    1 / 16,
    1 / 32,
    0.1,
    0.25,
    0.333333,
    0.3333333,
    0.66667,
  ])('noise around the coordinate %d does not change it', (x) => {
    const at = (noise: number) =>
      structureHash({ ...rockSalt, fractionalCoordinates: Float64Array.of(0, 0, 0, x + noise, x, 1 - x) });
    for (const noise of [-1e-9, -1e-15, 1e-15, 1e-9]) expect(at(noise)).toBe(at(0));
  });

  test('a coordinate just below 1 is one at 0', () => {
    const at = (x: number) =>
      structureHash({ ...rockSalt, fractionalCoordinates: Float64Array.of(x, 0, 0, 0.5, 0.5, 0.5) });
    for (const x of [-0, 1, 1 - 2e-5, 2e-5, -1e-17, 1 - 2 ** -53]) expect(at(x)).toBe(at(0));
  });

  test.each([60, 90, 120, 109.47122063449069, 70.52877936550931])(
    'noise around the angle %d° does not change it',
    (angle) => {
      const at = (degrees: number) => {
        const r = (degrees * Math.PI) / 180;
        return structureHash(crystal([4, 0, 0, 5 * Math.cos(r), 5 * Math.sin(r), 0, 0, 0, 6], [0, 0, 0]));
      };
      for (const noise of [-1e-6, 1e-6]) expect(at(angle + noise)).toBe(at(angle));
    },
  );

  test('an element, a displacement, a strain, a shear and an atom more each change it', () => {
    const f = rockSalt.fractionalCoordinates;
    const others: Structure[] = [
      { ...rockSalt, atomicNumbers: Uint8Array.of(11, 35) },
      { ...rockSalt, atomicNumbers: Uint8Array.of(17, 11) },
      { ...rockSalt, fractionalCoordinates: f.map((x, k) => (k === 3 ? x + 1.1e-4 : x)) },
      { ...rockSalt, lattice: rockSalt.lattice.map((x) => x * 1.0001) },
      { ...rockSalt, lattice: rockSalt.lattice.map((x, k) => (k === 0 ? x + 1e-3 : x)) },
      {
        ...rockSalt,
        atomicNumbers: Uint8Array.of(11, 17, 17),
        fractionalCoordinates: Float64Array.of(...f, 0.25, 0.25, 0.25),
      },
    ];
    const hashes = [rockSalt, ...others].map(structureHash);
    expect(new Set(hashes).size).toBe(hashes.length);
  });
});

describeShared('structureHash on real structures', () => {
  test('is equal for the CIF, POSCAR, extended XYZ and pymatgen JSON of one structure', async () => {
    const hashes = new Map<string, Map<string, string[]>>();
    for await (const { id, name, text } of runReference<{ id: string; name: string; text: string }>(
      'writeFormats.py',
    )) {
      const source = { name, open: () => singleChunk(text) };
      for await (const item of readStructures(source)) {
        const hash = 'structure' in item ? structureHash(item.structure) : JSON.stringify(item.rejection);
        const ofId = hashes.get(id) ?? hashes.set(id, new Map()).get(id)!;
        ofId.set(hash, [...(ofId.get(hash) ?? []), name]);
      }
    }
    const split = [...hashes]
      .filter(([, found]) => found.size > 1)
      .map(([id, found]) => [id, Object.fromEntries(found)]);
    expect(hashes.size).toBeGreaterThan(300);
    for (const found of hashes.values()) expect([...found.values()].flat()).toHaveLength(4);
    expect(split).toEqual([]);
  });
});

async function* singleChunk(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}
