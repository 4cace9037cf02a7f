import { expect, test } from 'vitest';
import { paritySet } from '../../models/paritySet.js';
import { bundledStructures } from '../../structures/bundled/bundled.js';
import { canonicalStructure } from '../../structures/canonical.js';
import { neighbourList } from '../../structures/neighbours.js';

const set = paritySet();

test('holds every element of which there is a small bundled crystal, in a few hundred atoms', () => {
  const elements = new Set(set.flatMap(({ atomicNumbers }) => [...atomicNumbers]));
  const possible = bundledStructures().filter(({ atomicNumbers }) => atomicNumbers.length <= 14);
  expect(elements).toEqual(new Set(possible.flatMap(({ atomicNumbers }) => [...atomicNumbers])));
  const atoms = set.reduce((sum, { atomicNumbers }) => sum + atomicNumbers.length, 0);
  expect(set.length).toBeGreaterThanOrEqual(50);
  expect(set.length).toBeLessThanOrEqual(75);
  expect(atoms).toBeLessThan(500);
  expect(set.filter(({ atomicNumbers }) => atomicNumbers.length === 1).length).toBeGreaterThan(5);
});

test('is the same at every call, with an id for each structure', () => {
  expect(paritySet()).toEqual(set);
  expect(new Set(set.map(({ materialId }) => materialId)).size).toBe(set.length);
});

test('every structure is one that koine accepts, with no atoms on top of each other', () => {
  for (const structure of set) {
    const { materialId, source, atomicNumbers, lattice, fractionalCoordinates } = structure;
    const species = [...atomicNumbers];
    const item = canonicalStructure({
      materialId,
      source,
      species,
      lattice: [...lattice],
      fractional: fractionalCoordinates,
    });
    expect('structure' in item, structure.materialId).toBe(true);
    expect(Math.min(...neighbourList(structure, 6).distances, Infinity), structure.materialId).toBeGreaterThan(0.7);
  }
});

test('rattled, strained and doubled crystals have no symmetry left to hide behind', () => {
  for (const kind of ['rattled', 'melted', 'strained', 'doubled']) {
    const several = set.filter(
      ({ materialId, atomicNumbers }) => materialId.startsWith(kind) && atomicNumbers.length > 2,
    );
    expect(several.length, kind).toBeGreaterThan(0);
    for (const structure of several) {
      const [first, second] = neighbourList(structure, 5)
        .distances.filter((_, k, all) => all.indexOf(all[k]) === k)
        .sort();
      expect(first).not.toBeCloseTo(second, 6);
    }
  }
  expect(
    neighbourList(
      set.find(({ materialId }) => materialId === 'isolated-Fe')!,
      12,
    ).count,
  ).toBe(0);
  expect(
    neighbourList(
      set.find(({ materialId }) => materialId === 'isolated-O2')!,
      12,
    ).count,
  ).toBe(2);
});
