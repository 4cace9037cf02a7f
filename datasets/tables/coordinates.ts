import type { TableMetadata } from './arrowParquet.js';
import { decodeAtomVectors, encodeAtomVectors, type AtomVectors, type StoredAtomVectors } from './atomVectors.js';

/**
 * Table `coordinates`: per-atom cosines to the K anchors, the shared representation. Columns material_id string,
 * atom_index int32, atomic_number int32, coordinates fixed_size_list<float32>[K]; snapshot, basis and model are partition
 * folders. `dim` is K.
 * @throws RangeError where rows are out of order, shapes disagree or a value is not finite
 */
export function encodeCoordinates(rows: AtomVectors, metadata: TableMetadata = {}): Uint8Array {
  return encodeAtomVectors('coordinates', 'coordinates', rows, metadata);
}

/** Reads a part of table `coordinates`. @throws {TableCorrupt} */
export function decodeCoordinates(bytes: Uint8Array): StoredAtomVectors {
  return decodeAtomVectors('coordinates', 'coordinates', bytes);
}
