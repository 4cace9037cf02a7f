import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { contentDigest, placeStructures, type ChunkColumns } from '../../activities/snapshot/sharding.js';
import { compareCodePoints } from '../../text/codePoints.js';

/** The light columns of one structure. */
interface Light {
  id: string;
  hash: string;
  content: string;
  atoms: number;
}

const MAX_SHARD_ATOMS = 65_536;

const light = (id: string, hash = `hash of ${id}`, atoms = 1): Light => ({ id, hash, content: `${id}|${hash}`, atoms });

/** Ids with characters on both sides of the surrogates, where UTF-16 order and code-point order differ. */
const anyId = fc.oneof(
  fc.string({ minLength: 1, maxLength: 6, unit: 'binary' }),
  fc.constantFrom('a', 'b', '\uffff', '\u{1f600}', '\ue000', 'mp-1', 'mp-10', 'mp-2'),
);
const anySize = fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 20_000, max: 80_000 }));
/** Structures in source order; ids come again, sometimes with another structure. */
const anySource = fc.array(
  fc
    .tuple(anyId, fc.constantFrom('x', 'y'), anySize)
    .map(([id, hash, atoms]): Light => light(id, hash, hash === 'x' ? atoms : 1)),
  { maxLength: 120 },
);
const anyMean = fc.integer({ min: 1, max: 12 });

/** Cuts a source into chunks after the given counts. */
function chunked(source: readonly Light[], cuts: readonly number[]): ChunkColumns[] {
  const ends = [...new Set([...cuts.map((cut) => cut % (source.length + 1)), source.length])].sort((a, b) => a - b);
  return ends.map((end, i) => columns(source.slice(i === 0 ? 0 : ends[i - 1], end)));
}

function columns(rows: readonly Light[]): ChunkColumns {
  return {
    ids: rows.map(({ id }) => id),
    hashes: rows.map(({ hash }) => hash),
    contents: rows.map(({ content }) => content),
    atoms: rows.map(({ atoms }) => atoms),
  };
}

/** What lies in each shard, by name. */
function contents(chunks: readonly ChunkColumns[], mean: number) {
  const placed = placeStructures(chunks, mean);
  const at = ({ chunk, row }: { chunk: number; row: number }) => ({
    id: chunks[chunk].ids[row],
    content: chunks[chunk].contents[row],
    atoms: chunks[chunk].atoms[row],
  });
  return { ...placed, shards: placed.shards.map(({ rows, ...rest }) => ({ ...rest, rows: rows.map(at) })) };
}

/** A database of distinct ids whose order and shard boundaries are unrelated. */
const database = (count: number) => Array.from({ length: count }, (_, i) => light(`mp-${(i * 7919) % 1_000_003}`));

describe('placeStructures', () => {
  test('puts every id into exactly one shard, in code-point order', () => {
    fc.assert(
      fc.property(anySource, anyMean, (source, mean) => {
        const { shards, structures, atoms } = contents([columns(source)], mean);
        const placed = shards.flatMap(({ rows }) => rows.map(({ id }) => id));
        expect(placed).toEqual([...new Set(source.map(({ id }) => id))].sort(compareCodePoints));
        expect(structures).toBe(placed.length);
        expect(shards.reduce((sum, shard) => sum + shard.atoms, 0)).toBe(atoms);
        for (const shard of shards) expect(shard.atoms).toBe(shard.rows.reduce((sum, row) => sum + row.atoms, 0));
      }),
    );
  });

  test('keeps the first structure of an id, drops its repetitions and reports others under the id', () => {
    fc.assert(
      fc.property(anySource, anyMean, fc.array(fc.nat(), { maxLength: 5 }), (source, mean, cuts) => {
        const chunks = chunked(source, cuts);
        const { shards, conflicts, repetitions } = contents(chunks, mean);
        const first = new Map<string, Light>();
        for (const one of source) if (!first.has(one.id)) first.set(one.id, one);
        for (const { id, content } of shards.flatMap(({ rows }) => rows)) expect(content).toBe(first.get(id)?.content);
        const same = source.filter(({ id, hash }) => first.get(id)?.hash === hash).length - first.size;
        expect(repetitions).toBe(same);
        expect(conflicts).toHaveLength(source.length - first.size - same);
        for (const { chunk, row } of conflicts)
          expect(chunks[chunk].hashes[row]).not.toBe(first.get(chunks[chunk].ids[row])?.hash);
      }),
    );
  });

  test('holds shards to a quarter and four times the mean, and to the atoms a shard may have', () => {
    fc.assert(
      fc.property(anySource, anyMean, (source, mean) => {
        const { shards } = contents([columns(source)], mean);
        shards.forEach(({ rows, atoms }, i) => {
          expect(rows.length).toBeGreaterThan(0);
          expect(rows.length).toBeLessThanOrEqual(4 * mean);
          expect(rows.length === 1 || atoms <= MAX_SHARD_ATOMS).toBe(true);
          if (i + 1 === shards.length) return; // the rest
          const full = atoms + shards[i + 1].rows[0].atoms > MAX_SHARD_ATOMS;
          expect(full || rows.length >= Math.max(1, Math.floor(mean / 4))).toBe(true);
        });
      }),
    );
  });

  test('does not depend on how the source was cut into chunks', () => {
    fc.assert(
      fc.property(anySource, anyMean, fc.array(fc.nat(), { maxLength: 8 }), (source, mean, cuts) => {
        const whole = contents([columns(source)], mean);
        const cut = contents(chunked(source, cuts), mean);
        expect(cut.shards).toEqual(whole.shards);
        expect(cut.repetitions).toBe(whole.repetitions);
        expect(cut.conflicts).toHaveLength(whole.conflicts.length);
      }),
    );
  });

  test('cuts shards of about the mean size, and where no boundary comes at four times the mean', () => {
    const { shards } = contents([columns(database(20_000))], 64);
    expect(Math.max(...shards.map(({ rows }) => rows.length))).toBe(4 * 64);
    const mean = 20_000 / shards.length;
    expect(mean).toBeGreaterThan(48);
    expect(mean).toBeLessThan(96);
  });

  test('a few insertions leave all shards but those they fall into as they are', () => {
    const before = database(4000);
    const old = contents([columns(before)], 32);
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 1e6 }), { minLength: 1, maxLength: 4 }), (numbers) => {
        const added = numbers.map((number) => light(`mp-${number}x`));
        const { shards } = contents([columns([...before, ...added])], 32);
        const known = new Set(old.shards.map(({ content }) => content));
        const fresh = shards.filter(({ content }) => !known.has(content));
        // A forced cut at the maximum moves until the next boundary, so an insertion may touch a neighbour or two.
        expect(fresh.length).toBeLessThanOrEqual(4 * added.length);
        for (const { id } of added) expect(fresh.some(({ rows }) => rows.some((row) => row.id === id))).toBe(true);
      }),
      { numRuns: 20 },
    );
  });

  test('gives another digest to a shard when a structure under the same id changes, and to no other shard', () => {
    const before = database(500);
    const after = before.map((one, i) => (i === 250 ? { ...one, content: 'moved' } : one));
    const [old, now] = [before, after].map((source) => contents([columns(source)], 16).shards);
    const changed = now.filter(({ content }, i) => content !== old[i].content);
    expect(now).toHaveLength(old.length);
    expect(changed.map(({ rows }) => rows.some(({ id }) => id === before[250].id))).toEqual([true]);
  });

  test('of nothing is nothing', () => {
    expect(placeStructures([], 10)).toEqual({ shards: [], conflicts: [], repetitions: 0, structures: 0, atoms: 0 });
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
