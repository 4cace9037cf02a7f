import type { TableMetadata } from './arrowParquet.js';
import { decodeAtomVectors, encodeAtomVectors, type AtomVectors, type StoredAtomVectors } from './atomVectors.js';

/**
 * Table `embeddings`: the per-atom vector of one model. Columns material_id string, atom_index int32, atomic_number int32,
 * embedding fixed_size_list<float32>[d]; snapshot and model are the partition folders.
 * @throws RangeError where rows are out of order, shapes disagree or a value is not finite
 */
export function encodeEmbeddings(rows: AtomVectors, metadata: TableMetadata = {}): Uint8Array {
  return encodeAtomVectors('embeddings', 'embedding', rows, metadata);
}

/** Reads a part of table `embeddings`. @throws {TableCorrupt} */
export function decodeEmbeddings(bytes: Uint8Array): StoredAtomVectors {
  return decodeAtomVectors('embeddings', 'embedding', bytes);
}
