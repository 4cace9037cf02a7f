import { decodeStructures, encodeStructures } from '../../datasets/tables/structures.js';
import { compareIncoming, withoutRepetitions, type IncomingRow } from './sameId.js';
import { contentDigest, mayEndPage } from './sharding.js';

/**
 * Structures of a block. A page takes some dozens of rows of each chunk of a large database, and reads a block more at both ends: small
 * blocks waste little, and below a hundred rows the frame of a Parquet file weighs as much as its rows.
 */
const ROWS_PER_BLOCK = 128;

/** Where the blocks of a chunk lie; every block is a Parquet of table `structures`. */
export interface ChunkIndex {
  /** Byte range [start, end), and ids, both included. */
  blocks: { start: number; end: number; first: string; last: string }[];
  rows: number;
  /** Ids that may end a page, in order. */
  borders: string[];
  /** All ids of a chunk of one block: it concerns only the pages they fall into. */
  ids: string[] | null;
}

/** A sorted run of structures as one object. Repetitions within it are dropped. */
export function encodeChunk(incoming: IncomingRow[]): { bytes: Uint8Array; index: ChunkIndex; repetitions: number } {
  const { kept, repetitions } = withoutRepetitions(incoming.sort(compareIncoming));
  const index: ChunkIndex = { blocks: [], rows: kept.length, borders: [], ids: null };
  const pieces: Uint8Array[] = [];
  let start = 0;
  for (let from = 0, to = 0; from < kept.length; from = to) {
    to = from + 1;
    // Ids are distinct within a block: of structures that share one, each has a block of its own.
    while (to < kept.length && to - from < ROWS_PER_BLOCK && kept[to].row.materialId !== kept[to - 1].row.materialId)
      to++;
    const rows = kept.slice(from, to).map(({ row }) => row);
    const bytes = encodeStructures(rows);
    index.blocks.push({
      start,
      end: start + bytes.length,
      first: rows[0].materialId,
      last: rows[rows.length - 1].materialId,
    });
    index.borders.push(...rows.map(({ materialId }) => materialId).filter(mayEndPage));
    pieces.push(bytes);
    start += bytes.length;
  }
  if (index.blocks.length === 1) index.ids = kept.map(({ row }) => row.materialId);
  return { bytes: new Uint8Array(Buffer.concat(pieces)), index, repetitions };
}

/** The structures of a block. @param source index of its source in the spec */
export function decodeBlock(bytes: Uint8Array, source: number): IncomingRow[] {
  return decodeStructures(bytes).map((row) => ({ row, content: contentDigest(row), source }));
}
