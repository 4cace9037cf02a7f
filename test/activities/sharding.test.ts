import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { contentDigest, cutShards, endsPage, mayEndPage } from '../../activities/snapshot/sharding.js';

interface Light {
  materialId: string;
  atomicNumbers: Uint8Array;
}

const MAX_SHARD_ATOMS = 65_536;

/** Ids in order, with sizes that seldom fill a shard, and sometimes do. */
const anyRows = fc
  .uniqueArray(fc.nat(1e6), { maxLength: 120 })
  .chain((ids) =>
    fc
      .array(fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 20_000, max: 80_000 })), {
        minLength: ids.length,
        maxLength: ids.length,
      })
      .map((sizes) => ids.map((id, i): Light => row(`mp-${id}`, sizes[i]))),
  )
  .map(sorted);
const anyMean = fc.integer({ min: 1, max: 12 });

function row(materialId: string, atoms = 1): Light {
  return { materialId, atomicNumbers: new Uint8Array(atoms) };
}

function sorted(rows: Light[]): Light[] {
  return [...rows].sort((a, b) => (a.materialId < b.materialId ? -1 : 1));
}

const atomsOf = (shard: readonly Light[]) => shard.reduce((sum, { atomicNumbers }) => sum + atomicNumbers.length, 0);
const ids = (shards: readonly (readonly Light[])[]) => shards.map((shard) => shard.map(({ materialId }) => materialId));
/** A page of distinct ids whose order and shard boundaries are unrelated. */
const page = (count: number) => sorted(Array.from({ length: count }, (_, i) => row(`mp-${(i * 7919) % 1_000_003}`)));

describe('cutShards', () => {
  test('keeps every row and its order', () => {
    fc.assert(
      fc.property(anyRows, anyMean, (rows, mean) => {
        expect(cutShards(rows, mean).flat()).toEqual(rows);
      }),
    );
  });

  test('holds shards to a quarter and four times the mean, and to the atoms a shard may have', () => {
    fc.assert(
      fc.property(anyRows, anyMean, (rows, mean) => {
        const shards = cutShards(rows, mean);
        shards.forEach((shard, i) => {
          expect(shard.length).toBeGreaterThan(0);
          expect(shard.length).toBeLessThanOrEqual(4 * mean);
          expect(shard.length === 1 || atomsOf(shard) <= MAX_SHARD_ATOMS).toBe(true);
          if (i + 1 === shards.length) return; // the rest
          const full = atomsOf(shard) + shards[i + 1][0].atomicNumbers.length > MAX_SHARD_ATOMS;
          expect(full || shard.length >= Math.max(1, Math.floor(mean / 4))).toBe(true);
        });
      }),
    );
  });

  test('cuts shards of about the mean size, and where no boundary comes at four times the mean', () => {
    const shards = cutShards(page(20_000), 64);
    expect(Math.max(...shards.map(({ length }) => length))).toBe(4 * 64);
    expect(20_000 / shards.length).toBeGreaterThan(48);
    expect(20_000 / shards.length).toBeLessThan(96);
  });

  test('a few insertions leave all shards but those they fall into as they are', () => {
    const before = page(4000);
    const old = new Set(ids(cutShards(before, 32)).map(String));
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 1e6 }), { minLength: 1, maxLength: 4 }), (numbers) => {
        const added = numbers.map((number) => row(`mp-${number}x`));
        const fresh = ids(cutShards(sorted([...before, ...added]), 32)).filter((shard) => !old.has(String(shard)));
        // A forced cut at the maximum moves until the next boundary, so an insertion may touch a neighbour or two.
        expect(fresh.length).toBeLessThanOrEqual(4 * added.length);
        for (const { materialId } of added) expect(fresh.some((shard) => shard.includes(materialId))).toBe(true);
      }),
      { numRuns: 20 },
    );
  });

  test('of nothing is nothing', () => expect(cutShards([], 10)).toEqual([]));
});

describe('endsPage', () => {
  test.each([1, 16, 256])('holds for one id in 64 times the mean of %d structures', (mean) => {
    const found = page(200_000).filter(({ materialId }) => endsPage(materialId, mean));
    const expected = 200_000 / (64 * mean);
    expect(Math.abs(found.length - expected)).toBeLessThan(5 * Math.sqrt(expected));
    expect(found.every(({ materialId }) => mayEndPage(materialId))).toBe(true);
  });
});

describe('contentDigest', () => {
  const structure = () => ({
    materialId: 'mp-1',
    atomicNumbers: Uint8Array.of(11, 17),
    lattice: Float64Array.of(4, 0, 0, 0, 4, 0, 0, 0, 4),
    fractionalCoordinates: Float64Array.of(0, 0, 0, 0.5, 0.5, 0.5),
  });

  test.each<[string, (s: ReturnType<typeof structure>) => void]>([
    ['the id', (s) => (s.materialId = 'mp-2')],
    ['an element', (s) => (s.atomicNumbers[1] = 35)],
    ['the order of atoms', (s) => s.atomicNumbers.reverse()],
    ['the last bit of a lattice vector', (s) => (s.lattice[0] = 4 + Number.EPSILON * 4)],
    ['the last bit of a coordinate', (s) => (s.fractionalCoordinates[4] += Number.EPSILON / 2)],
    ['the sign of a zero', (s) => (s.fractionalCoordinates[0] = -0)],
  ])('changes with %s', (_, change) => {
    const changed = structure();
    change(changed);
    expect(contentDigest(changed)).not.toBe(contentDigest(structure()));
  });

  test('sees the values and not the buffer they lie in', () => {
    const { materialId, ...arrays } = structure();
    const padded = new Float64Array(20).fill(9);
    padded.set(arrays.lattice, 3);
    const view = { ...structure(), lattice: padded.subarray(3, 12) };
    expect(contentDigest(view)).toBe(contentDigest({ materialId, ...arrays }));
  });
});
