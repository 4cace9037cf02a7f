import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareCodePoints } from '../../../text/codePoints.js';
import { selectRows, type RowCandidates } from '../../../latent/samples/rows.js';
import { fixture } from './fixtures/readFixture.js';

const candidates: RowCandidates[] = fixture.structures.map(([materialId, representatives]) => ({
  materialId,
  representatives,
}));

describe('sampled rows', () => {
  test.each(fixture.samples)(
    'n = $n, seed $seed, draw $draw: the same in Python (fixtures/similarity.py)',
    (sample) => {
      const { rows, rounds } = selectRows(candidates, sample.n, sample.seed, sample.draw);
      expect(rows.map(({ materialId, atomIndex }) => [materialId, atomIndex])).toEqual(sample.rows);
      expect(rounds).toBe(sample.rounds);
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
          expect(selectRows(turned, n, 1, 2)).toEqual(selectRows(candidates, n, 1, 2));
        },
      ),
      { numRuns: 50 },
    );
  });

  test('take one orbit of every structure before a second of any', () => {
    const { rows, rounds } = selectRows(candidates, candidates.length, 3, 0);
    expect(new Set(rows.map((row) => row.materialId)).size).toBe(candidates.length);
    expect(rounds).toBe(1);
  });

  test('of a grown database are nearly the same', () => {
    const grown = [...candidates, { materialId: 'mp-new', representatives: [0, 1, 2] }];
    const before = new Set(selectRows(candidates, 50, 3, 0).rows.map((row) => JSON.stringify(row)));
    const kept = selectRows(grown, 50, 3, 0).rows.filter((row) => before.has(JSON.stringify(row)));
    expect(kept.length).toBeGreaterThanOrEqual(49);
  });

  test('of another draw take other orbits of the same structures', () => {
    const atoms = (draw: number) =>
      new Map(selectRows(candidates, candidates.length, 3, draw).rows.map((row) => [row.materialId, row.atomIndex]));
    const [first, second] = [atoms(0), atoms(1)];
    const choice = candidates.filter(({ representatives }) => representatives.length > 2);
    const moved = choice.filter(({ materialId }) => first.get(materialId) !== second.get(materialId));
    expect(moved.length).toBeGreaterThan(choice.length / 2);
  });

  test('refuse a sample of nothing', () => {
    expect(() => selectRows(candidates, 0, 1, 1)).toThrow(/sample of 0 rows/);
  });
});

test('ids are ordered by code point, astral characters behind all others', () => {
  const ids = ['b', 'a', '\u{1F600}', '\uFFFD', 'ab', ''];
  expect(ids.sort(compareCodePoints)).toEqual(['', 'a', 'ab', 'b', '\uFFFD', '\u{1F600}']);
});
