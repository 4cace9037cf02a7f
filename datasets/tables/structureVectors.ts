import { TableCorrupt, readArrow, utf8Column, utf8Strings, writeArrow, type TableMetadata } from './arrowParquet.js';
import { checkIds, checkVectors } from './atomVectors.js';

/** One pooled vector a structure: the mean of its atoms' coordinates. */
export interface StructureVectors {
  /** [n_structures] distinct ids in code-point order. */
  materialIds: readonly string[];
  /** [n_structures] atoms that were averaged. */
  atomCounts: Int32Array;
  /** [n_structures, dim] row-major, finite. */
  means: Float32Array;
  /** K, the number of anchors. */
  dim: number;
}

/** Table `structure_vectors`: columns material_id string, n_atoms int32, mean fixed_size_list<float32>[K]. @throws RangeError */
export function encodeStructureVectors(rows: StructureVectors, metadata: TableMetadata = {}): Uint8Array {
  const n = rows.materialIds.length;
  if (rows.atomCounts.length !== n) {
    throw new RangeError(`datasets: structure_vectors has ${n} ids and ${rows.atomCounts.length} atom counts`);
  }
  checkIds('structure_vectors', rows.materialIds);
  checkVectors('structure_vectors', 'mean', rows.means, n, rows.dim);
  return writeArrow(
    {
      material_id: utf8Column(rows.materialIds),
      n_atoms: { kind: 'int32', values: rows.atomCounts },
      mean: { kind: 'float32[]', size: rows.dim, values: rows.means },
    },
    n,
    metadata,
  );
}

/** Reads a part of table `structure_vectors`. @throws {TableCorrupt} also where ids are out of order */
export function decodeStructureVectors(bytes: Uint8Array): StructureVectors & { metadata: TableMetadata } {
  const { columns, metadata } = readArrow(bytes, 'structure_vectors', {
    material_id: 'utf8',
    n_atoms: 'int32',
    mean: 'float32[]',
  });
  const materialIds = utf8Strings(columns.material_id);
  try {
    checkIds('structure_vectors', materialIds);
  } catch (error) {
    throw new TableCorrupt('structure_vectors', (error as Error).message, { cause: error });
  }
  return {
    materialIds,
    atomCounts: columns.n_atoms.values,
    means: columns.mean.values,
    dim: columns.mean.size,
    metadata,
  };
}
