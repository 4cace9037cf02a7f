import { describe, expect, test } from 'vitest';
import {
  explicitAnchors,
  farthestPoints,
  kMeansPlusPlus,
  lowestRanked,
  lowestRankedByElement,
  mergeLowestRanked,
  stratifiedAnchors,
  TooFewPoints,
} from '../../../latent/basis/anchorPolicies.js';
import { anchorQuality, gramConditioning } from '../../../latent/basis/anchorQuality.js';
import { matrix } from '../../../latent/base/matrix.js';
import { shuffle, seededRandom } from '../../../latent/base/random.js';
import { mixtureRows, randomRotation } from '../randomRows.js';

const n = 600;
const materialIds = Array.from({ length: n }, (_, row) => `mp-${Math.floor(row / 6)}`);
const atomIndices = Array.from({ length: n }, (_, row) => row % 6);
const elements = Array.from({ length: n }, (_, row) => (row % 6 < 4 ? 8 : row < 540 ? 26 : 79)); // 400 O, 180 Fe, 20 Au

/** Shards of the atoms, cut at these rows. */
const shards = (...cuts: number[]) =>
  [0, ...cuts].map((first, i) => {
    const end = [...cuts, n][i];
    return {
      ids: { materialIds: materialIds.slice(first, end), atomIndices: atomIndices.slice(first, end) },
      atomicNumbers: elements.slice(first, end),
    };
  });
const names = (atoms: { materialId: string; atomIndex: number }[]) =>
  atoms.map(({ materialId, atomIndex }) => `${materialId}:${atomIndex}`);
const elementOf = (name: string) => elements[materialIds.findIndex((id, row) => `${id}:${atomIndices[row]}` === name)];

describe('ranked policies', () => {
  test.each([[[]], [[100, 350]], [[1, 2, 3, 599]]])('do not depend on the sharding: cuts at %j', (cuts) => {
    const random = (parts: ReturnType<typeof shards>) =>
      names(
        mergeLowestRanked(
          parts.map(({ ids }) => lowestRanked(ids, 30, 5)),
          30,
        ),
      );
    const stratified = (parts: ReturnType<typeof shards>) =>
      names(
        stratifiedAnchors(
          parts.map(({ ids, atomicNumbers }) => lowestRankedByElement(ids, atomicNumbers, 30, 5)),
          30,
        ),
      );
    expect(random(shards(...cuts))).toEqual(random(shards()));
    expect(stratified(shards(...cuts))).toEqual(stratified(shards()));
  });

  test('random: another seed gives other anchors, more structures keep most of them', () => {
    const pick = (end: number, seed: number) =>
      names(lowestRanked({ materialIds: materialIds.slice(0, end), atomIndices }, 60, seed));
    const kept = pick(n, 5).filter((name) => pick(540, 5).includes(name)).length;
    expect(kept).toBeGreaterThanOrEqual(60 - 15); // a tenth of the atoms is new: 6 of 60 expected to change
    expect(pick(n, 6).filter((name) => pick(n, 5).includes(name)).length).toBeLessThan(20);
  });

  test('element-stratified: equal shares as far as atoms go, the commoner first', () => {
    const [part] = shards();
    const pick = (k: number) =>
      names(stratifiedAnchors([lowestRankedByElement(part.ids, part.atomicNumbers, k, 5)], k)).map(elementOf);
    expect(pick(2)).toEqual([8, 26]);
    expect(pick(4)).toEqual([8, 26, 79, 8]);
    const many = pick(100);
    expect([8, 26, 79].map((z) => many.filter((element) => element === z).length)).toEqual([40, 40, 20]);
    expect(new Set(names(stratifiedAnchors([lowestRankedByElement(part.ids, part.atomicNumbers, n, 5)], n))).size).toBe(
      n,
    );
    expect(() => pick(601)).toThrow('601 anchors wanted of 600 atoms');
    expect(() => mergeLowestRanked([lowestRanked(part.ids, 601, 5)], 601)).toThrow('601 anchors wanted of 600 atoms');
  });
});

describe('explicit anchors', () => {
  test('are read as named, colons in ids included', () => {
    expect(explicitAnchors(['mp-149:0', 'oqmd:12:7'])).toEqual([
      { materialId: 'mp-149', atomIndex: 0 },
      { materialId: 'oqmd:12', atomIndex: 7 },
    ]);
  });

  test.each([
    [['mp-149'], "anchor 0 is 'mp-149'; it must be 'material_id:atom_index'"],
    [['mp-149:-1'], "anchor 0 is 'mp-149:-1'"],
    [['a:1', 'b:1', 'a:01'], "anchor 2, 'a:01', comes twice"],
  ])('%j is refused', (list, message) => {
    expect(() => explicitAnchors(list)).toThrow(message);
  });
});

describe('policies over a sample', () => {
  const rows = matrix(mixtureRows(800, 5, 10, 0.3, 4), 800, 5);
  const zero = new Int32Array(800);

  test('farthest-point: every next row is the farthest, so that the rest is within the last step of an anchor', () => {
    const picked = farthestPoints(rows, 40);
    expect(picked[0]).toBe(0);
    const worst = (k: number) => anchorQuality(rows, picked.subarray(0, k), zero).worstDistance;
    for (const k of [1, 5, 20, 39]) {
      const distances = Array.from(picked.subarray(0, k), (anchor) => {
        let squared = 0;
        for (let j = 0; j < 5; j++) squared += (rows.data[anchor * 5 + j] - rows.data[picked[k] * 5 + j]) ** 2;
        return Math.sqrt(squared);
      });
      expect(Math.min(...distances)).toBeCloseTo(worst(k), 12);
    }
  });

  test('k-means++ follows its seed and brings rows nearer to anchors than chance does', () => {
    expect(kMeansPlusPlus(rows, 30, 9)).toEqual(kMeansPlusPlus(rows, 30, 9));
    expect(kMeansPlusPlus(rows, 30, 10)).not.toEqual(kMeansPlusPlus(rows, 30, 9));
    const mean = (policy: (seed: number) => Int32Array) =>
      [1, 2, 3, 4, 5].reduce((sum, seed) => sum + anchorQuality(rows, policy(seed), zero).meanDistance, 0);
    const chance = (seed: number) =>
      shuffle(
        Int32Array.from({ length: 800 }, (_, row) => row),
        seededRandom(seed),
      ).slice(0, 30);
    expect(mean((seed) => kMeansPlusPlus(rows, 30, seed))).toBeLessThan(mean(chance));
  });

  test('k-means++ draws in proportion to the squared distance', () => {
    const line = matrix(Float64Array.of(0, 1, 3), 3, 1); // after 0 the others weigh 1 and 9; after 1: 1 and 4; after 3: 9 and 4
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 6000; seed++) {
      const key = kMeansPlusPlus(line, 2, seed).join();
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    for (const [key, share] of Object.entries({
      '0,1': 0.1,
      '0,2': 0.9,
      '1,0': 0.2,
      '1,2': 0.8,
      '2,0': 9 / 13,
      '2,1': 4 / 13,
    })) {
      expect(Math.abs((counts.get(key) ?? 0) / 2000 - share)).toBeLessThan(0.05);
    }
  });

  test('fewer distinct rows than anchors are refused', () => {
    const twice = matrix(Float64Array.of(1, 2, 1, 2), 4, 1);
    expect([...farthestPoints(twice, 2)]).toEqual([0, 1]);
    expect(() => farthestPoints(twice, 3)).toThrow('the 4 rows have only 2 distinct points; 3 anchors are too many');
    expect(() => kMeansPlusPlus(twice, 3, 1)).toThrow('only 2 distinct points');
    expect(() => farthestPoints(twice, 3)).toThrow(TooFewPoints);
    expect(() => kMeansPlusPlus(twice, 3, 1)).toThrow(TooFewPoints);
  });
});

describe('anchor quality', () => {
  test('counts bins, distances and elements as defined', () => {
    const rows = matrix(Float64Array.of(0, 7, 0.5, 7, 0.504, 7, 100, 7), 4, 2); // bins 0, 0, 0, 99 and a constant column
    expect(anchorQuality(rows, [0], [8, 8, 26, 26])).toEqual({
      coverage: (1 / 2 + 1) / 2,
      meanDistance: (0 + 0.5 + 0.504 + 100) / 4,
      worstDistance: 100,
      elementsHit: 1,
      elements: 2,
    });
    expect(anchorQuality(rows, [0, 1, 2, 3], [8, 8, 26, 26])).toMatchObject({
      coverage: 1,
      worstDistance: 0,
      elementsHit: 2,
    });
    expect(() => anchorQuality(rows, [], [8, 8, 26, 26])).toThrow('0 anchors among 4 rows');
  });

  test('orthogonal anchors are perfectly conditioned whatever their lengths; K > d is singular', async () => {
    const q = randomRotation(6, 3).map((value, at) => value * (1 + Math.floor(at / 6)));
    const even = await gramConditioning(matrix(q, 6, 6));
    expect(even.condition).toBeCloseTo(1, 12);
    expect(even.effectiveRank).toBeCloseTo(6, 12);
    const cosine = await gramConditioning(matrix(Float64Array.of(1, 0, 3, 4), 2, 2)); // cosine 0.6: eigenvalues 1.6 and 0.4
    expect(cosine.condition).toBeCloseTo(4, 12);
    const flat = await gramConditioning(matrix(mixtureRows(9, 4, 3, 1, 1), 9, 4));
    expect(flat.condition).toBeGreaterThan(1e14);
    expect(flat.effectiveRank).toBeLessThanOrEqual(4);
  });
});
