import { stat } from 'node:fs/promises';
import { inflateSync } from 'node:zlib';
import type { StructureLimits } from '../../canonical.js';
import { isObject } from '../documentCrystals.js';
import { recordsOfDocument } from '../documents.js';
import { parseJson } from '../jsonText.js';
import { statedId } from '../materialId.js';
import { MAX_RECORD_LENGTH, Rejected, attempt, type FoundRecord } from '../record.js';
import { lmdbEntries } from './lmdb.js';
import { sqliteRows, type SqliteValue } from './sqlite.js';

/**
 * A database of ASE in SQLite (https://wiki.fysik.dtu.dk/ase/ase/db/db.html), row by row. The id is one of the key-value pairs that name
 * a structure, else the row's `unique_id`.
 *
 * @param path of the file
 */
export async function* readAseSqlite(path: string): AsyncGenerator<FoundRecord> {
  const log = await stat(`${path}-wal`).catch(() => undefined);
  if (log && log.size > 0)
    throw new Rejected(
      'unparsable',
      'the SQLite database has changes in a -wal file; close the program that writes it first',
    );
  for await (const row of sqliteRows(path, 'systems')) {
    const pairs = row.get('key_value_pairs');
    const fields = typeof pairs === 'string' ? attempt(() => parseJson(pairs)) : undefined;
    const stated = isObject(fields) ? statedId(fields) : undefined;
    const unique = row.get('unique_id');
    const id = stated ?? (typeof unique === 'string' ? unique : undefined);
    yield { id, found: attempt(() => crystalOfRow(row)) };
  }
}

function crystalOfRow(row: ReadonlyMap<string, SqliteValue>) {
  const periodic = Number(row.get('pbc') ?? 0);
  if ((periodic & 7) !== 7)
    throw new Rejected(
      'unparsable',
      `pbc is ${periodic.toString(2).padStart(3, '0')}; a crystal periodic in three directions is needed`,
    );
  return {
    lattice: blob(row, 'cell', 8, (bytes, at) => bytes.readDoubleLE(at)),
    species: blob(row, 'numbers', 4, (bytes, at) => bytes.readInt32LE(at)),
    cartesian: blob(row, 'positions', 8, (bytes, at) => bytes.readDoubleLE(at)),
  };
}

function blob(
  row: ReadonlyMap<string, SqliteValue>,
  column: string,
  width: number,
  read: (bytes: Buffer, at: number) => number,
): number[] {
  const bytes = row.get(column);
  if (!Buffer.isBuffer(bytes) || bytes.length % width !== 0)
    throw new Rejected('unparsable', `${column} is no array of numbers of ${width} bytes`);
  return Array.from({ length: bytes.length / width }, (_, i) => read(bytes, width * i));
}

/**
 * A database of ASE in LMDB, `.aselmdb`, as the data sets of Open Materials are published: packed JSON by row number.
 *
 * @param path of the file
 * @param limits what is still accepted
 */
export async function* readAseLmdb(path: string, limits: StructureLimits): AsyncGenerator<FoundRecord> {
  for await (const { key, value } of lmdbEntries(path)) {
    if (!/^\d+$/.test(key)) continue;
    const packed = await value();
    const document = attempt(() => parseJson(inflated(packed)));
    if (document instanceof Rejected) yield { found: document };
    else yield* rowsOf(document, limits);
  }
}

function rowsOf(document: unknown, limits: StructureLimits): FoundRecord[] {
  const [record] = recordsOfDocument(document, limits);
  if (!record)
    return [{ found: new Rejected('unparsable', 'the row has no atoms; numbers, positions and cell are needed') }];
  const { key_value_pairs: pairs, unique_id: unique } = isObject(document) ? document : {};
  const id =
    record.id ?? (isObject(pairs) ? statedId(pairs) : undefined) ?? (typeof unique === 'string' ? unique : undefined);
  return [{ ...record, id }];
}

function inflated(packed: Buffer): string {
  try {
    return inflateSync(packed, { maxOutputLength: MAX_RECORD_LENGTH }).toString('utf8');
  } catch (error) {
    throw new Rejected('unparsable', `zlib: ${(error as Error).message}`);
  }
}
