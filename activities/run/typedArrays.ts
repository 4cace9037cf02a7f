/** Arrays that an intermediate object can hold. */
const TYPES = { float32: Float32Array, float64: Float64Array, int32: Int32Array } as const;
type TypedArray = Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer> | Int32Array<ArrayBuffer>;

/** Typed arrays by name. */
export type TypedArrays = Record<string, TypedArray>;

/**
 * Typed arrays as one object: a line of JSON with names, types and lengths, then the arrays, little-endian, each padded to 8 bytes. For what
 * stages leave for each other; what users read is Parquet.
 */
export function encodeArrays(arrays: TypedArrays): Uint8Array {
  const header = Object.entries(arrays).map(([name, array]) => [name, typeOf(array), array.length] as const);
  const line = Buffer.from(`${JSON.stringify(header)}\n`);
  const parts: Uint8Array[] = [line, new Uint8Array(padding(line.length))];
  for (const array of Object.values(arrays))
    parts.push(
      new Uint8Array(array.buffer, array.byteOffset, array.byteLength),
      new Uint8Array(padding(array.byteLength)),
    );
  return Buffer.concat(parts);
}

/** What {@link encodeArrays} wrote. @throws RangeError where the bytes are cut short or hold something else */
export function decodeArrays<Arrays extends TypedArrays>(bytes: Uint8Array): Arrays {
  const end = bytes.indexOf(0x0a) + 1;
  if (end === 0 || bytes[0] !== 0x5b) throw new RangeError(`activities: these ${bytes.length} bytes hold no arrays`);
  const header = JSON.parse(Buffer.from(bytes.subarray(0, end)).toString()) as [string, keyof typeof TYPES, number][];
  const arrays: TypedArrays = {};
  let at = end + padding(end);
  for (const [name, type, length] of header) {
    const size = length * TYPES[type].BYTES_PER_ELEMENT;
    if (at + size > bytes.length)
      throw new RangeError(`activities: ${bytes.length} bytes of arrays; '${name}' needs ${at + size}`);
    arrays[name] = new TYPES[type](new Uint8Array(bytes.subarray(at, at + size)).buffer); // a copy: aligned, its own
    at += size + padding(size);
  }
  return arrays as Arrays;
}

function typeOf(array: TypedArray): keyof typeof TYPES {
  return array instanceof Float32Array ? 'float32' : array instanceof Float64Array ? 'float64' : 'int32';
}

function padding(length: number): number {
  return (8 - (length % 8)) % 8;
}
