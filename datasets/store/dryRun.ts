import { compareCodePoints } from '../../text/codePoints.js';
import { sha256Hex } from '../digest.js';
import {
  ObjectNotFound,
  checkKey,
  checkRange,
  type ByteRange,
  type ObjectInfo,
  type ObjectStore,
  type StoreOptions,
} from './objectStore.js';

interface Kept {
  /** undefined: deleted */
  bytes: Uint8Array | undefined;
  modified: Date;
  etag: string;
}

/**
 * A store that reads through to another and keeps every write in memory: what a plan runs on. Nothing below it changes.
 */
export class DryRunStore implements ObjectStore {
  readonly url: string;
  private readonly kept = new Map<string, Kept>();

  constructor(private readonly below: ObjectStore) {
    this.url = below.url;
  }

  /** Keys written since it was made, in code-point order. */
  get written(): string[] {
    return [...this.kept]
      .filter(([, { bytes }]) => bytes)
      .map(([key]) => key)
      .sort(compareCodePoints);
  }

  /** Keys deleted since it was made, in code-point order. */
  get deleted(): string[] {
    return [...this.kept]
      .filter(([, { bytes }]) => !bytes)
      .map(([key]) => key)
      .sort(compareCodePoints);
  }

  async get(key: string, options: StoreOptions = {}): Promise<Uint8Array> {
    return this.kept.has(key) ? Uint8Array.from(this.own(key, options)) : this.below.get(key, options);
  }

  async getRange(key: string, start: number, end: number, options: StoreOptions = {}): Promise<Uint8Array> {
    checkRange(key, start, end);
    return this.kept.has(key)
      ? this.own(key, options).slice(start, end)
      : this.below.getRange(key, start, end, options);
  }

  async *stream(key: string, range: ByteRange = {}, options: StoreOptions = {}): AsyncIterable<Uint8Array> {
    const { start = 0, end = Infinity } = range;
    checkRange(key, start, end);
    if (this.kept.has(key)) yield this.own(key, options).slice(start, end);
    else yield* this.below.stream(key, range, options);
  }

  async getWithEtag(key: string, options: StoreOptions = {}): Promise<{ bytes: Uint8Array; etag: string } | undefined> {
    const kept = this.kept.get(key);
    if (!kept) return this.below.getWithEtag(key, options);
    options.signal?.throwIfAborted();
    return kept.bytes && { bytes: Uint8Array.from(kept.bytes), etag: kept.etag };
  }

  async head(key: string, options: StoreOptions = {}): Promise<ObjectInfo | undefined> {
    const kept = this.kept.get(key);
    if (!kept) return this.below.head(key, options);
    options.signal?.throwIfAborted();
    return kept.bytes && { key, bytes: kept.bytes.length, modified: kept.modified, etag: kept.etag };
  }

  put(key: string, bytes: Uint8Array, options: StoreOptions = {}): Promise<void> {
    return Promise.resolve().then(() => this.keep(key, Uint8Array.from(bytes), options));
  }

  async putIfAbsent(key: string, bytes: Uint8Array, options: StoreOptions = {}): Promise<'written' | 'exists'> {
    if (await this.head(key, options)) return 'exists';
    if (this.kept.get(key)?.bytes) return 'exists'; // written while the store below was asked
    this.keep(key, Uint8Array.from(bytes), options);
    return 'written';
  }

  async putIfMatch(
    key: string,
    bytes: Uint8Array,
    etag: string,
    options: StoreOptions = {},
  ): Promise<'written' | 'conflict'> {
    const before = this.kept.get(key);
    const current = await this.getWithEtag(key, options);
    if (current?.etag !== etag || this.kept.get(key) !== before) return 'conflict';
    this.keep(key, Uint8Array.from(bytes), options);
    return 'written';
  }

  async copy(from: string, to: string, options: StoreOptions = {}): Promise<void> {
    this.keep(to, await this.get(from, options), options);
  }

  async *list(prefix: string, options: StoreOptions = {}): AsyncIterable<ObjectInfo> {
    const own = [...this.kept]
      .filter(([key]) => key.startsWith(prefix))
      .sort(([a], [b]) => compareCodePoints(a, b))
      .map(([key, { bytes, modified, etag }]) => ({ key, bytes: bytes?.length, modified, etag }));
    let next = 0;
    const ownBefore = function* (key: string | undefined): Iterable<ObjectInfo> {
      for (; next < own.length; next++) {
        const item = own[next];
        if (key !== undefined && compareCodePoints(item.key, key) > 0) return;
        if (item.bytes !== undefined) yield { ...item, bytes: item.bytes };
      }
    };
    for await (const item of this.below.list(prefix, options)) {
      yield* ownBefore(item.key);
      if (!this.kept.has(item.key)) yield item;
    }
    options.signal?.throwIfAborted();
    yield* ownBefore(undefined);
  }

  delete(keys: readonly string[], options: StoreOptions = {}): Promise<void> {
    return Promise.resolve().then(() => keys.forEach((key) => this.keep(key, undefined, options)));
  }

  private own(key: string, options: StoreOptions): Uint8Array {
    options.signal?.throwIfAborted();
    const bytes = this.kept.get(key)?.bytes;
    if (!bytes) throw new ObjectNotFound(this.url, key);
    return bytes;
  }

  private keep(key: string, bytes: Uint8Array | undefined, options: StoreOptions): void {
    checkKey(key);
    options.signal?.throwIfAborted();
    const etag = bytes ? `dry-run ${sha256Hex(bytes)}` : '';
    this.kept.set(key, { bytes, modified: new Date(), etag });
  }
}
