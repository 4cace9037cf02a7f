import { TableCorrupt, readArrow, writeArrow, type TableMetadata } from './arrowParquet.js';
import { checkVectors } from './atomVectors.js';

/** One model's own embeddings of the anchors of a basis; row k is anchor k. */
export interface AnchorVectors {
  /** [K, dim] row-major, finite. */
  vectors: Float32Array;
  /** Components of a vector: the model's d. */
  dim: number;
}

/** Table `anchor_vectors`: columns anchor int32 (0..K-1 in order), vector fixed_size_list<float32>[d]. @throws RangeError */
export function encodeAnchorVectors({ vectors, dim }: AnchorVectors, metadata: TableMetadata = {}): Uint8Array {
  const anchors = Math.floor(vectors.length / dim);
  checkVectors('anchor_vectors', 'vector', vectors, anchors, dim);
  return writeArrow(
    {
      anchor: { kind: 'int32', values: Int32Array.from({ length: anchors }, (_, k) => k) },
      vector: { kind: 'float32[]', size: dim, values: vectors },
    },
    anchors,
    metadata,
  );
}

/** Reads table `anchor_vectors`. @throws {TableCorrupt} also where anchors are not 0..K-1 in order */
export function decodeAnchorVectors(bytes: Uint8Array): AnchorVectors & { metadata: TableMetadata } {
  const { columns, metadata } = readArrow(bytes, 'anchor_vectors', { anchor: 'int32', vector: 'float32[]' });
  const wrong = columns.anchor.values.findIndex((anchor, k) => anchor !== k);
  if (wrong >= 0) {
    throw new TableCorrupt(
      'anchor_vectors',
      `row ${wrong} holds anchor ${columns.anchor.values[wrong]}; it should be ${wrong}`,
    );
  }
  return { vectors: columns.vector.values, dim: columns.vector.size, metadata };
}
