import { canonicalJsonBytes } from '../../datasets/canonicalJson.js';
import { compareCodePoints } from '../../text/codePoints.js';
import { digestJson } from '../../datasets/digest.js';
import { readJson, writeJson } from '../../datasets/json.js';
import * as keys from '../../datasets/keys.js';
import type { ObjectStore } from '../../datasets/store/objectStore.js';
import type { QuarantineRow } from '../../datasets/tables/quarantine.js';
import { decodeStructures, encodeStructures, type StructureRow } from '../../datasets/tables/structures.js';
import {
  tallyOf,
  type ItemTask,
  type RunRef,
  type ShardEntry,
  type SnapshotDocument,
  type SourceUnit,
  type Tally,
} from '../run/documents.js';
import { invalidInput } from '../engine/failures.js';
import type { Work } from '../engine/heartbeat.js';
import { conflictRow, findReading, readKey, readUnit, type ReadReceipt } from './reading.js';
import { SHARDS_PER_LIST, type Runs } from '../run/runs.js';
import { placeStructures, type ChunkColumns } from './sharding.js';
import { byteSource, filesOf, requestName, unitOf } from './sourceFiles.js';

/** Files read by one activity; a folder of 150,000 CIF files becomes 600 units. */
const FILES_PER_UNIT = 256;
/** Decoded chunks held while shards are written. */
const CHUNKS_IN_MEMORY = 64;

/** The snapshot stage: from source files to content-addressed shards. */
export function snapshotStage(runs: Runs) {
  return {
    /** Enumerates the source files and groups them into units. */
    async listSources(run: RunRef, work: Work): Promise<{ units: number }> {
      const { spec } = await runs.request(run);
      const store = runs.store(run);
      const units: SourceUnit[] = [];
      for (const [source, { path }] of spec.source.entries()) {
        let files: SourceUnit['files'] = [];
        for await (const file of filesOf(path, store, runs, work)) {
          files.push(file);
          if (files.length === FILES_PER_UNIT) {
            units.push({ source, files });
            files = [];
          }
          work.beat({ source, files: files.length });
        }
        if (files.length > 0) units.push({ source, files });
      }
      await writeJson(store, keys.sourceUnits(requestName(run)), units, work);
      return { units: units.length };
    },

    /**
     * Reads one unit: sorted chunks of described structures and the rejections. Keyed by the bytes of its files, so that
     * unchanged files are never parsed twice.
     */
    async read({ run, item }: ItemTask, work: Work): Promise<Tally> {
      const { spec } = await runs.request(run);
      const store = runs.store(run);
      const sources = (await unitOf(store, run, item, work)).files.map((file) => byteSource(file, store, runs, work));
      const key = await readKey(sources, spec.limits.max_atoms);
      const known = await findReading(store, key, work);
      if (!known && work.lookupOnly) return tallyOf({ done: 0 });
      const receipt = known ?? (await readUnit(runs, store, sources, key, spec, work));
      await writeJson(store, keys.unitReading(requestName(run), item), { read: key }, work);
      return tallyOf({
        reused: known ? 1 : 0,
        structures: receipt.structures,
        quarantined: receipt.rejections.length,
      });
    },

    /**
     * Merges all units into shards: drops repetitions, quarantines conflicting ids, cuts at content-defined boundaries and
     * writes the snapshot. The snapshot id is a digest of its content, so an existing one is left as it is.
     */
    async assembleSnapshot(run: RunRef, work: Work): Promise<SnapshotDocument & { limit: number }> {
      const { spec } = await runs.request(run);
      const store = runs.store(run);
      const limit = spec.limits.quarantine_fraction;
      const units = (await readJson<SourceUnit[]>(store, keys.sourceUnits(requestName(run)), work)) ?? [];
      const reads: string[] = [];
      for (let unit = 0; unit < units.length; unit++) {
        const pointer = await readJson<{ read: string }>(store, keys.unitReading(requestName(run), unit), work);
        if (!pointer) throw new Error(`activities: source unit ${unit} was not read`);
        reads.push(pointer.read);
      }
      const assembly = keys.receipt('snapshot', digestJson({ reads, shards: spec.shards }));
      const known = await readJson<{ snapshot: string }>(store, assembly, work);
      if (known) {
        const document = await findSnapshot(store, known.snapshot, work);
        if (document) return { ...document, limit };
      }

      const rejections: QuarantineRow[] = [];
      const chunks: { key: string; index: ChunkColumns }[] = [];
      let duplicates = 0;
      for (const read of reads) {
        const receipt = await readJson<ReadReceipt>(store, keys.receipt('read', read), work);
        if (!receipt) throw new Error(`activities: the receipt of reading ${read} is gone; run again`);
        rejections.push(...receipt.rejections);
        duplicates += receipt.duplicates;
        for (const chunk of receipt.chunks) {
          const index = await readJson<ChunkColumns>(store, chunk.index, work);
          if (!index) throw new Error(`activities: ${chunk.index} is gone; run again`);
          chunks.push({ key: chunk.key, index });
        }
        work.beat({ chunks: chunks.length });
      }
      const placed = placeStructures(
        chunks.map(({ index }) => index),
        spec.shards.structures,
      );
      duplicates += placed.repetitions;
      const conflicting = new Map<number, Set<number>>();
      for (const { chunk, row } of placed.conflicts)
        conflicting.set(chunk, (conflicting.get(chunk) ?? new Set()).add(row));
      const decoded = new ChunkCache(store, work);
      for (const [chunk, rows] of conflicting) {
        const structures = await decoded.rows(chunks[chunk].key);
        for (const row of rows) rejections.push(conflictRow(structures[row]));
      }
      rejections.sort(
        (a, b) => compareCodePoints(a.source, b.source) || compareCodePoints(a.material_id, b.material_id),
      );
      if (placed.shards.length === 0)
        throw invalidInput(
          `the sources hold no usable structure (${rejections.length} quarantined` +
            `${rejections[0] ? `, the first: ${rejections[0].source}: ${rejections[0].message}` : ''})`,
        );

      const snapshot = digestJson({
        version: 1,
        sharding: spec.shards,
        shards: placed.shards.map((shard) => shard.content),
        rejections,
      }).slice(0, 16);
      const document: SnapshotDocument = {
        snapshot,
        shards: placed.shards.length,
        structures: placed.structures,
        atoms: placed.atoms,
        quarantined: rejections.length,
        duplicates,
      };
      if (!(await findSnapshot(store, snapshot, work))) {
        let list: ShardEntry[] = [];
        // Whole lists that an earlier attempt of this activity wrote need no second look.
        const written = resumedLists(work.cursor, snapshot);
        for (let index = written * SHARDS_PER_LIST; index < placed.shards.length; index++) {
          const shard = placed.shards[index];
          const rows: StructureRow[] = [];
          for (const { chunk, row } of shard.rows) rows.push((await decoded.rows(chunks[chunk].key))[row]);
          const part = await runs.putPart(
            run,
            (sha256) => keys.structuresPart(snapshot, index, sha256),
            encodeStructures(rows),
            rows.length,
            work,
          );
          const { materialId: first } = rows[0];
          const { materialId: last } = rows[rows.length - 1];
          list.push({ ...part, content: shard.content, atoms: shard.atoms, first, last });
          if (list.length === SHARDS_PER_LIST || index === placed.shards.length - 1) {
            const number = Math.floor(index / SHARDS_PER_LIST);
            await writeJson(store, keys.shardList(snapshot, number), list, work);
            list = [];
            work.beat({ snapshot, lists: number + 1 });
          }
        }
        await writeJson(store, keys.snapshotRejections(snapshot), rejections, work);
        // Last: whoever sees this document sees the whole snapshot.
        await store.putIfAbsent(keys.snapshotDocument(snapshot), canonicalJsonBytes(document), work);
      }
      await writeJson(store, assembly, { snapshot }, work);
      return { ...document, limit };
    },
  };
}

/** Totals of a snapshot, if all its shards are still there with their sizes. One listing, whatever their number. */
async function findSnapshot(store: ObjectStore, snapshot: string, work: Work): Promise<SnapshotDocument | undefined> {
  const document = await readJson<SnapshotDocument>(store, keys.snapshotDocument(snapshot), work);
  if (!document) return undefined;
  const there = new Map<string, number>();
  for await (const { key, bytes } of store.list(keys.structuresLeaf(snapshot), work)) there.set(key, bytes);
  for (let list = 0; list * SHARDS_PER_LIST < document.shards; list++) {
    const shards = await readJson<ShardEntry[]>(store, keys.shardList(snapshot, list), work);
    if (!shards?.every(({ key, bytes }) => there.get(key) === bytes)) return undefined;
  }
  return document;
}
/** Shard lists that the attempt before wrote, if its heartbeat tells of this snapshot. */
function resumedLists(cursor: unknown, snapshot: string): number {
  const { snapshot: of, lists } = (cursor ?? {}) as { snapshot?: unknown; lists?: unknown };
  return of === snapshot && typeof lists === 'number' ? lists : 0;
}

/** Decoded chunks by key, least recently used out first. */
class ChunkCache {
  private readonly chunks = new Map<string, StructureRow[]>();

  constructor(
    private readonly store: ObjectStore,
    private readonly work: Work,
  ) {}

  async rows(key: string): Promise<StructureRow[]> {
    const known = this.chunks.get(key);
    const rows = known ?? decodeStructures(await this.store.get(key, this.work));
    this.chunks.delete(key);
    this.chunks.set(key, rows);
    const oldest = this.chunks.keys().next();
    if (this.chunks.size > CHUNKS_IN_MEMORY && !oldest.done) this.chunks.delete(oldest.value);
    return rows;
  }
}
