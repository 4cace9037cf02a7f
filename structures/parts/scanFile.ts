import { createHash, type Hash } from 'node:crypto';
import { readCsv } from '../readers/csv.js';
import { readExtendedXyz } from '../readers/extendedXyz.js';
import { HEAD_BYTES, formatOf } from '../readers/format.js';
import { readJsonLines } from '../readers/json.js';
import { rowGroupsOf } from '../readers/parquet.js';
import { Rejected, type FormatReader } from '../readers/record.js';
import { memberSizes } from '../readers/zip.js';
import type { ByteSource } from '../structure.js';
import { RECORD_COUNTERS, type RecordCounter } from './cuts.js';
import type { FilePart } from './filePart.js';

/** A line longer than this is passed over without looking at it: no reader takes it. */
const LONGEST_LINE = 64 * 2 ** 20;

/** How a file is scanned. */
export interface ScanOptions {
  /** Parts hold about this many bytes; compressed ones of an archive or a Parquet file. */
  partBytes: number;
  /** Gets all bytes as they pass: a file is streamed once. */
  onBytes?: (bytes: Uint8Array) => void;
}

/**
 * Streams a file once and finds where it can be cut so that its parts can be read apart: between records of extended XYZ, JSON lines and CSV,
 * between members of a zip archive and row groups of a Parquet file on this machine. Cuts depend on what stands before them alone, so that a
 * file to which something is appended keeps its earlier parts.
 * @returns the parts in order; none where the file is best read as a whole
 * @throws what `source.open()` throws
 */
export async function scanFile(source: ByteSource, options: ScanOptions): Promise<{ parts: FilePart[] }> {
  const { onBytes = () => undefined } = options;
  let head = Buffer.alloc(0);
  let scanner: LineScanner | undefined;
  let isTold = false;
  const tell = () => {
    isTold = true;
    const kind = kindOf(head, source.name);
    if (kind && source.openRange) scanner = new LineScanner(kind, options.partBytes);
    scanner?.push(head);
  };
  for await (const piece of source.open()) {
    onBytes(piece);
    if (isTold) scanner?.push(piece);
    else {
      head = Buffer.concat([head, piece]);
      if (head.length >= HEAD_BYTES) tell();
    }
  }
  if (!isTold) tell();
  if (scanner) return { parts: scanner.end() };
  return { parts: await directoryParts(source, head, options.partBytes) };
}

function kindOf(head: Buffer, name: string): keyof typeof RECORD_COUNTERS | undefined {
  let reader: FormatReader;
  try {
    reader = formatOf(head.subarray(head.indexOf('\ufeff') === 0 ? 3 : 0, HEAD_BYTES), name);
  } catch (error) {
    if (error instanceof Rejected) return undefined; // reading says so once more
    throw error;
  }
  if (reader === readExtendedXyz) return 'extendedXyz';
  if (reader === readJsonLines) return 'jsonLines';
  return reader === readCsv ? 'csv' : undefined;
}

/** Cuts a text before records, and hashes what lies between cuts. */
class LineScanner {
  private readonly counter: RecordCounter;
  private readonly parts: FilePart[] = [];
  private hash: Hash = createHash('sha256');
  /** Bytes whose line has not ended yet, and where they begin. */
  private held: Buffer[] = [];
  private heldBytes = 0;
  private at = 0;
  private partStart = 0;
  private firstRecord = 0;
  private header = 0;

  constructor(
    private readonly kind: keyof typeof RECORD_COUNTERS,
    private readonly partBytes: number,
  ) {
    this.counter = RECORD_COUNTERS[kind]();
  }

  push(piece: Uint8Array): void {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    if (!bytes.includes(0x0a)) {
      this.hold(bytes);
      return;
    }
    const text = this.held.length > 0 ? Buffer.concat([...this.held, bytes]) : bytes;
    this.held = [];
    this.heldBytes = 0;
    let line = 0;
    let hashed = 0;
    for (let end = text.indexOf(0x0a); end >= 0; end = text.indexOf(0x0a, line)) {
      const start = this.at + line;
      const begins = this.counter.line(text.subarray(line, end > line && text[end - 1] === 0x0d ? end - 1 : end));
      if (this.counter.inHeader) this.header = this.at + end + 1;
      if (begins && start - this.partStart >= this.partBytes) {
        this.hash.update(text.subarray(hashed, line));
        hashed = line;
        this.cut(start, this.counter.records - 1);
      }
      line = end + 1;
    }
    this.hash.update(text.subarray(hashed, line));
    this.at += line;
    this.hold(text.subarray(line));
  }

  end(): FilePart[] {
    for (const piece of this.held) this.hash.update(piece);
    this.cut(this.at + this.heldBytes, 0);
    return this.parts;
  }

  private hold(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.held.push(bytes);
    this.heldBytes += bytes.length;
    if (this.heldBytes <= LONGEST_LINE) return;
    for (const piece of this.held) this.hash.update(piece);
    this.at += this.heldBytes;
    this.held = [];
    this.heldBytes = 0;
  }

  private cut(end: number, records: number): void {
    const { kind, partStart: start, firstRecord, header } = this;
    const sha256 = this.hash.digest('hex');
    this.parts.push({ kind, start, end, header: start === 0 ? 0 : header, firstRecord, sha256 });
    this.hash = createHash('sha256');
    this.partStart = end;
    this.firstRecord = records;
  }
}

/** Parts of a file that has a directory, by what that says of sizes. */
async function directoryParts(source: ByteSource, head: Buffer, partBytes: number): Promise<FilePart[]> {
  const path = 'path' in source && typeof source.path === 'string' ? source.path : undefined;
  const magic = head.toString('latin1', 0, 4);
  if (path === undefined || (magic !== 'PK\x03\x04' && magic !== 'PAR1')) return [];
  const kind = magic === 'PAR1' ? 'rowGroups' : 'members';
  try {
    const items = kind === 'rowGroups' ? await rowGroupsOf(path) : await memberSizes(path);
    const parts: FilePart[] = [];
    let [start, bytes, records, firstRecord] = [0, 0, 0, 0];
    let told: string[] = [];
    const cut = (end: number) => {
      const sha256 = createHash('sha256').update(told.join('\n')).digest('hex');
      if (end > start) parts.push({ kind, start, end, header: 0, firstRecord, sha256 });
      [start, bytes, firstRecord, told] = [end, 0, records, []];
    };
    for (const [i, item] of items.entries()) {
      if (bytes >= partBytes) cut(i);
      bytes += item.bytes;
      records += item.records;
      told.push(item.identity);
    }
    cut(items.length);
    return parts;
  } catch (error) {
    if (error instanceof Rejected) return []; // reading says so once more
    throw error;
  }
}
