import fc from 'fast-check';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { decodeBlock, encodeChunk } from '../../activities/snapshot/chunk.js';
import { addSums, sumOfRows } from '../../activities/snapshot/rejections.js';
import {
  compareIncoming,
  firstOfEachId,
  withoutRepetitions,
  type IncomingRow,
} from '../../activities/snapshot/sameId.js';
import { contentDigest } from '../../activities/snapshot/sharding.js';
import { readSettings } from '../../config/settings.js';
import type { StructureRow } from '../../datasets/tables/structures.js';
import type { QuarantineRow } from '../../datasets/tables/quarantine.js';
import { bundledStructures } from '../../structures/bundled/bundled.js';
import type { Structure } from '../../structures/structure.js';
import { activityDependencies, type OwnedDependencies } from '../../workers/dependencies.js';
import { digests } from '../orchestration/koine.js';
import { tinyCard, tinyNetwork, writeModel } from '../models/tinyNetwork.js';
import { StagePlace } from './stagePlace.js';

/** A structure of one atom; equal edges are one structure, a shift too small for its hash is a repetition with other content. */
const incoming = (id: number, edge: number, shift: number, source: number): IncomingRow => {
  const row: StructureRow = {
    materialId: `id-${id}`,
    structureHash: `hash of ${edge}`,
    formula: 'Li',
    atomicNumbers: Uint8Array.of(3),
    lattice: Float64Array.of(edge, 0, 0, 0, edge, 0, 0, 0, edge),
    fractionalCoordinates: Float64Array.of(shift / 1e9, 0, 0),
    spaceGroup: 221,
    orbits: Int32Array.of(0),
    source: `file-${source}:${shift}`,
  };
  return { row, content: contentDigest(row), source };
};
const anyIncoming = fc.array(
  fc.tuple(fc.nat(12), fc.integer({ min: 3, max: 5 }), fc.nat(2), fc.nat(1)).map((numbers) => incoming(...numbers)),
  { maxLength: 60 },
);

/** Chunks of a grouping, then merged: what the read and merge stages do. */
function merged(rows: readonly IncomingRow[], groupOf: (index: number) => number) {
  const groups = new Map<number, IncomingRow[]>();
  rows.forEach((row, i) => groups.set(groupOf(i), [...(groups.get(groupOf(i)) ?? []), row]));
  let repetitions = 0;
  const decoded: IncomingRow[] = [];
  for (const group of groups.values())
    for (const source of new Set(group.map((one) => one.source))) {
      const { bytes, index, repetitions: dropped } = encodeChunk(group.filter((one) => one.source === source));
      repetitions += dropped;
      for (const { start, end } of index.blocks) decoded.push(...decodeBlock(bytes.subarray(start, end), source));
    }
  const distinct = withoutRepetitions(decoded.sort(compareIncoming));
  const { kept, conflicts } = firstOfEachId(distinct.kept);
  const named = (list: readonly IncomingRow[]) =>
    list.map(({ row, content, source }) => [row.materialId, content, row.source, source]);
  return { kept: named(kept), conflicts: named(conflicts), repetitions: repetitions + distinct.repetitions };
}

describe('merging', () => {
  test('gives the same whatever the grouping into chunks and the order of reading', () => {
    fc.assert(
      fc.property(anyIncoming, fc.integer({ min: 1, max: 7 }), fc.nat(1000), (rows, groups, salt) => {
        const whole = merged(rows, () => 0);
        const shuffled = [...rows].sort((a, b) => (a.content < b.content ? 1 : -1) * (salt % 2 ? 1 : -1));
        expect(merged(shuffled, (i) => (i * 7919 + salt) % groups)).toEqual(whole);
      }),
      { numRuns: 150 },
    );
  });

  test('keeps one structure an id, of the earliest source, and accounts for all others', () => {
    fc.assert(
      fc.property(anyIncoming, (rows) => {
        const { kept, conflicts, repetitions } = merged(rows, (i) => i % 3);
        const ids = new Set(rows.map(({ row }) => row.materialId));
        expect(kept).toHaveLength(ids.size);
        for (const [id, , , source] of kept)
          expect(source).toBe(Math.min(...rows.filter(({ row }) => row.materialId === id).map((row) => row.source)));
        const distinct = new Set(rows.map(({ row }) => `${row.materialId} ${row.structureHash}`));
        expect(conflicts).toHaveLength(distinct.size - ids.size);
        expect(repetitions).toBe(rows.length - distinct.size);
      }),
      { numRuns: 100 },
    );
  });

  test('sums of what was refused do not depend on order or grouping, and change with every row', () => {
    const anyRow = fc.record({
      material_id: fc.string(),
      source: fc.string(),
      code: fc.constant('empty'),
      message: fc.string(),
    });
    fc.assert(
      fc.property(fc.array(anyRow, { maxLength: 20 }), fc.nat(20), (rows, cut) => {
        const all = rows.map((row): QuarantineRow => ({ ...row, stage: 'snapshot', model: null }));
        const sum = sumOfRows(all);
        expect(addSums([sumOfRows(all.slice(cut).reverse()), sumOfRows(all.slice(0, cut))])).toBe(sum);
        if (all.length > 0) expect(sumOfRows(all.slice(1))).not.toBe(sum);
      }),
    );
  });
});

describe('a snapshot', () => {
  let dependencies: OwnedDependencies;
  let place: StagePlace;
  const fields = { model_store: [''], models: ['tiny'], shards: { structures: 2 } };
  beforeAll(() => (dependencies = activityDependencies(readSettings({ KOINE_THREADS: '1' }))));
  afterAll(() => dependencies.close());
  beforeEach(async () => {
    place = new StagePlace(dependencies);
    fields.model_store = [join(place.folder, 'models')];
    const onnx = tinyNetwork();
    await writeModel(fields.model_store[0], onnx, tinyCard(onnx));
  });
  afterEach(() => place.close());

  const crystals = bundledStructures()
    .filter(({ atomicNumbers: { length } }) => length <= 4)
    .slice(0, 400);

  /** Writes structures into files of a source folder and takes the snapshot: its id, pages, and the digest of every part. */
  async function taken(folders: readonly { name: string; files: readonly (readonly Structure[])[] }[]) {
    const source: { path: string }[] = [];
    for (const { name, files } of folders) {
      for (const [i, structures] of files.entries()) await place.source(structures, `${name}-${i}.extxyz`);
      source.push({ path: join(place.folder, `${name}-*.extxyz`) });
    }
    const made = await place.snapshot(await place.request({ ...fields, source }));
    const parts = [...digests(place.output, `snapshots/${made.snapshot}`)].map(([key, sha]) => [key, sha] as const);
    return { made, parts: new Map(parts) };
  }

  /** The names of files are in the rows; beside them nothing may differ. */
  const ids = (parts: Map<string, string>) => [...parts.keys()].filter((key) => key.includes('/structures/')).length;

  test('has the same id and pages for shuffled files, one or many', async () => {
    const whole = await taken([{ name: 'whole', files: [crystals] }]);
    expect(whole.made.pages).toBeGreaterThan(1);
    const mixed = [...crystals].sort((a, b) => ((a.materialId.length * 31) % 17) - ((b.materialId.length * 31) % 17));
    const third = Math.ceil(crystals.length / 3);
    const files = [0, 1, 2].map((i) => mixed.slice(i * third, (i + 1) * third));
    const cut = await taken([{ name: 'cut', files }]);
    expect(cut.made.snapshot).toBe(whole.made.snapshot);
    expect(ids(cut.parts)).toBe(ids(whole.parts));
  });

  test('of two sources with the same ids is one result whatever is read first', async () => {
    const moved = crystals.slice(0, 50).map((one): Structure => ({ ...one, lattice: one.lattice.map((x) => 1.1 * x) }));
    const folders = [
      { name: 'a', files: [crystals.slice(0, 80)] },
      { name: 'b', files: [moved] },
    ];
    const { made, parts } = await taken(folders);
    expect(made).toMatchObject({ structures: 80, quarantined: 50 });
    rmSync(place.output, { recursive: true });
    place.restart();
    place.backwards = true;
    const again = await taken(folders);
    expect(again.made).toEqual(made);
    expect(again.parts).toEqual(parts);
  });

  test('merges only the pages that an added file concerns', async () => {
    await taken([{ name: 'whole', files: [crystals.slice(1)] }]);
    const before = (await place.keys('receipts/merge/')).length;
    const added = { name: 'added', files: [[crystals[0]]] };
    const { made } = await taken([{ name: 'whole', files: [crystals.slice(1)] }, added]);
    const fresh = (await place.keys('receipts/merge/')).length - before;
    expect(made.structures).toBe(400);
    expect(fresh).toBeGreaterThan(0);
    expect(fresh).toBeLessThanOrEqual(2); // the crystal may end a page and make two of one
    expect(made.pages).toBeGreaterThan(fresh);
  });
});
