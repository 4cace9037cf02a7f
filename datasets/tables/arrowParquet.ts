import {
  Field,
  FixedSizeList,
  Float32,
  Float64,
  Int32,
  List,
  RecordBatch,
  Schema,
  Struct,
  Table as ArrowTable,
  Utf8,
  makeData,
  tableFromIPC,
  tableToIPC,
  type Data,
  type DataType,
} from 'apache-arrow';
import {
  Compression,
  EnabledStatistics,
  Encoding,
  Table as WasmTable,
  WriterPropertiesBuilder,
  readParquet,
  writeParquet,
} from 'parquet-wasm';
import { canonicalJson } from '../canonicalJson.js';

/** What a table file says about itself: stored as canonical JSON under the Parquet key-value entry `koine`. */
export type TableMetadata = Readonly<Record<string, string>>;

/** Parquet key-value entry that holds {@link TableMetadata}. */
export const METADATA_KEY = 'koine';

/** Rows of a row group: 10 MB of vectors at d = 128, small enough to prune by id, large enough to compress. */
const ROWS_PER_GROUP = 20_000;

/** Strings as Arrow lays them out: UTF-8 of all rows end to end, row i at [offsets[i], offsets[i + 1]). */
export interface Utf8Column {
  kind: 'utf8';
  bytes: Uint8Array;
  offsets: Int32Array;
}
/** One non-null column, in the memory layout of Arrow: nothing is copied until it becomes Parquet. */
export type ArrowColumn =
  | Utf8Column
  | { kind: 'int32'; values: Int32Array }
  | { kind: 'float32'; values: Float32Array }
  | { kind: 'float32[]'; size: number; values: Float32Array }
  | { kind: 'float64[]'; size: number; values: Float64Array }
  | { kind: 'list<int32>'; offsets: Int32Array; values: Int32Array }
  | { kind: 'list<float64>'; offsets: Int32Array; values: Float64Array };

/** The kinds of {@link ArrowColumn} by column name. */
export type ArrowKinds = Readonly<Record<string, ArrowColumn['kind']>>;

/** Columns of the given kinds, as {@link readArrow} returns them. */
export type ArrowColumns<Kinds extends ArrowKinds> = {
  [Name in keyof Kinds]: Extract<ArrowColumn, { kind: Kinds[Name] }>;
};

/** A Parquet file that is not the table it should be: damaged bytes, missing columns, other types, rows out of order. */
export class TableCorrupt extends Error {
  override readonly name = 'TableCorrupt';
  constructor(
    readonly table: string,
    what: string,
    options?: ErrorOptions,
  ) {
    super(`datasets: this is no sound '${table}' table: ${what}`, options);
  }
}

/**
 * Parquet bytes of non-null columns: zstd; fixed-size lists carry their size in the footer's Arrow schema and are 3-level
 * LISTs on disk. Equal columns and metadata give equal bytes.
 *
 * Vector tables (a float32 column) use BYTE_STREAM_SPLIT, the one encoding that shrinks floats, and statistics on the flat
 * columns only. The writer ignores settings that name a nested column, so the vectors get the global settings and the flat
 * columns the overrides.
 */
export function writeArrow(columns: Record<string, ArrowColumn>, rows: number, metadata: TableMetadata): Uint8Array {
  const fields: Field[] = [];
  const children: Data[] = [];
  for (const [name, column] of Object.entries(columns)) {
    const data = toArrow(column, rows);
    fields.push(new Field(name, data.type, false));
    children.push(data);
  }
  const schema = new Schema(fields);
  const struct = makeData({ type: new Struct(fields), length: rows, nullCount: 0, children });
  const ipc = tableToIPC(new ArrowTable(schema, [new RecordBatch(schema, struct)]), 'stream');

  const vectors = Object.values(columns).some((column) => column.kind === 'float32[]');
  let properties = new WriterPropertiesBuilder()
    .setCompression(Compression.ZSTD)
    .setMaxRowGroupSize(ROWS_PER_GROUP)
    .setStatisticsEnabled(EnabledStatistics.None)
    .setDictionaryEnabled(!vectors)
    .setEncoding(vectors ? Encoding.BYTE_STREAM_SPLIT : Encoding.PLAIN)
    // One entry only: the writer keeps entries in a hash map whose order differs from file to file.
    .setKeyValueMetadata(new Map([[METADATA_KEY, canonicalJson(metadata)]]));
  for (const [name, column] of Object.entries(columns)) {
    if (column.kind !== 'utf8' && column.kind !== 'int32') continue;
    properties = properties
      .setColumnEncoding(name, Encoding.PLAIN)
      .setColumnDictionaryEnabled(name, true)
      .setColumnStatisticsEnabled(name, EnabledStatistics.Page);
  }
  // Both arguments are consumed (freed) by the call, also where it throws.
  return writeParquet(WasmTable.fromIPCStream(ipc), properties.build());
}

/**
 * Columns of a Parquet file written by {@link writeArrow}, each in one contiguous array of its own.
 * @param table name of the table, for errors
 * @param kinds the columns wanted; other columns of the file are ignored
 * @throws {TableCorrupt} where bytes are damaged, a column is missing, has another type or holds a null
 */
export function readArrow<const Kinds extends ArrowKinds>(
  bytes: Uint8Array,
  table: string,
  kinds: Kinds,
): { rows: number; columns: ArrowColumns<Kinds>; metadata: TableMetadata } {
  let arrow: ArrowTable;
  try {
    arrow = tableFromIPC(readParquet(bytes).intoIPCStream());
  } catch (error) {
    throw new TableCorrupt(
      table,
      `it does not read as Parquet (${error instanceof Error ? error.message : String(error)})`,
      {
        cause: error,
      },
    );
  }
  const columns: Record<string, ArrowColumn> = {};
  for (const [name, kind] of Object.entries(kinds)) {
    const vector = arrow.getChild(name);
    if (!vector) {
      throw new TableCorrupt(table, `column '${name}' is missing; it has ${arrow.schema.names.join(', ')}`);
    }
    if (vector.nullCount > 0)
      throw new TableCorrupt(table, `column '${name}' has ${vector.nullCount} nulls; it is non-null`);
    const column = fromArrow(kind, vector.type as DataType, vector.data as readonly Data[]);
    if (!column) throw new TableCorrupt(table, `column '${name}' is ${String(vector.type)}; it should be ${kind}`);
    columns[name] = column;
  }
  return {
    rows: arrow.numRows,
    columns: columns as ArrowColumns<Kinds>,
    metadata: parseMetadata(table, arrow.schema.metadata),
  };
}

/** {@link TableMetadata} out of a file's key-value entries; empty where the file has none. */
export function parseMetadata(table: string, entries: ReadonlyMap<string, string>): TableMetadata {
  const text = entries.get(METADATA_KEY);
  if (text === undefined) return {};
  try {
    return JSON.parse(text) as TableMetadata;
  } catch (error) {
    throw new TableCorrupt(table, `its '${METADATA_KEY}' metadata is not JSON: ${text.slice(0, 80)}`, { cause: error });
  }
}

/** Lays out strings for {@link writeArrow}; row i repeats `counts[i]` times where counts are given. */
export function utf8Column(strings: readonly string[], counts?: ArrayLike<number>): Utf8Column {
  const encoded = strings.map((text) => Buffer.from(text, 'utf8'));
  let rows = 0;
  let size = 0;
  for (let i = 0; i < encoded.length; i++) {
    const count = counts?.[i] ?? 1;
    rows += count;
    size += count * (encoded[i] as Buffer).length;
  }
  const bytes = new Uint8Array(size);
  const offsets = new Int32Array(rows + 1);
  let row = 0;
  let at = 0;
  for (let i = 0; i < encoded.length; i++) {
    const text = encoded[i] as Buffer;
    for (let n = counts?.[i] ?? 1; n > 0; n--) {
      bytes.set(text, at);
      at += text.length;
      offsets[++row] = at;
    }
  }
  return { kind: 'utf8', bytes, offsets };
}

/** The strings of a column, one a row. Runs of equal rows (sorted ids) share one string and are decoded once. */
export function utf8Strings(column: Utf8Column): string[] {
  const { offsets } = column;
  const bytes = Buffer.from(column.bytes.buffer, column.bytes.byteOffset, column.bytes.byteLength);
  const strings = new Array<string>(offsets.length - 1);
  let from = 0;
  let to = 0;
  let text = '';
  for (let row = 0; row < strings.length; row++) {
    const start = offsets[row];
    const end = offsets[row + 1];
    if (row === 0 || bytes.compare(bytes, from, to, start, end) !== 0) text = bytes.toString('utf8', start, end);
    [from, to] = [start, end];
    strings[row] = text;
  }
  return strings;
}

function toArrow(column: ArrowColumn, length: number): Data {
  const rows = { length, nullCount: 0 };
  switch (column.kind) {
    case 'utf8':
      return makeData({ type: new Utf8(), ...rows, valueOffsets: column.offsets, data: column.bytes });
    case 'int32':
    case 'float32':
      return flat(column.values);
    case 'float32[]':
    case 'float64[]': {
      const child = flat(column.values);
      return makeData({ type: new FixedSizeList(column.size, new Field('element', child.type)), ...rows, child });
    }
    case 'list<int32>':
    case 'list<float64>': {
      const child = flat(column.values);
      const type = new List(new Field('element', child.type));
      return makeData({ type, ...rows, valueOffsets: column.offsets, child });
    }
  }
}

type Numbers = Int32Array | Float32Array | Float64Array;

function flat(values: Numbers): Data<Int32 | Float32 | Float64> {
  const rows = { length: values.length, nullCount: 0 };
  if (values instanceof Int32Array) return makeData({ type: new Int32(), ...rows, data: values });
  if (values instanceof Float32Array) return makeData({ type: new Float32(), ...rows, data: values });
  return makeData({ type: new Float64(), ...rows, data: values });
}

/** How Arrow prints the type of each kind. */
const ARROW_TYPE = {
  utf8: /^Utf8$/,
  int32: /^Int32$/,
  float32: /^Float32$/,
  'float32[]': /^FixedSizeList\[\d+\]<Float32>$/,
  'float64[]': /^FixedSizeList\[\d+\]<Float64>$/,
  'list<int32>': /^List<Int32>$/,
  'list<float64>': /^List<Float64>$/,
} as const;

/** The chunks of one column joined; undefined where the type is not of the kind. */
function fromArrow(kind: ArrowColumn['kind'], type: DataType, chunks: readonly Data[]): ArrowColumn | undefined {
  if (!ARROW_TYPE[kind].test((type as { toString(): string }).toString())) return undefined;
  const childValues = (chunk: Data) => chunk.children[0].values as unknown;
  switch (kind) {
    case 'utf8': {
      const { offsets, spans } = joinOffsets(chunks);
      const bytes = join(spans, (chunk) => chunk.values as Uint8Array, Uint8Array);
      return { kind, offsets, bytes };
    }
    case 'int32':
      return { kind, values: join(fixedSpans(chunks, 1), (chunk) => chunk.values as Int32Array, Int32Array) };
    case 'float32':
      return { kind, values: join(fixedSpans(chunks, 1), (chunk) => chunk.values as Float32Array, Float32Array) };
    case 'float32[]': {
      const size = (type as FixedSizeList).listSize;
      const values = join(fixedSpans(chunks, size), (chunk) => childValues(chunk) as Float32Array, Float32Array);
      return { kind, size, values };
    }
    case 'float64[]': {
      const size = (type as FixedSizeList).listSize;
      const values = join(fixedSpans(chunks, size), (chunk) => childValues(chunk) as Float64Array, Float64Array);
      return { kind, size, values };
    }
    case 'list<int32>': {
      const { offsets, spans } = joinOffsets(chunks);
      return { kind, offsets, values: join(spans, (chunk) => childValues(chunk) as Int32Array, Int32Array) };
    }
    case 'list<float64>': {
      const { offsets, spans } = joinOffsets(chunks);
      return { kind, offsets, values: join(spans, (chunk) => childValues(chunk) as Float64Array, Float64Array) };
    }
  }
}

/** The values [from, to) of a chunk that belong to the column. */
interface Span {
  chunk: Data;
  from: number;
  to: number;
}

function fixedSpans(chunks: readonly Data[], size: number): Span[] {
  return chunks.map((chunk) => ({ chunk, from: 0, to: chunk.length * size }));
}

function joinOffsets(chunks: readonly Data[]): { offsets: Int32Array; spans: Span[] } {
  const offsets = new Int32Array(chunks.reduce((sum, chunk) => sum + chunk.length, 1));
  const spans: Span[] = [];
  let row = 0;
  for (const chunk of chunks) {
    if (chunk.length === 0) continue; // an empty chunk need not have offsets
    const own = chunk.valueOffsets as Int32Array;
    const base = offsets[row] - own[0];
    for (let i = 1; i <= chunk.length; i++) offsets[++row] = base + own[i];
    spans.push({ chunk, from: own[0], to: own[chunk.length] });
  }
  return { offsets, spans };
}

function join<T extends Numbers | Uint8Array>(
  spans: readonly Span[],
  valuesOf: (chunk: Data) => T,
  ArrayType: new (length: number) => T,
): T {
  const joined = new ArrayType(spans.reduce((sum, { from, to }) => sum + to - from, 0));
  let at = 0;
  for (const { chunk, from, to } of spans) {
    joined.set(valuesOf(chunk).subarray(from, to), at);
    at += to - from;
  }
  return joined;
}
