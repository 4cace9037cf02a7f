import { TableCorrupt, readArrow, utf8Column, utf8Strings, writeArrow, type TableMetadata } from './arrowParquet.js';
import { checkIds, offsetsOfCounts } from './atomVectors.js';

/** One structure of a snapshot, with what the snapshot stage derived from it. */
export interface StructureRow {
  materialId: string;
  /** Hex digest, equal for equal content across formats. */
  structureHash: string;
  /** Reduced formula. */
  formula: string;
  /** [n_atoms] Z, 1..118, in source order. */
  atomicNumbers: Uint8Array;
  /** [9] row-major lattice vectors a, b, c in Å. */
  lattice: Float64Array;
  /** [3 n_atoms] in [0, 1). */
  fractionalCoordinates: Float64Array;
  /** International number 1..230; 0 where it could not be determined. */
  spaceGroup: number;
  /** [n_atoms] for each atom the first atom of its symmetry orbit. */
  orbits: Int32Array;
  /** Where it came from, relative to the source as the user named it. */
  source: string;
}

/**
 * Table `structures`: columns material_id, structure_hash, formula string, n_atoms int32, atomic_numbers list<int32>,
 * lattice fixed_size_list<float64>[9], fractional_coordinates list<float64>, space_group int32, orbits list<int32>, source
 * string. Float64 values are kept bit for bit.
 * @throws RangeError where ids are out of order, shapes disagree or a number is not finite
 */
export function encodeStructures(rows: readonly StructureRow[], metadata: TableMetadata = {}): Uint8Array {
  checkIds(
    'structures',
    rows.map((row) => row.materialId),
  );
  const counts = rows.map((row) => row.atomicNumbers.length);
  const atomOffsets = offsetsOfCounts(counts);
  const coordinateOffsets = atomOffsets.map((offset) => 3 * offset);
  const atoms = atomOffsets[rows.length];
  const atomicNumbers = new Int32Array(atoms);
  const orbits = new Int32Array(atoms);
  const fractionalCoordinates = new Float64Array(3 * atoms);
  const lattice = new Float64Array(9 * rows.length);
  rows.forEach((row, i) => {
    checkRow(row);
    const at = atomOffsets[i];
    atomicNumbers.set(row.atomicNumbers, at);
    orbits.set(row.orbits, at);
    fractionalCoordinates.set(row.fractionalCoordinates, 3 * at);
    lattice.set(row.lattice, 9 * i);
  });
  const strings = (pick: (row: StructureRow) => string) => utf8Column(rows.map(pick));
  return writeArrow(
    {
      material_id: strings((row) => row.materialId),
      structure_hash: strings((row) => row.structureHash),
      formula: strings((row) => row.formula),
      n_atoms: { kind: 'int32', values: Int32Array.from(counts) },
      atomic_numbers: { kind: 'list<int32>', offsets: atomOffsets, values: atomicNumbers },
      lattice: { kind: 'float64[]', size: 9, values: lattice },
      fractional_coordinates: { kind: 'list<float64>', offsets: coordinateOffsets, values: fractionalCoordinates },
      space_group: { kind: 'int32', values: Int32Array.from(rows, (row) => row.spaceGroup) },
      orbits: { kind: 'list<int32>', offsets: atomOffsets, values: orbits },
      source: strings((row) => row.source),
    },
    rows.length,
    metadata,
  );
}

/** Reads a part of table `structures`; arrays are views into one array a column. @throws {TableCorrupt} */
export function decodeStructures(bytes: Uint8Array): StructureRow[] {
  const { rows, columns } = readArrow(bytes, 'structures', {
    material_id: 'utf8',
    structure_hash: 'utf8',
    formula: 'utf8',
    n_atoms: 'int32',
    atomic_numbers: 'list<int32>',
    lattice: 'float64[]',
    fractional_coordinates: 'list<float64>',
    space_group: 'int32',
    orbits: 'list<int32>',
    source: 'utf8',
  });
  const materialIds = utf8Strings(columns.material_id);
  const hashes = utf8Strings(columns.structure_hash);
  const formulas = utf8Strings(columns.formula);
  const sources = utf8Strings(columns.source);
  const atomicNumbers = Uint8Array.from(columns.atomic_numbers.values);
  const slice = <T extends Int32Array | Float64Array>(column: { offsets: Int32Array; values: T }, row: number): T =>
    column.values.subarray(column.offsets[row], column.offsets[row + 1]) as T;
  return Array.from({ length: rows }, (_, i) => {
    const row: StructureRow = {
      materialId: materialIds[i],
      structureHash: hashes[i],
      formula: formulas[i],
      atomicNumbers: atomicNumbers.subarray(columns.atomic_numbers.offsets[i], columns.atomic_numbers.offsets[i + 1]),
      lattice: columns.lattice.values.subarray(9 * i, 9 * i + 9),
      fractionalCoordinates: slice(columns.fractional_coordinates, i),
      spaceGroup: columns.space_group.values[i],
      orbits: slice(columns.orbits, i),
      source: sources[i],
    };
    try {
      checkRow(row);
      if (columns.n_atoms.values[i] !== row.atomicNumbers.length) {
        throw new RangeError(
          `n_atoms of '${row.materialId}' is ${columns.n_atoms.values[i]}, it lists ${row.atomicNumbers.length} atoms`,
        );
      }
      if (i > 0) checkIds('structures', [materialIds[i - 1], row.materialId]);
    } catch (error) {
      throw new TableCorrupt('structures', (error as Error).message, { cause: error });
    }
    return row;
  });
}

function checkRow(row: StructureRow): void {
  const n = row.atomicNumbers.length;
  const expect = (name: string, length: number, wanted: number) => {
    if (length !== wanted) {
      throw new RangeError(
        `datasets: structures: ${name} of '${row.materialId}' has ${length} values; ${n} atoms need ${wanted}`,
      );
    }
  };
  if (n === 0) throw new RangeError(`datasets: structures: '${row.materialId}' has no atoms`);
  expect('lattice', row.lattice.length, 9);
  expect('fractional_coordinates', row.fractionalCoordinates.length, 3 * n);
  expect('orbits', row.orbits.length, n);
  for (const [name, values] of [
    ['lattice', row.lattice],
    ['fractional_coordinates', row.fractionalCoordinates],
  ] as const) {
    const bad = values.find((value) => !Number.isFinite(value));
    if (bad !== undefined)
      throw new RangeError(`datasets: structures: ${name} of '${row.materialId}' holds ${bad}; it must be finite`);
  }
}
