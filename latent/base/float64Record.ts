/**
 * Bytes for the intermediate results of `latent/` (moments, projections, leaves): a line of JSON that names the record and its
 * fields, padded with spaces to a multiple of 8, then every field as little-endian float64. Exact, self-describing, deterministic.
 */

interface Header {
  record: string;
  /** Field name and length, in order. */
  fields: [string, number][];
}

/** @param record name of the kind of record, checked when it is read back */
export function encodeFloat64Record(
  record: string,
  fields: Readonly<Record<string, Float64Array | readonly number[]>>,
): Uint8Array {
  const entries = Object.entries(fields);
  const header: Header = { record, fields: entries.map(([name, values]) => [name, values.length]) };
  const line = new TextEncoder().encode(JSON.stringify(header));
  const start = Math.ceil((line.length + 1) / 8) * 8;
  const total = entries.reduce((sum, [, values]) => sum + values.length, 0);
  const bytes = new Uint8Array(start + 8 * total).fill(0x20, 0, start);
  bytes.set(line);
  bytes[start - 1] = 0x0a;
  const view = new Float64Array(bytes.buffer, start);
  let offset = 0;
  for (const [, values] of entries) {
    view.set(values, offset);
    offset += values.length;
  }
  return bytes;
}

/**
 * The fields of a record.
 * @throws RangeError when the bytes are of another kind of record or of another length than their header says
 */
export function decodeFloat64Record<Field extends string>(
  record: string,
  names: readonly Field[],
  bytes: Uint8Array,
): Record<Field, Float64Array> {
  const end = bytes.indexOf(0x0a);
  const line = new TextDecoder().decode(bytes.subarray(0, Math.max(end, 0)));
  const header = (line.startsWith('{"record":') ? JSON.parse(line) : undefined) as Header | undefined;
  if (header?.record !== record) {
    throw new RangeError(
      `latent: these ${bytes.length} bytes hold ${header ? `a record of ${header.record}` : 'no record'}; wanted ${record}`,
    );
  }
  const total = header.fields.reduce((sum, [, length]) => sum + length, 0);
  if (bytes.length !== end + 1 + 8 * total) {
    throw new RangeError(
      `latent: the record of ${record} has ${bytes.length} bytes; its header needs ${end + 1 + 8 * total}`,
    );
  }
  const found = header.fields.map(([name]) => name);
  if (found.join() !== names.join()) {
    throw new RangeError(
      `latent: the record of ${record} has the fields ${found.join(', ')}; wanted ${names.join(', ')}`,
    );
  }
  const values = new Float64Array(bytes.slice(end + 1).buffer);
  let offset = 0;
  const fields: Partial<Record<Field, Float64Array>> = {};
  for (const [index, name] of names.entries()) {
    const length = header.fields[index][1];
    fields[name] = values.slice(offset, offset + length);
    offset += length;
  }
  return fields as Record<Field, Float64Array>;
}
