import { MAX_RECORD_LENGTH, Rejected } from '../record.js';
import { Pages } from './pages.js';

/** A value of a row; text is decoded, blobs are bytes. */
export type SqliteValue = null | number | bigint | string | Buffer;

const TABLE_INTERIOR = 5;
const TABLE_LEAF = 13;

/**
 * Rows of a table of an SQLite file in the order of their ids, by the published format (https://www.sqlite.org/fileformat2.html).
 *
 * @param path of the file
 * @param table name
 * @throws Rejected when the file is no SQLite database, broken, or has no such table
 */
export async function* sqliteRows(path: string, table: string): AsyncGenerator<Map<string, SqliteValue>> {
  const pages = await Pages.open(path, (head) => (head.readUInt16BE(16) === 1 ? 65_536 : head.readUInt16BE(16)));
  try {
    const head = await pages.bytes(0, 100);
    if (head.readUInt32BE(56) !== 1)
      throw new Rejected('unparsable', 'the SQLite database has text in UTF-16; UTF-8 is needed');
    const usable = pages.pageSize - head[20];
    let root: number | undefined;
    let columns: string[] = [];
    for await (const { values } of tree(pages, usable, 1)) {
      const [kind, name, , page, sql] = values;
      if (kind !== 'table' || name !== table) continue;
      root = Number(page);
      columns = columnsOf(String(sql));
    }
    if (root === undefined)
      throw new Rejected('unparsable', `the SQLite database has no table ${table}; one of ASE is needed`);
    for await (const { id, values } of tree(pages, usable, root)) {
      const row = new Map(columns.map((name, i) => [name, values[i] ?? null]));
      // The column of the primary key is an alias of the id and stored as null.
      if (row.get('id') === null) row.set('id', id);
      yield row;
    }
  } finally {
    await pages.close();
  }
}

/** Names of the columns of a CREATE TABLE statement. */
function columnsOf(sql: string): string[] {
  const plain = sql.replace(/--[^\n]*/g, '');
  const body = plain.slice(plain.indexOf('(') + 1, plain.lastIndexOf(')'));
  return body
    .split(/,(?![^(]*\))/)
    .map((column) => column.trim().split(/\s+/)[0])
    .filter((name) => !/^(foreign|primary|unique|check|constraint)$/i.test(name));
}

interface Row {
  id: number;
  values: SqliteValue[];
}

/** Leaves of a table's tree, left to right. */
async function* tree(pages: Pages, usable: number, root: number): AsyncGenerator<Row> {
  const pending = [root];
  let visited = 0;
  for (let number = pending.pop(); number !== undefined; number = pending.pop()) {
    if (++visited > pages.count + 1) throw new Rejected('unparsable', 'the pages of the SQLite database form a circle');
    const page = await pages.read(number - 1);
    const start = number === 1 ? 100 : 0;
    const kind = page[start];
    const cells = page.readUInt16BE(start + 3);
    const pointers = start + (kind === TABLE_INTERIOR ? 12 : 8);
    const cellAt = (i: number) => page.readUInt16BE(pointers + 2 * i);
    if (kind === TABLE_INTERIOR) {
      pending.push(page.readUInt32BE(start + 8));
      for (let i = cells - 1; i >= 0; i--) pending.push(page.readUInt32BE(cellAt(i)));
    } else if (kind === TABLE_LEAF) {
      for (let i = 0; i < cells; i++) yield await rowAt(pages, usable, page, cellAt(i));
    } else
      throw new Rejected(
        'unparsable',
        `page ${number} of the SQLite database is of kind ${kind}; one of a table is needed`,
      );
  }
}

async function rowAt(pages: Pages, usable: number, page: Buffer, at: number): Promise<Row> {
  const length = varint(page, at);
  const id = varint(page, length.end);
  const payload = await payloadOf(pages, usable, page, id.end, length.value);
  return { id: id.value, values: valuesOf(payload) };
}

/** The payload of a cell, whose end is on overflow pages where it is long. */
async function payloadOf(pages: Pages, usable: number, page: Buffer, at: number, length: number): Promise<Buffer> {
  if (length > MAX_RECORD_LENGTH)
    throw new Rejected('too_large', `a row has ${length} bytes; at most ${MAX_RECORD_LENGTH} are read`);
  const most = usable - 35;
  const least = Math.floor(((usable - 12) * 32) / 255) - 23;
  const fitting = least + ((length - least) % (usable - 4));
  const local = length <= most ? length : fitting <= most ? fitting : least;
  const parts = [page.subarray(at, at + local)];
  let next = length > local ? page.readUInt32BE(at + local) : 0;
  for (let missing = length - local; missing > 0;) {
    const overflow = await pages.read(next - 1);
    next = overflow.readUInt32BE(0);
    parts.push(overflow.subarray(4, 4 + Math.min(missing, usable - 4)));
    missing -= usable - 4;
  }
  return Buffer.concat(parts);
}

function valuesOf(payload: Buffer): SqliteValue[] {
  const header = varint(payload, 0);
  const values: SqliteValue[] = [];
  let body = header.value;
  for (let at = header.end; at < header.value;) {
    const { value: type, end } = varint(payload, at);
    at = end;
    const length = type >= 12 ? (type - (type % 2 === 0 ? 12 : 13)) / 2 : [0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0][type];
    const bytes = payload.subarray(body, body + length);
    if (bytes.length !== length) throw new Rejected('unparsable', 'a row of the SQLite database breaks off');
    values.push(valueOf(type, bytes));
    body += length;
  }
  return values;
}

function valueOf(type: number, bytes: Buffer): SqliteValue {
  if (type === 0 || type === 10 || type === 11) return null;
  if (type <= 5) return bytes.readIntBE(0, bytes.length);
  if (type === 6) return bytes.readBigInt64BE(0);
  if (type === 7) return bytes.readDoubleBE(0);
  if (type <= 9) return type - 8;
  return type % 2 === 0 ? bytes : bytes.toString('utf8');
}

/** A number of one to nine bytes, seven bits each; none here is longer than a double holds. */
function varint(bytes: Buffer, at: number): { value: number; end: number } {
  let value = 0;
  for (let i = 0; i < 8; i++) {
    const byte = bytes.readUInt8(at + i);
    value = value * 128 + (byte & 127);
    if (byte < 128) return { value, end: at + i + 1 };
  }
  return { value: value * 256 + bytes.readUInt8(at + 8), end: at + 9 };
}
