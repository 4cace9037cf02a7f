import { createHash } from 'node:crypto';
import type { RunSpec } from '../../config/runSpec.js';
import { compareCodePoints } from '../../text/codePoints.js';
import { digestJson } from '../../datasets/digest.js';
import { readJson, writeJson } from '../../datasets/json.js';
import * as keys from '../../datasets/keys.js';
import type { ObjectStore } from '../../datasets/store/objectStore.js';
import type { QuarantineRow } from '../../datasets/tables/quarantine.js';
import { encodeStructures, type StructureRow } from '../../datasets/tables/structures.js';
import { readStructures, READER_VERSION } from '../../structures/readers/read.js';
import type { ByteSource, Rejection, Structure } from '../../structures/structure.js';
import type { Work } from '../engine/heartbeat.js';
import type { Runs } from '../run/runs.js';
import type { ChunkColumns } from './sharding.js';

/** Structures kept in memory before a sorted chunk is written. */
const STRUCTURES_PER_CHUNK = 10_000;
/** Structures described (hash, symmetry) by one call into a thread. */
const STRUCTURES_PER_CALL = 64;
/** What reading one unit left in the store. */
export interface ReadReceipt {
  /** Sorted chunks of structures. */
  outputs: Record<string, never>;
  chunks: { key: string; index: string }[];
  rejections: QuarantineRow[];
  structures: number;
  duplicates: number;
}

/** Digest of everything the outcome of reading a unit depends on. */
export async function readKey(sources: readonly ByteSource[], maxAtoms: number): Promise<string> {
  const files: { name: string; sha256: string }[] = [];
  for (const source of sources) {
    const hash = createHash('sha256');
    for await (const piece of source.open()) hash.update(piece);
    files.push({ name: source.name, sha256: hash.digest('hex') });
  }
  return digestJson({ files, reader: READER_VERSION, max_atoms: maxAtoms });
}

/** The receipt of a reading, if its chunks are still there. */
export async function findReading(store: ObjectStore, key: string, work: Work): Promise<ReadReceipt | undefined> {
  const receipt = await readJson<ReadReceipt>(store, keys.receipt('read', key), work);
  const objects = receipt?.chunks.flatMap((chunk) => [chunk.key, chunk.index]) ?? [];
  const found = await Promise.all(objects.map((object) => store.head(object, work)));
  return found.every(Boolean) ? receipt : undefined;
}

/** Reads files into sorted chunks of described structures, and leaves a receipt. */
export async function readUnit(
  runs: Runs,
  store: ObjectStore,
  sources: readonly ByteSource[],
  key: string,
  spec: RunSpec,
  work: Work,
): Promise<ReadReceipt> {
  const receipt: ReadReceipt = { outputs: {}, chunks: [], rejections: [], structures: 0, duplicates: 0 };
  let pending: Structure[] = [];
  let chunk: { row: StructureRow; content: string }[] = [];
  const describe = async () => {
    const batch = pending;
    pending = [];
    const described = await runs.deps.compute.call('describe', batch, { signal: work.signal });
    batch.forEach((structure, i) => {
      const { content, ...derived } = described[i];
      chunk.push({ row: { ...structure, ...derived }, content });
    });
    work.beat({ structures: receipt.structures + chunk.length });
  };
  const flush = async () => {
    if (chunk.length === 0) return;
    const { kept, repetitions, conflicts } = firstOfEachId(chunk);
    receipt.duplicates += repetitions;
    receipt.rejections.push(...conflicts.map(({ row }) => conflictRow(row)));
    receipt.structures += kept.length;
    const number = receipt.chunks.length;
    const names = { key: keys.readChunk(key, number), index: keys.readChunkIndex(key, number) };
    const index: ChunkColumns = {
      ids: kept.map(({ row }) => row.materialId),
      hashes: kept.map(({ row }) => row.structureHash),
      contents: kept.map(({ content }) => content),
      atoms: kept.map(({ row }) => row.atomicNumbers.length),
    };
    await store.put(names.key, encodeStructures(kept.map(({ row }) => row)), work);
    await writeJson(store, names.index, index, work);
    receipt.chunks.push(names);
    chunk = [];
  };
  for (const source of sources)
    for await (const read of readStructures(source, { maxAtoms: spec.limits.max_atoms })) {
      work.signal.throwIfAborted();
      if ('rejection' in read) receipt.rejections.push(rejectionRow(read.rejection));
      else pending.push(read.structure);
      if (pending.length === STRUCTURES_PER_CALL) await describe();
      if (chunk.length >= STRUCTURES_PER_CHUNK) await flush();
    }
  if (pending.length > 0) await describe();
  await flush();
  await writeJson(store, keys.receipt('read', key), receipt, work);
  return receipt;
}

/** Sorts by id and keeps the first of each: a repetition with the same structure is dropped, with another it conflicts. */
function firstOfEachId<T extends { row: StructureRow }>(rows: readonly T[]) {
  const sorted = [...rows].sort((a, b) => compareCodePoints(a.row.materialId, b.row.materialId)); // stable: source order
  const kept: T[] = [];
  const conflicts: T[] = [];
  let repetitions = 0;
  for (const next of sorted) {
    const last = kept[kept.length - 1];
    if (last?.row.materialId !== next.row.materialId) kept.push(next);
    else if (last.row.structureHash === next.row.structureHash) repetitions++;
    else conflicts.push(next);
  }
  return { kept, conflicts, repetitions };
}

/** The quarantine row of a structure whose id names another one already. */
export function conflictRow({ materialId, source, formula, atomicNumbers }: StructureRow): QuarantineRow {
  return rejectionRow({
    materialId,
    source,
    code: 'duplicate_id',
    message:
      `material_id '${materialId}' names another structure already; this one is ${formula} with ` +
      `${atomicNumbers.length} atoms. Give it an id of its own.`,
  });
}

function rejectionRow({ materialId, source, code, message }: Rejection): QuarantineRow {
  return { material_id: materialId, source, stage: 'snapshot', model: null, code, message };
}
