import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { canonicalStructure, rejection, type StructureLimits } from '../canonical.js';
import type { ByteSource, ReadItem } from '../structure.js';
import { ByteCounter, withinBudget } from './budget.js';
import { readAseLmdb, readAseSqlite } from './databases/ase.js';
import { isLmdb } from './databases/lmdb.js';
import { HEAD_BYTES, formatOf } from './format.js';
import { withLocalCopy } from './localCopy.js';
import { fileStem, isIdentifier, isTellingDataName } from './materialId.js';
import { readParquet } from './parquet.js';
import { Rejected, type FoundRecord } from './record.js';
import { zipMembers } from './zip.js';

/** Archives inside archives are opened this deep. */
const MAX_NESTING = 4;

/** Raise it when the same bytes may read as other structures: cached readings are keyed by it. */
export const READER_VERSION = 2;

/**
 * Structures of one source, in file order. The format is told by content, `.gz` and `.zip` are unpacked, records are read one by
 * one, so that memory does not grow with the file.
 *
 * `source` of an item is the file's name, for a file of several records with `:<index>` counted from 0 or `#<data block>` of a CIF;
 * a member of a zip is `set.zip/member`. How `materialId` comes about stands in materialId.ts.
 *
 * @param source the bytes and their name
 * @param limits what is still accepted
 * @returns structures and rejections; content of any kind is never an exception
 * @throws what `source.open()` throws, for a retry may mend that
 */
export async function* readStructures(source: ByteSource, limits: StructureLimits = {}): AsyncGenerator<ReadItem> {
  yield* readFile(source, limits, 0);
}

async function* readFile(source: ByteSource, limits: StructureLimits, nesting: number): AsyncGenerator<ReadItem> {
  const { name, stem = fileStem(name) } = source;
  const raw = new Peeked(delivered(source));
  let content = raw;
  try {
    const isGzip = (await raw.head())[0] === 0x1f && raw.magic.charCodeAt(1) === 0x8b;
    if (isGzip) content = new Peeked(gunzipped(raw.bytes()));
    const head = await content.head();
    const path = !isGzip && 'path' in source && typeof source.path === 'string' ? source.path : undefined;
    if (content.magic === 'PK\x03\x04' || content.magic === 'PK\x05\x06') {
      if (nesting === MAX_NESTING)
        throw new Rejected('unparsable', `an archive in ${nesting} others; at most ${MAX_NESTING} levels are opened`);
      yield* withLocalCopy(content.bytes(), path, (copy) => readMembers(copy, name, limits, nesting));
    } else {
      const fromPath = readerOfPath(head);
      const records = fromPath
        ? withLocalCopy(content.bytes(), path, (copy) => fromPath(copy, limits))
        : formatOf(head, name)({ name, bytes: content.bytes(), limits });
      yield* named(name, stem, untilRejected(records), limits);
    }
  } catch (error) {
    if (error instanceof SourceFailure) throw error.cause;
    const { code, message } = asRejected(error);
    yield rejection({ materialId: stem, source: name }, code, message);
  } finally {
    await content.close();
    await raw.close();
  }
}

/** Formats that are read from their end or by pages, for which a file on this machine is needed. */
function readerOfPath(
  head: Uint8Array,
): ((path: string, limits: StructureLimits) => AsyncIterable<FoundRecord>) | undefined {
  const magic = Buffer.from(head.subarray(0, 16)).toString('latin1');
  if (magic.startsWith('PAR1')) return readParquet;
  if (magic === 'SQLite format 3\0') return readAseSqlite;
  return isLmdb(head) ? readAseLmdb : undefined;
}

/** Structures of the members of a zip archive on this machine. @param range members by their number in the directory; all by default */
export async function* readMembers(
  path: string,
  name: string,
  limits: StructureLimits,
  nesting: number,
  range?: { start: number; end: number },
): AsyncGenerator<ReadItem> {
  let isEmpty = range === undefined;
  for await (const member of zipMembers(path, name, range)) {
    isEmpty = false;
    yield* readFile(member, limits, nesting + 1);
  }
  if (isEmpty) throw new Rejected('empty', 'the archive holds no files; structure files are needed');
}

/** The source could not deliver its bytes; its own error is the cause. */
class SourceFailure extends Error {}

async function* delivered(source: ByteSource): AsyncGenerator<Uint8Array> {
  try {
    yield* source.open();
  } catch (error) {
    // A zip member that is broken is rejected like any other content.
    throw error instanceof Rejected ? error : new SourceFailure(source.name, { cause: error });
  }
}

async function* gunzipped(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    const packed = new ByteCounter();
    const unpacked = pipeline(packed.count(bytes), createGunzip(), () => undefined);
    yield* withinBudget(unpacked as AsyncIterable<Uint8Array>, () => packed.bytes);
  } catch (error) {
    if (error instanceof Error && 'code' in error && String(error.code).startsWith('Z_'))
      throw new Rejected('unparsable', `gzip: ${error.message}`);
    throw error;
  }
}

/** A byte stream whose beginning can be looked at before it is read. */
class Peeked {
  readonly #iterator: AsyncIterator<Uint8Array>;
  #head: Buffer | undefined;

  constructor(bytes: AsyncIterable<Uint8Array>) {
    this.#iterator = bytes[Symbol.asyncIterator]();
  }

  /** The first {@link HEAD_BYTES} bytes or a little more, without the byte order mark of UTF-8. */
  async head(): Promise<Uint8Array> {
    if (this.#head) return this.#head;
    const chunks: Uint8Array[] = [];
    for (let length = 0; length < HEAD_BYTES;) {
      const next = await this.#iterator.next();
      if (next.done) break;
      chunks.push(next.value);
      length += next.value.length;
    }
    const head = Buffer.concat(chunks);
    const hasByteOrderMark = head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf;
    return (this.#head = hasByteOrderMark ? head.subarray(3) : head);
  }

  /** The first four bytes as Latin-1, after `head`. */
  get magic(): string {
    return this.#head?.toString('latin1', 0, 4) ?? '';
  }

  /** All bytes from there on, once. */
  async *bytes(): AsyncGenerator<Uint8Array> {
    yield await this.head();
    for (let next = await this.#iterator.next(); !next.done; next = await this.#iterator.next()) yield next.value;
  }

  async close(): Promise<void> {
    await this.#iterator.return?.();
  }
}

/** Makes an error that ends a file its last record, behind those already read. */
async function* untilRejected(records: AsyncIterable<FoundRecord>): AsyncGenerator<FoundRecord> {
  try {
    yield* records;
  } catch (error) {
    if (error instanceof SourceFailure) throw error;
    yield { found: asRejected(error) };
  }
}

/**
 * What a reader throws beside {@link Rejected} comes from content nobody thought of, and must not take the other files down with it.
 * Failing system calls are the machine's, and a retry may mend them.
 */
function asRejected(error: unknown): Rejected {
  if (error instanceof Rejected) return error;
  if (!(error instanceof Error) || 'syscall' in error) throw error;
  return new Rejected('unparsable', `the reader failed on it: ${error.name}: ${error.message}`);
}

/** Names the records of a part of a file, of which `firstRecord` others stand before. What ends the part is its last record. */
export async function* namedRecords(
  name: string,
  stem: string,
  found: AsyncIterable<FoundRecord>,
  limits: StructureLimits,
  firstRecord: number,
): AsyncGenerator<ReadItem> {
  let index = firstRecord;
  for await (const record of untilRejected(found)) {
    const where = { materialId: record.id ?? `${stem}-${index}`, source: `${name}:${index}` };
    index++;
    if (record.found instanceof Rejected) yield rejection(where, record.found.code, record.found.message);
    else yield canonicalStructure({ ...where, ...record.found }, limits);
  }
}

/** Gives each record its id (by the rule in materialId.ts) and its place, and validates it. */
async function* named(
  name: string,
  stem: string,
  found: AsyncIterable<FoundRecord>,
  limits: StructureLimits,
): AsyncGenerator<ReadItem> {
  const blocks = new Set<string>();
  const item = (record: FoundRecord, index: number, isOnly: boolean): ReadItem => {
    const block =
      record.block !== undefined && isIdentifier(record.block) && !blocks.has(record.block) ? record.block : undefined;
    if (block !== undefined) blocks.add(block);
    const blockId = block !== undefined && (!isOnly || isTellingDataName(block)) ? block : undefined;
    const where = {
      materialId: record.id ?? blockId ?? (isOnly ? stem : `${stem}-${index}`),
      source: isOnly ? name : block !== undefined ? `${name}#${block}` : `${name}:${index}`,
    };
    if (record.found instanceof Rejected) return rejection(where, record.found.code, record.found.message);
    return canonicalStructure({ ...where, ...record.found }, limits);
  };

  // The first record waits for the second: a file of one is named by its stem alone.
  let first: FoundRecord | undefined;
  let count = 0;
  for await (const record of found) {
    if (count === 0) first = record;
    else {
      if (first) yield item(first, 0, false);
      first = undefined;
      yield item(record, count, false);
    }
    count++;
  }
  if (count === 0) first = { found: new Rejected('empty', 'the file holds no structures; one or more are needed') };
  if (first) yield item(first, 0, true);
}
