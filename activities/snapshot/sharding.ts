import { createHash } from 'node:crypto';
import { compareCodePoints } from '../../text/codePoints.js';
import { sha256Hex } from '../../datasets/digest.js';

/** The light columns of a chunk: enough to merge, deduplicate and cut without the structures themselves. */
export interface ChunkColumns {
  ids: string[];
  hashes: string[];
  /** Digest of each structure's exact content. */
  contents: string[];
  atoms: number[];
}

/** Where a structure lies. */
export interface Placement {
  chunk: number;
  row: number;
}

/** A shard before it is written. */
export interface PlacedShard {
  rows: Placement[];
  content: string;
  atoms: number;
}

/** No shard holds more atoms than this (one structure alone may). */
const MAX_SHARD_ATOMS = 65_536;

/**
 * Merges sorted chunks into shards. Chunk order is source order: of several structures with one id the first is kept, a
 * repetition with the same hash is dropped, another structure under the id conflicts.
 *
 * Boundaries are content-defined: a shard ends after a material id whose hash is divisible by `meanStructures`, so an insertion
 * changes the shards it falls into and no others. Sizes stay within a quarter and four times the mean; a cut forced by the
 * maximum moves on until the next hash boundary.
 */
export function placeStructures(chunks: readonly ChunkColumns[], meanStructures: number) {
  const all: Placement[] = [];
  chunks.forEach(({ ids }, chunk) => ids.forEach((_, row) => all.push({ chunk, row })));
  const id = ({ chunk, row }: Placement) => chunks[chunk].ids[row];
  all.sort((a, b) => compareCodePoints(id(a), id(b)) || a.chunk - b.chunk || a.row - b.row);

  const minimum = Math.max(1, Math.floor(meanStructures / 4));
  const maximum = meanStructures * 4;
  const shards: PlacedShard[] = [];
  const conflicts: Placement[] = [];
  let repetitions = 0;
  let structures = 0;
  let atoms = 0;
  let rows: Placement[] = [];
  let shardAtoms = 0;
  let last: Placement | undefined;
  const cut = () => {
    if (rows.length === 0) return;
    const content = sha256Hex(rows.map(({ chunk, row }) => chunks[chunk].contents[row]).join('\n'));
    shards.push({ rows, content, atoms: shardAtoms });
    rows = [];
    shardAtoms = 0;
  };
  for (const next of all) {
    const columns = chunks[next.chunk];
    if (last && id(last) === id(next)) {
      if (chunks[last.chunk].hashes[last.row] === columns.hashes[next.row]) repetitions++;
      else conflicts.push(next);
      continue;
    }
    const size = columns.atoms[next.row];
    if (rows.length > 0 && shardAtoms + size > MAX_SHARD_ATOMS) cut();
    rows.push(next);
    shardAtoms += size;
    structures++;
    atoms += size;
    last = next;
    if (rows.length >= maximum || (rows.length >= minimum && endsShard(id(next), meanStructures))) cut();
  }
  cut();
  return { shards, conflicts, repetitions, structures, atoms };
}

function endsShard(materialId: string, meanStructures: number): boolean {
  return createHash('sha256').update(materialId).digest().readUInt32LE(0) % meanStructures === 0;
}

/** Digest of exactly what a network sees of a structure: id, Z, lattice and fractional coordinates in float64. */
export function contentDigest(structure: {
  materialId: string;
  atomicNumbers: Uint8Array;
  lattice: Float64Array;
  fractionalCoordinates: Float64Array;
}): string {
  const { materialId, atomicNumbers, lattice, fractionalCoordinates } = structure;
  const bytes = (array: Uint8Array | Float64Array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  return createHash('sha256')
    .update(`${materialId}\n${atomicNumbers.length}\n`)
    .update(atomicNumbers)
    .update(bytes(lattice))
    .update(bytes(fractionalCoordinates))
    .digest('hex');
}
