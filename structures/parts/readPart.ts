import type { StructureLimits } from '../canonical.js';
import { readCsv } from '../readers/csv.js';
import { readExtendedXyz } from '../readers/extendedXyz.js';
import { readJsonLinesPart } from '../readers/json.js';
import { fileStem } from '../readers/materialId.js';
import { readParquet } from '../readers/parquet.js';
import { namedRecords, readMembers } from '../readers/read.js';
import type { ByteSource, ReadItem } from '../structure.js';
import type { FilePart } from './filePart.js';

const READERS = { extendedXyz: readExtendedXyz, jsonLines: readJsonLinesPart, csv: readCsv } as const;

/**
 * The structures of one part of a file: what `readStructures` gives of these records, of a file of several. Numbers of documents in JSON lines
 * count every line that is not blank, headers too.
 * @param source the file that was scanned; archives and Parquet files lie on this machine
 * @throws what opening the source throws
 */
export async function* readPart(
  source: ByteSource,
  part: FilePart,
  limits: StructureLimits = {},
): AsyncGenerator<ReadItem> {
  const { name, stem = fileStem(name) } = source;
  const { kind, start, end, header, firstRecord } = part;
  if (kind === 'members') {
    yield* readMembers(pathOf(source), name, limits, 0, { start, end });
    return;
  }
  const records =
    kind === 'rowGroups'
      ? readParquet(pathOf(source), limits, { start, end })
      : READERS[kind]({ name, bytes: bytesOf(source, header, start, end), limits });
  yield* namedRecords(name, stem, header > 0 ? withoutFirst(records) : records, limits, firstRecord);
}

function pathOf(source: ByteSource): string {
  if (!('path' in source) || typeof source.path !== 'string')
    throw new Error(`structures/parts: ${source.name} is not on this machine`);
  return source.path;
}

async function* withoutFirst<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
  let isFirst = true;
  for await (const item of items) {
    if (!isFirst) yield item;
    isFirst = false;
  }
}

async function* bytesOf(source: ByteSource, header: number, start: number, end: number): AsyncGenerator<Uint8Array> {
  if (!source.openRange) throw new Error(`structures/parts: ${source.name} has no random access`);
  if (header > 0) yield* source.openRange(0, header);
  yield* source.openRange(start, end);
}
