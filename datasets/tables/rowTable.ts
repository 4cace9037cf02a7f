import { setImmediate } from 'node:timers/promises';
import { inspect } from 'node:util';
import { parquetMetadata, parquetReadObjects, type FileMetaData } from 'hyparquet';
import parquetjs from 'parquetjs-lite';
import { canonicalJson } from '../canonicalJson.js';
import { METADATA_KEY, TableCorrupt, parseMetadata, type TableMetadata } from './arrowParquet.js';

const { ParquetEnvelopeWriter, ParquetSchema, ParquetWriter } = parquetjs;

/** Type of a column of a row-shaped table; `?` marks a column that may be null where a value is not defined. */
export type ColumnType = BaseType | `${BaseType}?`;
type BaseType = 'string' | 'int32' | 'int64' | 'double';

/** A column: its type and the sentence that documents it in the dataset card. */
export interface Column<Type extends ColumnType = ColumnType> {
  readonly type: Type;
  readonly description: string;
}
/** Columns by name, in file order. */
export type Columns = Readonly<Record<string, Column>>;

type BaseValue<Type extends string> = Type extends 'string' ? string : number;
type Value<Type extends ColumnType> = Type extends `${infer Base}?` ? BaseValue<Base> | null : BaseValue<Type>;

/** A row: a record keyed by column name. */
export type Row<C extends Columns> = { -readonly [Name in keyof C]: Value<C[Name]['type']> };

/** A row-shaped table: its columns and its bytes. */
export interface RowTable<C extends Columns> {
  readonly name: string;
  readonly columns: C;
  /**
   * Parquet bytes of the rows in the order given; equal rows and metadata give equal bytes.
   * @throws RangeError naming table, column, row and value where a value is missing, not finite or of another type
   */
  encode(rows: readonly Row<C>[], metadata?: TableMetadata): Promise<Uint8Array>;
  /** Rows and metadata of a file of this table. @throws {TableCorrupt} */
  decode(bytes: Uint8Array): Promise<{ rows: Row<C>[]; metadata: TableMetadata }>;
}

/** The row type of a table: `RowOf<typeof transportTable>`. */
export type RowOf<Table> = Table extends RowTable<infer C> ? Row<C> : never;

/** Rows of a row group; parquetjs-lite keeps one in memory and collects its distinct values in a Set. */
const ROWS_PER_GROUP = 20_000;
/** Rows of a page; measured in docs/decisions/0001-parquet-writers.md. */
const ROWS_PER_PAGE = 5_000;

const PHYSICAL = { string: 'UTF8', int32: 'INT32', int64: 'INT64', double: 'DOUBLE' } as const;
/** What the footer says of each type; hyparquet's names. */
const STORED = { string: 'BYTE_ARRAY', int32: 'INT32', int64: 'INT64', double: 'DOUBLE' } as const;

/** One column of a {@link rowTable}. */
export function column<const Type extends ColumnType>(type: Type, description: string): Column<Type> {
  return { type, description };
}

/**
 * A row-shaped table written by parquetjs-lite and read by hyparquet. Snappy, because it is pure JavaScript in both: a
 * deflate stream differs between Node's zlib versions, and equal rows must have equal digests. -0 is stored as 0.
 */
export function rowTable<const C extends Columns>(name: string, columns: C): RowTable<C> {
  return {
    name,
    columns,
    encode: (rows, metadata = {}) => encode(name, columns, rows, metadata),
    decode: (bytes) => decode(name, columns, bytes),
  };
}

async function encode<C extends Columns>(
  table: string,
  columns: C,
  rows: readonly Row<C>[],
  metadata: TableMetadata,
): Promise<Uint8Array> {
  const schema = new ParquetSchema(
    Object.fromEntries(
      Object.entries(columns).map(([name, { type }]) => [
        name,
        {
          type: PHYSICAL[baseOf(type)],
          optional: isNullable(type),
          compression: 'SNAPPY',
          // The package orders strings by UTF-16 units, Parquet by bytes: no min/max is better than a wrong one.
          statistics: false,
        },
      ]),
    ),
  );
  const chunks: Uint8Array[] = [];
  const write = (bytes: Uint8Array) => {
    chunks.push(bytes);
    return Promise.resolve();
  };
  const options = { rowGroupSize: ROWS_PER_GROUP, pageSize: ROWS_PER_PAGE, pageIndex: false };
  const envelope = new ParquetEnvelopeWriter(schema, write, () => Promise.resolve(), 0, options);
  const writer = new ParquetWriter(schema, envelope, options);
  writer.setMetadata(METADATA_KEY, canonicalJson(metadata));
  const entries = Object.entries(columns);
  for (const [i, row] of rows.entries()) {
    for (const [name, { type }] of entries) checkValue(table, name, type, row[name], i);
    await writer.appendRow(row);
    // About 25 µs a row: let heartbeats through between pages.
    if (i % ROWS_PER_PAGE === ROWS_PER_PAGE - 1) await setImmediate();
  }
  await writer.close();
  return Buffer.concat(chunks);
}

async function decode<C extends Columns>(
  table: string,
  columns: C,
  bytes: Uint8Array,
): Promise<{ rows: Row<C>[]; metadata: TableMetadata }> {
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
  let footer: FileMetaData;
  let rows: Record<string, unknown>[];
  try {
    footer = parquetMetadata(buffer);
    checkSchema(table, columns, footer);
    rows = await parquetReadObjects({ file: buffer, metadata: footer, columns: Object.keys(columns) });
  } catch (error) {
    if (error instanceof TableCorrupt) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new TableCorrupt(table, `it does not read as Parquet (${why})`, { cause: error });
  }
  for (const [name, { type }] of Object.entries(columns)) {
    const wide = baseOf(type) === 'int64';
    for (const row of rows) row[name] = wide && typeof row[name] === 'bigint' ? Number(row[name]) : (row[name] ?? null);
  }
  const entries = new Map(footer.key_value_metadata?.map(({ key, value }) => [key, value ?? '']));
  return { rows: rows as Row<C>[], metadata: parseMetadata(table, entries) };
}

function checkSchema(table: string, columns: Columns, footer: FileMetaData): void {
  const stored = new Map(footer.schema.slice(1).map((element) => [element.name, element]));
  for (const [name, { type }] of Object.entries(columns)) {
    const element = stored.get(name);
    if (!element) throw new TableCorrupt(table, `column '${name}' is missing; it has ${[...stored.keys()].join(', ')}`);
    const nullable = element.repetition_type === 'OPTIONAL';
    if (element.type !== STORED[baseOf(type)] || nullable !== isNullable(type)) {
      throw new TableCorrupt(table, `column '${name}' is ${element.type}${nullable ? '?' : ''}; it should be ${type}`);
    }
  }
}

function checkValue(table: string, name: string, type: ColumnType, value: unknown, row: number): void {
  if (value === null && isNullable(type)) return;
  const base = baseOf(type);
  const fits =
    base === 'string'
      ? typeof value === 'string'
      : base === 'double'
        ? Number.isFinite(value)
        : base === 'int32'
          ? Number.isInteger(value) && (value as number) === ((value as number) | 0)
          : Number.isSafeInteger(value);
  if (fits) return;
  const wanted = { string: 'a string', double: 'a finite number', int32: 'a 32-bit integer', int64: 'a safe integer' }[
    base
  ];
  throw new RangeError(
    `datasets: ${table}.${name} is ${inspect(value)} in row ${row}; ` +
      `it must be ${wanted}${isNullable(type) ? ' or null' : ''}`,
  );
}

function isNullable(type: ColumnType): boolean {
  return type.endsWith('?');
}

function baseOf(type: ColumnType): BaseType {
  return type.replace('?', '') as BaseType;
}
