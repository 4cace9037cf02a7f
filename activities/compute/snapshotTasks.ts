import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { compareCodePoints } from '../../text/codePoints.js';
import { sha256Hex } from '../../datasets/digest.js';
import type { QuarantineRow } from '../../datasets/tables/quarantine.js';
import { encodeStructures } from '../../datasets/tables/structures.js';
import { reducedFormula } from '../../structures/formula.js';
import { structureHash } from '../../structures/hash.js';
import type { FilePart } from '../../structures/parts/filePart.js';
import { readPart } from '../../structures/parts/readPart.js';
import { scanFile } from '../../structures/parts/scanFile.js';
import { readStructures } from '../../structures/readers/read.js';
import type { ByteSource, Structure } from '../../structures/structure.js';
import { findSymmetry } from '../../structures/symmetry.js';
import { withTransfer, type Ask } from '../../threads/serve.js';
import { decodeBlock, encodeChunk, type ChunkIndex } from '../snapshot/chunk.js';
import { conflictRow, rejectionRow } from '../snapshot/rejections.js';
import { compareIncoming, firstOfEachId, withoutRepetitions, type IncomingRow } from '../snapshot/sameId.js';
import { contentDigest, cutShards } from '../snapshot/sharding.js';

/** Structures of a chunk at most: some 40 MB while it is sorted. */
const ROWS_PER_CHUNK = 40_000;
/** Atoms of a chunk at most: large cells fill it sooner. */
const ATOMS_PER_CHUNK = 1_000_000;
/** Bytes of a remote file that are asked for at once. */
const BYTES_AT_ONCE = 4 * 2 ** 20;
/** Structures after which a reading tells how far it is. */
const STRUCTURES_PER_REPORT = 256;
/** Parts of a large file: what a thread reads in some ten seconds, so that a file of gigabytes keeps many busy. */
const PART_BYTES = 16 * 2 ** 20;

/** A file to be read in a thread. */
export interface ThreadFile {
  name: string;
  stem: string;
  /** Where it lies on this machine; null where its bytes have to be asked for. */
  path: string | null;
  bytes: number;
}

/** What a reading asks the side that holds stores. */
export type ReadingQuestion =
  | { ask: 'bytes'; file: number; start: number; end: number }
  | { ask: 'chunk'; bytes: Uint8Array; index: ChunkIndex }
  | { ask: 'progress'; structures: number };

/** What a reading found, but for the chunks, which it has handed over. */
export interface Reading {
  /** sha256 of each file; empty where a part of one was read. */
  sha256: string[];
  rejections: QuarantineRow[];
  structures: number;
  repetitions: number;
}

/** A shard before it has a place. */
export interface MergedShard {
  bytes: Uint8Array;
  /** Digest of the exact content of its structures. */
  content: string;
  rows: number;
  atoms: number;
  first: string;
  last: string;
}

/** Tasks of the snapshot stages for the compute threads. */
export const snapshotTasks = {
  /** Parts of a large file, and its digest. */
  scan: async ({ file }: { file: ThreadFile }, ask: Ask<ReadingQuestion>) => {
    const hash = createHash('sha256');
    const { parts } = await scanFile(byteSource(file, 0, ask), {
      partBytes: PART_BYTES,
      onBytes: (bytes) => hash.update(bytes),
    });
    return { parts, sha256: hash.digest('hex') };
  },

  /**
   * Reads files, or some records of one: each is streamed once, hashed, parsed and described; sorted chunks are handed over as they
   * fill. Holds one chunk, whatever the size of the files.
   */
  readUnit: async (
    task: { files: ThreadFile[]; part: FilePart | null; source: number; maxAtoms: number },
    ask: Ask<ReadingQuestion>,
  ): Promise<Reading> => {
    const reading: Reading = { sha256: [], rejections: [], structures: 0, repetitions: 0 };
    let pending: IncomingRow[] = [];
    let atoms = 0;
    const flush = async () => {
      if (pending.length === 0) return;
      const { bytes, index, repetitions } = encodeChunk(pending);
      reading.repetitions += repetitions;
      reading.structures += index.rows;
      [pending, atoms] = [[], 0];
      await ask({ ask: 'chunk', bytes, index }, [bytes.buffer as ArrayBuffer]);
    };
    const limits = { maxAtoms: task.maxAtoms };
    for (const [number, file] of task.files.entries()) {
      const hash = createHash('sha256');
      const source = byteSource(file, number, ask, task.part ? undefined : hash);
      for await (const read of task.part ? readPart(source, task.part, limits) : readStructures(source, limits)) {
        if ('rejection' in read) reading.rejections.push(rejectionRow(read.rejection));
        else {
          pending.push(described(read.structure, task.source));
          atoms += read.structure.atomicNumbers.length;
        }
        if (pending.length % STRUCTURES_PER_REPORT === 0)
          await ask({ ask: 'progress', structures: reading.structures + pending.length });
        if (pending.length >= ROWS_PER_CHUNK || atoms >= ATOMS_PER_CHUNK) await flush();
      }
      if (!task.part) {
        await source.drain();
        reading.sha256.push(hash.digest('hex'));
      }
    }
    await flush();
    return reading;
  },

  /** Merges the blocks of all chunks that reach into a page, (low, high] in ids, into its shards. */
  mergePage: (task: {
    blocks: { bytes: Uint8Array; source: number }[];
    low: string;
    high: string | null;
    mean: number;
  }) => {
    const { low, high } = task;
    const inPage = ({ row: { materialId } }: IncomingRow) =>
      (low === '' || compareCodePoints(materialId, low) > 0) &&
      (high === null || compareCodePoints(materialId, high) <= 0);
    const incoming = task.blocks.flatMap(({ bytes, source }) => decodeBlock(bytes, source).filter(inPage));
    const { kept: distinct, repetitions } = withoutRepetitions(incoming.sort(compareIncoming));
    const { kept, conflicts } = firstOfEachId(distinct);
    const contents = new Map(kept.map(({ row, content }) => [row.materialId, content]));
    const shards = cutShards(
      kept.map(({ row }) => row),
      task.mean,
    ).map((rows): MergedShard => ({
      bytes: encodeStructures(rows),
      content: sha256Hex(rows.map(({ materialId }) => contents.get(materialId)!).join('\n')),
      rows: rows.length,
      atoms: rows.reduce((sum, { atomicNumbers }) => sum + atomicNumbers.length, 0),
      first: rows[0].materialId,
      last: rows[rows.length - 1].materialId,
    }));
    const result = { shards, conflicts: conflicts.map(({ row }) => conflictRow(row)), repetitions };
    return withTransfer(
      result,
      shards.map(({ bytes }) => bytes.buffer as ArrayBuffer),
    );
  },
};

function described(structure: Structure, source: number): IncomingRow {
  const row = {
    ...structure,
    structureHash: structureHash(structure),
    formula: reducedFormula(structure.atomicNumbers),
    ...findSymmetry(structure),
  };
  return { row, content: contentDigest(structure), source };
}

/** A file of this machine, or one whose bytes are asked for; what is streamed from its beginning is hashed on the way. */
function byteSource(
  file: ThreadFile,
  number: number,
  ask: Ask<ReadingQuestion>,
  hash?: Hash,
): ByteSource & { drain(): Promise<void> } {
  const { name, stem, path, bytes } = file;
  const openRange = (start: number, end: number): AsyncIterable<Uint8Array> =>
    path !== null
      ? createReadStream(path, { start, end: end - 1, highWaterMark: 1 << 20 })
      : asked(number, start, end, ask);
  /** Bytes that were hashed: a second opening, or a reader that leaves early, hashes nothing twice. */
  let hashed = 0;
  async function* open(): AsyncGenerator<Uint8Array> {
    if (bytes === 0) return;
    let at = 0;
    for await (const piece of openRange(0, bytes)) {
      if (hash && at + piece.length > hashed) {
        hash.update(piece.subarray(hashed - at));
        hashed = at + piece.length;
      }
      at += piece.length;
      yield piece;
    }
  }
  return {
    name,
    stem,
    bytes,
    ...(path === null ? {} : { path }),
    open,
    openRange,
    async drain() {
      if (!hash || hashed >= bytes) return;
      for await (const piece of openRange(hashed, bytes)) hash.update(piece);
      hashed = bytes;
    },
  };
}

async function* asked(file: number, start: number, end: number, ask: Ask<ReadingQuestion>): AsyncGenerator<Uint8Array> {
  for (let at = start; at < end;) {
    const piece = (await ask({ ask: 'bytes', file, start: at, end: Math.min(end, at + BYTES_AT_ONCE) })) as Uint8Array;
    if (piece.length === 0) return;
    yield piece;
    at += piece.length;
  }
}
