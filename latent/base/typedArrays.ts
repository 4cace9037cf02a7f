/** Arrays that a record can hold. */
const TYPES = { float64: Float64Array, float32: Float32Array, int32: Int32Array } as const;
type TypeName = keyof typeof TYPES;
type TypedArray = Float64Array | Float32Array | Int32Array;

/** Typed arrays by name. */
export type TypedArrays = Readonly<Record<string, TypedArray>>;

interface Header {
  record: string;
  /** Name, length and, unless it is float64, type of each, in order. */
  fields: [name: string, length: number, type?: TypeName][];
}

/**
 * Typed arrays as one object, for what stages leave for each other (what users read is Parquet): a line of JSON that names the record and its
 * arrays, padded with spaces to a multiple of 8, then the arrays, little-endian, each padded to a multiple of 8 bytes. Exact, self-describing,
 * deterministic.
 * @param record name of the kind of record, checked when it is read back
 */
export function encodeArrays(record: string, arrays: TypedArrays): Uint8Array {
  const entries = Object.entries(arrays);
  const header: Header = {
    record,
    fields: entries.map(([name, array]) => {
      const type = typeOf(array);
      return type === 'float64' ? [name, array.length] : [name, array.length, type];
    }),
  };
  const line = new TextEncoder().encode(JSON.stringify(header));
  const start = padded(line.length + 1);
  const bytes = new Uint8Array(entries.reduce((sum, [, array]) => sum + padded(array.byteLength), start));
  bytes.fill(0x20, 0, start).set(line);
  bytes[start - 1] = 0x0a;
  let at = start;
  for (const [, array] of entries) {
    bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), at);
    at += padded(array.byteLength);
  }
  return bytes;
}

/**
 * What {@link encodeArrays} wrote.
 * @throws RangeError when the bytes are of another kind of record or of another length than their header says
 */
export function decodeArrays<Arrays extends TypedArrays>(record: string, bytes: Uint8Array): Arrays {
  const end = bytes.indexOf(0x0a);
  const line = new TextDecoder().decode(bytes.subarray(0, Math.max(end, 0)));
  const header = (line.startsWith('{"record":') ? JSON.parse(line) : undefined) as Header | undefined;
  if (header?.record !== record) {
    throw new RangeError(
      `latent/base: these ${bytes.length} bytes hold ${header ? `a record of ${header.record}` : 'no record'}; wanted ${record}`,
    );
  }
  const sizes = header.fields.map(([, length, type = 'float64']) => length * TYPES[type].BYTES_PER_ELEMENT);
  const total = sizes.reduce((sum, size) => sum + padded(size), end + 1);
  if (bytes.length !== total)
    throw new RangeError(`latent/base: the record of ${record} has ${bytes.length} bytes; its header needs ${total}`);
  const arrays: Record<string, TypedArray> = {};
  let at = end + 1;
  for (const [field, [name, , type = 'float64']] of header.fields.entries()) {
    arrays[name] = new TYPES[type](bytes.slice(at, at + sizes[field]).buffer); // a copy: aligned, its own
    at += padded(sizes[field]);
  }
  return arrays as Arrays;
}

function typeOf(array: TypedArray): TypeName {
  if (array instanceof Float64Array) return 'float64';
  return array instanceof Float32Array ? 'float32' : 'int32';
}

/** Bytes up to the next multiple of 8. */
function padded(length: number): number {
  return Math.ceil(length / 8) * 8;
}
