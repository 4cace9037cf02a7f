import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { canonicalJsonBytes } from '../../datasets/canonicalJson.js';
import { digestJson, sha256Hex } from '../../datasets/digest.js';
import { readJson, writeJson } from '../../datasets/json.js';
import * as keys from '../../datasets/keys.js';
import type { PartEntry } from '../../datasets/manifest.js';
import { findReceipt, writeReceipt } from '../../datasets/receipts.js';
import type { QuarantineRow } from '../../datasets/tables/quarantine.js';
import { READER_VERSION } from '../../structures/readers/read.js';
import type { ReadingQuestion } from '../compute/snapshotTasks.js';
import {
  tallyOf,
  type ChunkRef,
  type ItemTask,
  type ListedFile,
  type SourceUnit,
  type Tally,
} from '../run/documents.js';
import type { StageRunner } from '../run/itemStage.js';
import type { RequestedRun, RunMemory } from '../run/openRun.js';
import { unitOf } from './listing.js';
import { remoteBytes, threadFile } from './sourceFiles.js';

/** Raise it when the same structures may be kept in other chunks. */
const CHUNK_VERSION = 1;

/** What reading one unit left in the store. */
export interface ReadReceipt {
  /** Chunks and their indices, by number. */
  outputs: Record<string, PartEntry>;
  chunks: ChunkRef[];
  /** Index of the source in the spec. */
  source: number;
  rejections: QuarantineRow[];
  structures: number;
  duplicates: number;
}

/**
 * The read stage: one unit becomes sorted chunks of described structures, and rejections. Keyed by the bytes of its files, so that unchanged
 * files are never parsed twice. A unit that was never read is hashed while it is parsed; one that was is hashed, unless its place promises
 * that its bytes are those of then.
 */
export function readStage(memory: RunMemory): StageRunner<'read'> {
  return {
    async run(task, work) {
      const run = await memory.requested(task.run, work);
      const { key: unitKey, unit } = await unitOf(run, task.listing, task.item);
      const found = await findReading(run, unitKey, unit);
      if (found) return tallyOfReading(found, 1);
      const { sha256, receipt } = await readUnit(run, unit);
      const key = readingKey(run, unit, identities(unit) ?? sha256);
      await writeReceipt(run.store, 'read', key, receipt, work);
      await writeJson(run.store, pointer(unitKey), { read: key }, work);
      return tallyOfReading(receipt, 0);
    },
    async reuse(task, work) {
      const run = await memory.requested(task.run, work);
      const { key, unit } = await unitOf(run, task.listing, task.item);
      const found = await findReading(run, key, unit);
      return found && tallyOfReading(found, 1);
    },
  };
}

/** The reading of a unit of this request. @throws where it was not read */
export async function readingOf(run: RequestedRun, { listing, item }: Pick<ItemTask<'read'>, 'listing' | 'item'>) {
  const { key: unitKey } = await unitOf(run, listing, item);
  const key = (await readJson<{ read: string }>(run.store, pointer(unitKey), run.work))?.read;
  const receipt = key && (await findReceipt<ReadReceipt>(run.store, 'read', key, run.work));
  if (!receipt) throw new Error(`activities: source unit ${item} was not read; run again`);
  return { key: keys.receipt('read', key), receipt };
}

function tallyOfReading({ structures, rejections }: ReadReceipt, reused: number): Tally {
  return tallyOf({ reused, structures, quarantined: rejections.length });
}

/** The reading of files that are what they were when they were read last; undefined where they are not, or never were read. */
async function findReading(run: RequestedRun, unitKey: string, unit: SourceUnit): Promise<ReadReceipt | undefined> {
  const known = await readJson<{ read: string }>(run.store, pointer(unitKey), run.work);
  const given = identities(unit);
  if (!known && !given) return undefined;
  const key = readingKey(run, unit, given ?? (await hashes(run, unit.files)));
  const receipt = await findReceipt<ReadReceipt>(run.store, 'read', key, run.work);
  if (receipt && known?.read !== key) await writeJson(run.store, pointer(unitKey), { read: key }, run.work);
  return receipt;
}

/** What tells the bytes of a unit without reading them: versions of its files, or the digest of its part; null where nothing does. */
function identities({ files, part }: SourceUnit): string[] | null {
  if (part) return [part.sha256];
  const versions = files.flatMap(({ version }) => version ?? []);
  return versions.length === files.length ? versions : null;
}

/** Digest of everything the outcome of reading a unit depends on. */
function readingKey({ spec }: RequestedRun, { files, part, source }: SourceUnit, digests: readonly string[]): string {
  return digestJson({
    files: files.map(({ name, stem }, i) => ({ name, stem, digest: digests[i] })),
    source,
    ...(part && { kind: part.kind, start: part.start, end: part.end, first_record: part.firstRecord }),
    reader: READER_VERSION,
    chunks: CHUNK_VERSION,
    max_atoms: spec.limits.max_atoms,
  });
}

async function hashes(run: RequestedRun, files: readonly ListedFile[]): Promise<string[]> {
  const digests: string[] = [];
  for (const { location } of files) {
    const hash = createHash('sha256');
    const stream = createReadStream(location, { signal: run.work.signal, highWaterMark: 1 << 20 });
    for await (const piece of stream) hash.update(piece as Buffer);
    digests.push(hash.digest('hex'));
    run.work.beat({ hashed: digests.length });
  }
  return digests;
}

/** Reads a unit in a thread, which hands over its chunks one by one. */
async function readUnit(run: RequestedRun, unit: SourceUnit): Promise<{ sha256: string[]; receipt: ReadReceipt }> {
  const { files, part, source } = unit;
  const chunks: ChunkRef[] = [];
  const outputs: ReadReceipt['outputs'] = {};
  const answer = async (question: ReadingQuestion) => {
    if (question.ask === 'bytes') return remoteBytes(run, files[question.file], question.start, question.end);
    run.work.beat(question.ask === 'progress' ? question : { chunks: chunks.length });
    if (question.ask === 'progress') return undefined;
    const { bytes, index } = question;
    const description = canonicalJsonBytes(index);
    const [chunk, described] = await Promise.all([
      run.putPart(keys.chunk, bytes, index.rows),
      run.putPart(keys.chunkIndex, description, index.rows),
    ]);
    outputs[`${chunks.length}`] = chunk;
    outputs[`${chunks.length}.index`] = described;
    chunks.push({ key: chunk.key, index: described.key });
    return undefined;
  };
  const task = { files: files.map(threadFile), part, source, maxAtoms: run.spec.limits.max_atoms };
  const { sha256, rejections, structures, repetitions } = await run.compute('readUnit', task, { answer });
  return { sha256, receipt: { outputs, chunks, source, rejections, structures, duplicates: repetitions } };
}

function pointer(unitKey: string): string {
  return keys.unitReading(sha256Hex(Buffer.from(unitKey)));
}
