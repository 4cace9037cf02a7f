/** One object of a store. */
export interface ObjectInfo {
  key: string;
  bytes: number;
  modified: Date;
  /**
   * Changes whenever the bytes do, and costs no reading of them: ETag of S3; size, time and inode of a file. For
   * {@link ObjectStore.putIfMatch} take the one of {@link ObjectStore.getWithEtag}.
   */
  etag: string;
}

/** Bytes [start, end) of an object; by default from its first to its last. */
export interface ByteRange {
  start?: number;
  end?: number;
}

/** Options every operation takes: the signal reaches down to the request on the wire. */
export interface StoreOptions {
  signal?: AbortSignal | undefined;
}

/** The key does not exist. */
export class ObjectNotFound extends Error {
  override readonly name = 'ObjectNotFound';
  constructor(
    readonly storeUrl: string,
    readonly key: string,
  ) {
    super(`datasets: no object '${key}' in ${storeUrl}`);
  }
}

/** An object was replaced while it was read piece by piece. */
export class ObjectChanged extends Error {
  override readonly name = 'ObjectChanged';
  constructor(storeUrl: string, key: string) {
    super(`datasets: '${key}' in ${storeUrl} was replaced while it was read; read it again`);
  }
}

/**
 * The storage protocol of koine: a flat key space with atomic puts and two conditional puts. Keys are `/`-separated,
 * relative, without `.` or `..` segments. Every put is atomic: a reader sees the whole old or the whole new object.
 */
export interface ObjectStore {
  /** `file:///abs/folder` or `s3://bucket/prefix`, without a trailing slash. */
  readonly url: string;
  /** @throws {ObjectNotFound} */
  get(key: string, options?: StoreOptions): Promise<Uint8Array>;
  /** Bytes [start, end) of an object, fewer where it ends before. @throws {ObjectNotFound} */
  getRange(key: string, start: number, end: number, options?: StoreOptions): Promise<Uint8Array>;
  /**
   * The bytes of an object, or of a range of it, piece by piece: for what must not be in memory whole. All pieces are of one version.
   * @throws {ObjectNotFound}
   * @throws {ObjectChanged} where that version was replaced and the rest of it can't be had any more
   */
  stream(key: string, range?: ByteRange, options?: StoreOptions): AsyncIterable<Uint8Array>;
  /**
   * The object's bytes with their etag, for a later {@link putIfMatch}; undefined if there is none. An etag is opaque; equal
   * etags of one key mean equal bytes.
   */
  getWithEtag(key: string, options?: StoreOptions): Promise<{ bytes: Uint8Array; etag: string } | undefined>;
  head(key: string, options?: StoreOptions): Promise<ObjectInfo | undefined>;
  put(key: string, bytes: Uint8Array, options?: StoreOptions): Promise<void>;
  /** Exactly one of any number of racing callers gets 'written'. */
  putIfAbsent(key: string, bytes: Uint8Array, options?: StoreOptions): Promise<'written' | 'exists'>;
  /**
   * Replaces the object only if it still has `etag`; of racing callers with one etag exactly one gets 'written'. A key that is
   * swapped this way is written by no other operation, after the {@link putIfAbsent} that made it.
   */
  putIfMatch(key: string, bytes: Uint8Array, etag: string, options?: StoreOptions): Promise<'written' | 'conflict'>;
  /** Makes `to` the same bytes as `from` without moving them through this process (hard link, CopyObject). @throws {ObjectNotFound} */
  copy(from: string, to: string, options?: StoreOptions): Promise<void>;
  /** All objects whose key starts with `prefix` (a string prefix, `''` for all), in code-point order of their keys. */
  list(prefix: string, options?: StoreOptions): AsyncIterable<ObjectInfo>;
  /** Deletes objects; a key that does not exist is no error. */
  delete(keys: readonly string[], options?: StoreOptions): Promise<void>;
}

/** A store refused an operation for a reason that no retry mends: no space, no permission, no bucket, no credentials. */
export class StoreRefused extends Error {
  override readonly name = 'StoreRefused';
}

/**
 * Refuses keys that are not `/`-separated, relative, free of `.`, `..`, empty segments and control characters, or that
 * reach into `.tmp/`, the folder backend's own place. @throws RangeError
 */
export function checkKey(key: string): void {
  const bad =
    key.split('/').find((segment) => segment === '' || segment === '.' || segment === '..') !== undefined ||
    /\p{Cc}|\p{Cs}|\\/u.test(key) ||
    key.startsWith('.tmp/') ||
    Buffer.byteLength(key) > 1024;
  if (bad) {
    throw new RangeError(
      `datasets: '${key}' is no object key; a key is relative, '/'-separated, at most 1024 bytes, without empty, '.' or '..' segments`,
    );
  }
}

/** @throws RangeError where [start, end) is no range of bytes; Infinity ends it with the object */
export function checkRange(key: string, start: number, end: number): void {
  const numbers = Number.isSafeInteger(start) && (Number.isSafeInteger(end) || end === Infinity);
  if (!(numbers && 0 <= start && start <= end)) {
    throw new RangeError(`datasets: [${start}, ${end}) of '${key}' is no byte range; it needs 0 <= start <= end`);
  }
}
