import { createHash } from 'node:crypto';
import { SHARDS_PER_PAGE } from '../../config/names.js';
import type { StructureRow } from '../../datasets/tables/structures.js';

/** No shard holds more atoms than this (one structure alone may). */
const MAX_SHARD_ATOMS = 65_536;
/**
 * Of ids below this share, by hash, a chunk keeps a list: among them are the ends of pages of any sharding, so that a reading serves runs
 * that cut otherwise.
 */
const PAGE_CANDIDATES = 1 / SHARDS_PER_PAGE;

/** Two independent numbers in [0, 1) of an id. */
function hashesOf(materialId: string): { shard: number; page: number } {
  const digest = createHash('sha256').update(materialId).digest();
  return { shard: digest.readUInt32LE(0), page: digest.readUInt32LE(4) / 2 ** 32 };
}

/** Whether an id may end a page under some sharding. */
export function mayEndPage(materialId: string): boolean {
  return hashesOf(materialId).page < PAGE_CANDIDATES;
}

/** Whether an id ends a page: a page holds {@link SHARDS_PER_PAGE} shards on average, whatever else is in the snapshot. */
export function endsPage(materialId: string, meanStructures: number): boolean {
  return hashesOf(materialId).page < PAGE_CANDIDATES / meanStructures;
}

/**
 * Cuts the structures of a page into shards. Boundaries are content-defined: a shard ends after a material id whose hash is divisible by
 * `meanStructures`, so an insertion changes the shards it falls into and no others. Sizes stay within a quarter and four times the mean; a cut forced
 * by the maximum moves on until the next hash boundary. The end of the page ends a shard.
 * @param rows sorted by id
 */
export function cutShards<Row extends Pick<StructureRow, 'materialId' | 'atomicNumbers'>>(
  rows: readonly Row[],
  meanStructures: number,
): Row[][] {
  const minimum = Math.max(1, Math.floor(meanStructures / 4));
  const maximum = meanStructures * 4;
  const shards: Row[][] = [];
  let shard: Row[] = [];
  let atoms = 0;
  const cut = () => {
    if (shard.length > 0) shards.push(shard);
    [shard, atoms] = [[], 0];
  };
  for (const row of rows) {
    const size = row.atomicNumbers.length;
    if (shard.length > 0 && atoms + size > MAX_SHARD_ATOMS) cut();
    shard.push(row);
    atoms += size;
    const atBoundary = shard.length >= minimum && hashesOf(row.materialId).shard % meanStructures === 0;
    if (shard.length >= maximum || atBoundary) cut();
  }
  cut();
  return shards;
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
