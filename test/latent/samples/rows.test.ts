import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareCodePoints } from '../../../text/codePoints.js';
import { compareAtoms } from '../../../latent/base/atomId.js';
import { rankRows, type RankedRow, type RowCandidates } from '../../../latent/samples/rows.js';
import { fixture } from '../similarity/fixtures/readFixture.js';

const candidates: RowCandidates[] = fixture.structures.map(([materialId, representatives]) => ({
  materialId,
  representatives,
}));

const byAtom = (rows: RankedRow[]) =>
  rows.sort(compareAtoms).map(({ materialId, atomIndex }) => [materialId, atomIndex]);

describe('sampled rows', () => {
  test.each(fixture.samples)(
    'n = $n, seed $seed, draw $draw: the same in Python (fixtures/similarity.py)',
    (sample) => {
      const rows = rankRows(candidates, sample.n, sample.seed, sample.draw);
      expect(rows.at(-1)!.rank + 1).toBe(sample.rounds);
      expect(byAtom(rows)).toEqual(sample.rows);
    },
  );

  test('do not depend on the order of structures or atoms', () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray(candidates, { minLength: candidates.length }),
        fc.integer({ min: 1, max: 250 }),
        (shuffled, n) => {
          const turned = shuffled.map(({ materialId, representatives }) => ({
            materialId,
            representatives: Array.from(representatives).reverse(),
          }));
          expect(rankRows(turned, n, 1, 2)).toEqual(rankRows(candidates, n, 1, 2));
        },
      ),
      { numRuns: 50 },
    );
  });

  test('take one orbit of every structure before a second of any', () => {
    const rows = rankRows(candidates, candidates.length, 3, 0);
    expect(new Set(rows.map((row) => row.materialId)).size).toBe(candidates.length);
    expect(rows.every(({ rank }) => rank === 0)).toBe(true);
  });

  test('of a grown database are nearly the same', () => {
    const grown = [...candidates, { materialId: 'mp-new', representatives: [0, 1, 2] }];
    const before = new Set(rankRows(candidates, 50, 3, 0).map((row) => JSON.stringify(row)));
    const kept = rankRows(grown, 50, 3, 0).filter((row) => before.has(JSON.stringify(row)));
    expect(kept.length).toBeGreaterThanOrEqual(49);
  });

  test('of another draw take other orbits of the same structures', () => {
    const atoms = (draw: number) =>
      new Map(rankRows(candidates, candidates.length, 3, draw).map((row) => [row.materialId, row.atomIndex]));
    const [first, second] = [atoms(0), atoms(1)];
    const choice = candidates.filter(({ representatives }) => representatives.length > 2);
    const moved = choice.filter(({ materialId }) => first.get(materialId) !== second.get(materialId));
    expect(moved.length).toBeGreaterThan(choice.length / 2);
  });

  test('refuse a sample of nothing', () => {
    expect(() => rankRows(candidates, 0, 1, 1)).toThrow(/sample of 0 rows/);
  });
});

test('ids are ordered by code point, astral characters behind all others', () => {
  const ids = ['b', 'a', '\u{1F600}', '\uFFFD', 'ab', ''];
  expect(ids.sort(compareCodePoints)).toEqual(['', 'a', 'ab', 'b', '\uFFFD', '\u{1F600}']);
});
