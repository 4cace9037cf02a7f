import { buffer } from 'node:stream/consumers';
import { fromBufferPromise } from 'yauzl';

/** An array of a NumPy `.npz` file, row-major. */
export interface NpyArray {
  shape: number[];
  /** Numbers, or strings of a `U` array. Integers beyond 2^53 lose digits. */
  data: Float32Array | Float64Array | string[];
}

/**
 * Reads the arrays of an `.npz` file (`numpy.savez`, plain or compressed): float32, float64, int32, int64 and unicode.
 * @param bytes the whole file
 * @param where shown in errors
 * @throws Error naming the array and its type if another one is met
 */
export async function readNpz(bytes: Uint8Array, where: string): Promise<Map<string, NpyArray>> {
  const arrays = new Map<string, NpyArray>();
  const zip = await fromBufferPromise(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), {
    lazyEntries: true,
  });
  for await (const entry of zip.eachEntry()) {
    const content = await buffer(await zip.openReadStreamPromise(entry));
    arrays.set(entry.fileName.replace(/\.npy$/, ''), parseNpy(content, `${where}: ${entry.fileName}`));
  }
  return arrays;
}

/** https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, versions 1 to 3. */
function parseNpy(bytes: Buffer, where: string): NpyArray {
  if (bytes.subarray(0, 6).toString('latin1') !== '\x93NUMPY')
    throw new Error(`models/npz: ${where} is not an .npy array`);
  const wide = bytes[6] > 1;
  const start = wide ? 12 : 10;
  const end = start + (wide ? bytes.readUInt32LE(8) : bytes.readUInt16LE(8));
  const header = bytes.subarray(start, end).toString('utf8');
  const type = /'descr':\s*'([^']*)'/.exec(header)?.[1] ?? '?';
  const shape = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1]?.match(/\d+/g)?.map(Number) ?? [];
  if (/'fortran_order':\s*True/.test(header))
    throw new Error(`models/npz: ${where} is in Fortran order; row-major is needed`);
  const count = shape.reduce((product, size) => product * size, 1);
  const body = new DataView(bytes.buffer, bytes.byteOffset + end);
  if (type === '<f4')
    return { shape, data: Float32Array.from({ length: count }, (_, i) => body.getFloat32(4 * i, true)) };
  if (type === '<f8')
    return { shape, data: Float64Array.from({ length: count }, (_, i) => body.getFloat64(8 * i, true)) };
  if (type === '<i4')
    return { shape, data: Float64Array.from({ length: count }, (_, i) => body.getInt32(4 * i, true)) };
  if (type === '<i8') {
    return { shape, data: Float64Array.from({ length: count }, (_, i) => Number(body.getBigInt64(8 * i, true))) };
  }
  const width = Number(/^<U(\d+)$/.exec(type)?.[1]);
  if (!width) throw new Error(`models/npz: ${where} has type '${type}'; <f4, <f8, <i4, <i8 or <U are needed`);
  return { shape, data: Array.from({ length: count }, (_, i) => unicode(body, 4 * width * i, width)) };
}

/** A string of at most `width` UTF-32 code points, padded with zeros. */
function unicode(body: DataView, at: number, width: number): string {
  const points: number[] = [];
  for (let k = 0; k < width; k++) {
    const point = body.getUint32(at + 4 * k, true);
    if (point !== 0) points.push(point);
  }
  return String.fromCodePoint(...points);
}
