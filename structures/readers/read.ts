import { createGunzip } from 'node:zlib';
import { pipeline } from 'node:stream';
import { canonicalStructure, rejection, type StructureLimits } from '../canonical.js';
import type { ByteSource, ReadItem } from '../structure.js';
import { HEAD_BYTES, formatOf } from './format.js';
import { fileStem, isTellingDataName } from './materialId.js';
import { Rejected, type FoundRecord } from './record.js';

/**
 * Structures of one source, in file order: the format is told by content, `.gz` is unpacked, records are read one by one, so
 * that memory does not grow with the file. What cannot be read is a rejection; only an error of `source.open()` itself is thrown.
 *
 * @param source the bytes and their name
 * @param limits what is still accepted
 */
export async function* readStructures(source: ByteSource, limits: StructureLimits = {}): AsyncGenerator<ReadItem> {
  let failure: { error: unknown } | undefined;
  async function* watched(): AsyncGenerator<Uint8Array> {
    try {
      yield* source.open();
    } catch (error) {
      failure = { error };
      throw error;
    }
  }
  yield* named(
    source.name,
    records(source.name, watched(), limits, () => failure),
    limits,
  );
}

/** The records of a file; an error that is the content's own fault becomes the last record. */
async function* records(
  name: string,
  bytes: AsyncIterable<Uint8Array>,
  limits: StructureLimits,
  failure: () => { error: unknown } | undefined,
): AsyncGenerator<FoundRecord> {
  try {
    let { head, all } = await peek(bytes);
    if (head[0] === 0x1f && head[1] === 0x8b) {
      ({ head, all } = await peek(pipeline(all, createGunzip(), () => undefined)));
    }
    yield* formatOf(head, name)({ name, bytes: all, limits });
  } catch (error) {
    const io = failure();
    if (io) throw io.error;
    if (error instanceof Rejected) yield { found: error };
    else if (error instanceof Error && 'code' in error && String(error.code).startsWith('Z_')) {
      yield { found: new Rejected('unparsable', `gzip: ${error.message}`) };
    } else throw error;
  }
}

async function peek(bytes: AsyncIterable<Uint8Array>): Promise<{ head: Uint8Array; all: AsyncIterable<Uint8Array> }> {
  const iterator = bytes[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  let length = 0;
  while (length < HEAD_BYTES) {
    const { done, value } = await iterator.next();
    if (done) break;
    chunks.push(value);
    length += value.length;
  }
  async function* all(): AsyncGenerator<Uint8Array> {
    try {
      yield* chunks;
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  }
  return { head: Buffer.concat(chunks), all: all() };
}

/** Gives each record its id (the rule is in materialId.ts) and its place, and validates it. */
async function* named(
  name: string,
  found: AsyncIterable<FoundRecord>,
  limits: StructureLimits,
): AsyncGenerator<ReadItem> {
  const stem = fileStem(name);
  const blocks = new Set<string>();
  const item = (record: FoundRecord, index: number, isOnly: boolean): ReadItem => {
    const block =
      record.block !== undefined && record.block !== '' && !blocks.has(record.block) ? record.block : undefined;
    if (block !== undefined) blocks.add(block);
    const blockId = block !== undefined && (!isOnly || isTellingDataName(block)) ? block : undefined;
    const where = {
      materialId: record.id ?? blockId ?? (isOnly ? stem : `${stem}-${index}`),
      source: isOnly ? name : block !== undefined ? `${name}#${block}` : `${name}:${index}`,
    };
    if (record.found instanceof Rejected) return rejection(where, record.found.code, record.found.message);
    return canonicalStructure({ ...where, ...record.found }, limits);
  };

  let index = 0;
  // The first record waits for the second: a file of one is named by its stem alone.
  let first: FoundRecord | undefined;
  for await (const record of found) {
    if (index === 0) first = record;
    else {
      if (first) yield item(first, 0, false);
      first = undefined;
      yield item(record, index, false);
    }
    index++;
  }
  if (first) yield item(first, 0, true);
}
