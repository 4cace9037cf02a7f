import { compareCodePoints } from '../../text/codePoints.js';
import {
  TableCorrupt,
  readArrow,
  utf8Column,
  utf8Strings,
  writeArrow,
  type TableMetadata,
  type Utf8Column,
} from './arrowParquet.js';

/**
 * One float32 vector for every atom of some structures. Rows are whole structures, sorted by (material_id, atom_index) with
 * material_id in code-point order, so `atom_index` of row r of structure s is r - offsets[s] and needs no array of its own.
 */
export interface AtomVectors {
  /** [n_structures] distinct ids in code-point order. */
  materialIds: readonly string[];
  /** [n_structures + 1] first row of each structure; the last entry is n_atoms. */
  offsets: Int32Array;
  /** [n_atoms] */
  atomicNumbers: Int32Array | Uint8Array;
  /** [n_atoms, dim] row-major, finite. */
  vectors: Float32Array;
  /** Components of a vector. */
  dim: number;
}

/** What reading gives back: {@link AtomVectors} with what the file says about itself. */
export interface StoredAtomVectors extends AtomVectors {
  atomicNumbers: Int32Array;
  metadata: TableMetadata;
}

/** Row offsets of structures from their atom counts: [0, counts[0], counts[0] + counts[1], ...]. */
export function offsetsOfCounts(counts: ArrayLike<number>): Int32Array {
  const offsets = new Int32Array(counts.length + 1);
  for (let i = 0; i < counts.length; i++) offsets[i + 1] = offsets[i] + counts[i];
  return offsets;
}

/** Parquet bytes of a table with columns material_id, atom_index, atomic_number and one vector column. @throws RangeError */
export function encodeAtomVectors(
  table: string,
  column: string,
  rows: AtomVectors,
  metadata: TableMetadata,
): Uint8Array {
  const { materialIds, offsets, vectors, dim } = rows;
  const n = rows.atomicNumbers.length;
  if (offsets.length !== materialIds.length + 1 || offsets[0] !== 0 || offsets[materialIds.length] !== n) {
    throw new RangeError(
      `datasets: ${table} has ${materialIds.length} structures and ${n} atoms; its offsets should be ` +
        `${materialIds.length + 1} rising from 0 to ${n}, not ${offsets.length} from ${offsets[0]} to ${offsets.at(-1)}`,
    );
  }
  checkVectors(table, column, vectors, n, dim);
  checkIds(table, materialIds);
  const counts = new Int32Array(materialIds.length);
  const atomIndex = new Int32Array(n);
  for (let s = 0; s < counts.length; s++) {
    const from = offsets[s];
    const to = offsets[s + 1];
    if (to <= from)
      throw new RangeError(
        `datasets: ${table}: structure '${materialIds[s]}' has ${to - from} rows; it needs one or more`,
      );
    counts[s] = to - from;
    for (let row = from; row < to; row++) atomIndex[row] = row - from;
  }
  return writeArrow(
    {
      material_id: utf8Column(materialIds, counts),
      atom_index: { kind: 'int32', values: atomIndex },
      atomic_number: { kind: 'int32', values: Int32Array.from(rows.atomicNumbers) },
      [column]: { kind: 'float32[]', size: dim, values: vectors },
    },
    n,
    metadata,
  );
}

/** Reads what {@link encodeAtomVectors} wrote. @throws {TableCorrupt} also where rows are out of order or incomplete */
export function decodeAtomVectors(table: string, column: string, bytes: Uint8Array): StoredAtomVectors {
  const { rows, columns, metadata } = readArrow(bytes, table, {
    material_id: 'utf8',
    atom_index: 'int32',
    atomic_number: 'int32',
    [column]: 'float32[]',
  });
  const vectors = columns[column] as { size: number; values: Float32Array };
  const ids = columns.material_id;
  const { materialIds, offsets } = structuresOf(
    table,
    ids,
    (columns.atom_index as { values: Int32Array }).values,
    rows,
  );
  const atomicNumbers = (columns.atomic_number as { values: Int32Array }).values;
  return { materialIds, offsets, atomicNumbers, vectors: vectors.values, dim: vectors.size, metadata };
}

/** Refuses ids that do not rise strictly in code-point order. @throws RangeError naming the two neighbours */
export function checkIds(table: string, materialIds: readonly string[]): void {
  for (let i = 1; i < materialIds.length; i++) {
    const [a, b] = [materialIds[i - 1], materialIds[i]];
    if (compareCodePoints(a, b) >= 0) {
      throw new RangeError(
        `datasets: ${table}: material_id '${b}' after '${a}'; ids must be distinct and in code-point order`,
      );
    }
  }
}

/** Refuses a vector array of another shape, or with NaN or infinities. @throws RangeError naming row and component */
export function checkVectors(table: string, column: string, vectors: Float32Array, rows: number, dim: number): void {
  if (!Number.isInteger(dim) || dim < 1)
    throw new RangeError(`datasets: ${table}.${column} has dimension ${dim}; it needs 1 or more`);
  if (vectors.length !== rows * dim) {
    throw new RangeError(
      `datasets: ${table}.${column} has ${vectors.length} values; ${rows} rows of ${dim} are ${rows * dim}`,
    );
  }
  const at = vectors.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) {
    throw new RangeError(
      `datasets: ${table}.${column} is ${vectors[at]} at row ${Math.floor(at / dim)}, component ${at % dim}; it must be finite`,
    );
  }
}

function structuresOf(
  table: string,
  ids: Utf8Column,
  atomIndex: Int32Array,
  rows: number,
): { materialIds: string[]; offsets: Int32Array } {
  const strings = utf8Strings(ids);
  const materialIds: string[] = [];
  const starts: number[] = [];
  for (let row = 0; row < rows; row++) {
    const id = strings[row];
    const previous = materialIds.at(-1);
    if (id !== previous) {
      if (previous !== undefined && compareCodePoints(previous, id) > 0) {
        throw new TableCorrupt(table, `row ${row}: material_id '${id}' after '${previous}' is out of code-point order`);
      }
      materialIds.push(id);
      starts.push(row);
    }
    const expected = row - (starts.at(-1) as number);
    if (atomIndex[row] !== expected) {
      throw new TableCorrupt(table, `row ${row}: atom_index of '${id}' is ${atomIndex[row]}; it should be ${expected}`);
    }
  }
  return { materialIds, offsets: Int32Array.from([...starts, rows]) };
}
