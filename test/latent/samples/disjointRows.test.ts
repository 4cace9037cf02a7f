import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rankRows } from '../../../latent/samples/rows.js';
import { disjointRows } from '../../../latent/samples/disjointRows.js';

/** Candidate atoms of some structures in order of place, with elements. */
function candidates(
  structures: number,
  kinds: number,
  seed: number,
  leaveOut: (structure: number) => boolean = () => false,
) {
  const list = Array.from({ length: structures }, (_, s) => ({
    materialId: `m-${s}`,
    representatives: Array.from({ length: 1 + (s % 4) }, (_, atom) => atom),
  })).filter((_, s) => !leaveOut(s));
  const rows = rankRows(list, 10_000, seed, 0);
  const elements = rows.map(({ materialId, atomIndex }) => 1 + ((Number(materialId.slice(2)) * 7 + atomIndex) % kinds));
  return { rows, elements };
}
const counts = (rows: Int32Array, elements: number[]) => {
  const histogram = new Map<number, number>();
  for (const row of rows) histogram.set(elements[row], (histogram.get(elements[row]) ?? 0) + 1);
  return [...histogram].sort(([a], [b]) => a - b);
};

describe('disjoint rows', () => {
  test('have the same elements on both sides, and no structure on both', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 120 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 200 }),
        fc.nat(),
        (structures, kinds, n, seed) => {
          const { rows, elements } = candidates(structures, kinds, seed);
          const { source, target } = disjointRows(rows, elements, n, seed, 0);
          expect(source.length).toBe(target.length);
          expect(source.length).toBeLessThanOrEqual(n);
          expect(counts(source, elements)).toEqual(counts(target, elements));
          expect(new Set([...source, ...target]).size).toBe(2 * source.length);
          const left = new Set(Array.from(source, (row) => rows[row].materialId));
          for (const row of target) expect(left.has(rows[row].materialId)).toBe(false);
        },
      ),
    );
  });

  test('of a longer list of candidates are the same', () => {
    const { rows, elements } = candidates(400, 5, 3);
    const all = disjointRows(rows, elements, 60, 3, 0);
    expect(disjointRows(rows.slice(0, 300), elements, 60, 3, 0)).toEqual(all);
  });

  test('hardly change when a twentieth of the structures is left out', () => {
    const names = (leaveOut?: (structure: number) => boolean) => {
      const { rows, elements } = candidates(800, 5, 3, leaveOut);
      const { source } = disjointRows(rows, elements, 150, 3, 0);
      return new Set(Array.from(source, (row) => `${rows[row].materialId}:${rows[row].atomIndex}`));
    };
    const [whole, part] = [names(), names((structure) => structure % 20 === 0)];
    expect([...whole].filter((name) => part.has(name)).length).toBeGreaterThan(120);
  });

  test('of one structure are none', () => {
    const { rows, elements } = candidates(1, 1, 1);
    expect(disjointRows(rows, elements, 10, 1, 0)).toEqual({ source: new Int32Array(0), target: new Int32Array(0) });
  });
});
