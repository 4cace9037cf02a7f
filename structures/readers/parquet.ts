import { parquetMetadataAsync, parquetReadObjects, type AsyncBuffer } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { open, type FileHandle } from 'node:fs/promises';
import { inspect } from 'node:util';
import type { StructureLimits } from '../canonical.js';
import { recordsOfDocument } from './documents.js';
import { Rejected, type FoundRecord } from './record.js';

/** Columns that can be part of a structure or its name; the others are not decoded. */
const COLUMNS = new Set([
  ...['material_id', 'id', 'mp_id', 'structure_id', 'task_id', 'entry_id', 'immutable_id'],
  ...['atomic_numbers', 'lattice', 'fractional_coordinates', 'cif', 'structure'],
  ...['lattice_vectors', 'cartesian_site_positions', 'species_at_sites', 'species', 'dimension_types'],
  ...['nperiodic_dimensions', 'structure_features', 'assemblies', 'nsites', 'chemical_formula_reduced'],
]);

/**
 * Parquet tables: koine's own `structures` table, OPTIMADE columns, or a column `cif` or `structure`.
 *
 * @param path of the file
 * @param limits what is still accepted
 * @param range row groups [start, end); all by default
 */
export async function* readParquet(
  path: string,
  limits: StructureLimits,
  range: { start: number; end: number } = { start: 0, end: Infinity },
): AsyncGenerator<FoundRecord> {
  const handle = await open(path);
  try {
    const file = await fileOf(handle);
    const metadata = await parquetMetadataAsync(file).catch(asRejection);
    const names = metadata.row_groups[0]?.columns.map((column) => column.meta_data?.path_in_schema[0] ?? '') ?? [];
    const columns = [...new Set(names)].filter((name) => COLUMNS.has(name));
    if (!['lattice', 'lattice_vectors', 'cif', 'structure'].some((name) => columns.includes(name)))
      throw noStructure(names);
    let rowStart = 0;
    // A row group is the least that can be decoded: a part of it costs as much as all of it.
    for (const [group, { num_rows }] of metadata.row_groups.entries()) {
      const rowEnd = rowStart + Number(num_rows);
      if (group < range.start || group >= range.end) {
        rowStart = rowEnd;
        continue;
      }
      const chunk = await parquetReadObjects({ file, metadata, columns, compressors, rowStart, rowEnd }).catch(
        asRejection,
      );
      for (const row of chunk) yield recordsOfDocument(row, limits)[0] ?? { found: noStructure(columns) };
      rowStart = rowEnd;
    }
  } finally {
    await handle.close();
  }
}

/** Row groups of a file: compressed bytes, rows, and a text that changes when one does, as far as statistics tell. @throws Rejected */
export async function rowGroupsOf(path: string): Promise<{ bytes: number; records: number; identity: string }[]> {
  const handle = await open(path);
  try {
    const metadata = await parquetMetadataAsync(await fileOf(handle)).catch(asRejection);
    return metadata.row_groups.map((group) => ({
      bytes: Number(group.total_compressed_size ?? group.total_byte_size),
      records: Number(group.num_rows),
      identity: inspect(group, { depth: null, breakLength: Infinity, maxArrayLength: null, maxStringLength: null }),
    }));
  } finally {
    await handle.close();
  }
}

async function fileOf(handle: FileHandle): Promise<AsyncBuffer> {
  const { size } = await handle.stat();
  return {
    byteLength: size,
    async slice(start: number, end = size): Promise<ArrayBuffer> {
      const buffer = new ArrayBuffer(Math.max(0, end - start));
      await handle.read(new Uint8Array(buffer), 0, buffer.byteLength, start);
      return buffer;
    },
  };
}

/** hyparquet throws plain errors for what a file has wrong. */
function asRejection(error: unknown): never {
  if (!(error instanceof Error) || 'syscall' in error) throw error;
  throw new Rejected('unparsable', `Parquet: ${error.message}`);
}

function noStructure(columns: string[]): Rejected {
  const needed = 'lattice, atomic_numbers and fractional_coordinates, or cif, are needed';
  return new Rejected('unparsable', `Parquet: the columns are ${columns.slice(0, 20).join(', ')}; ${needed}`);
}
