import { createHash, randomUUID } from 'node:crypto';
import { constants, type BigIntStats } from 'node:fs';
import { copyFile, link, mkdir, open, readFile, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { withLock } from '../../locks/lock.js';
import { compareCodePoints } from '../../text/codePoints.js';
import { codeOf, explained, flushFile, flushFolder, isMissing, readAt, sweepDrafts } from './files.js';
import {
  ObjectChanged,
  ObjectNotFound,
  checkKey,
  checkRange,
  type ByteRange,
  type ObjectInfo,
  type ObjectStore,
  type StoreOptions,
} from './objectStore.js';
import { count } from './requestCounts.js';

/** Drafts and locks live here, on the file system of the objects but outside every folder that a reader globs. */
const PRIVATE = '.tmp';
/** A delete may take away the folder that a put just made; the put makes it again. */
const PLACE_ATTEMPTS = 10;
/** Bytes of one piece of a streamed object. */
const PIECE_BYTES = 1 << 20;

/**
 * An object store in a folder: one file an object, its key the relative path.
 *
 * A put writes a draft in `.tmp/`, flushes it, and moves it to its place with rename(2), or link(2) for put-if-absent, then flushes
 * the folder: a reader, or a machine that lost power, sees a whole object or none. Put-if-match compares content under a
 * {@link withLock}; its etag is the sha256, so it can neither miss a change nor see one that is none.
 * @throws {StoreRefused} from writes where the disk is full or read-only, naming file and remedy
 */
export class FolderStore implements ObjectStore {
  readonly url: string;
  private swept: Promise<void> | undefined;

  /** @param root absolute path; made by the first write */
  constructor(private readonly root: string) {
    if (!path.isAbsolute(root)) throw new RangeError(`datasets: folder store '${root}' must be an absolute path`);
    this.url = pathToFileURL(root).href.replace(/\/$/, '');
  }

  async get(key: string, options: StoreOptions = {}): Promise<Uint8Array> {
    const file = this.pathOf(key);
    count('get');
    const bytes = await this.reading(key, () => readFile(file, { signal: options.signal }));
    count('bytesIn', bytes.length);
    return bytes;
  }

  async getRange(key: string, start: number, end: number, options: StoreOptions = {}): Promise<Uint8Array> {
    options.signal?.throwIfAborted();
    checkRange(key, start, end);
    count('get');
    const bytes = await this.reading(key, async () => {
      const file = await open(this.pathOf(key), 'r');
      try {
        const length = Math.max(0, Math.min(end, (await file.stat()).size) - start);
        return await readAt(file, new Uint8Array(length), start, options.signal);
      } finally {
        await file.close();
      }
    });
    count('bytesIn', bytes.length);
    return bytes;
  }

  async *stream(
    key: string,
    { start = 0, end = Infinity }: ByteRange = {},
    options: StoreOptions = {},
  ): AsyncIterable<Uint8Array> {
    options.signal?.throwIfAborted();
    checkRange(key, start, end);
    count('get');
    // An open file is one version: a put moves another file to its name.
    const file = await this.reading(key, () => open(this.pathOf(key), 'r'));
    try {
      const last = Math.min(end, (await file.stat()).size);
      for (let at = start; at < last;) {
        const wanted = new Uint8Array(Math.min(PIECE_BYTES, last - at));
        const piece = await this.reading(key, () => readAt(file, wanted, at, options.signal));
        if (piece.length === 0) throw new ObjectChanged(this.url, key); // cut short by another program
        count('bytesIn', piece.length);
        yield piece;
        at += piece.length;
      }
    } finally {
      await file.close();
    }
  }

  async getWithEtag(key: string, options: StoreOptions = {}): Promise<{ bytes: Uint8Array; etag: string } | undefined> {
    try {
      const bytes = await this.get(key, options);
      return { bytes, etag: createHash('sha256').update(bytes).digest('hex') };
    } catch (error) {
      if (error instanceof ObjectNotFound) return undefined;
      throw error;
    }
  }

  async head(key: string, options: StoreOptions = {}): Promise<ObjectInfo | undefined> {
    options.signal?.throwIfAborted();
    count('head');
    return this.infoOf(key);
  }

  async put(key: string, bytes: Uint8Array, options: StoreOptions = {}): Promise<void> {
    count('put');
    await this.withDraft(key, bytes, options, (draft, file) => rename(draft, file));
  }

  async putIfAbsent(key: string, bytes: Uint8Array, options: StoreOptions = {}): Promise<'written' | 'exists'> {
    options.signal?.throwIfAborted();
    count('putIf');
    if (await this.infoOf(key)) return 'exists';
    try {
      await this.withDraft(key, bytes, options, (draft, file) => link(draft, file));
      return 'written';
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
      const folder = (await stat(this.pathOf(key)).catch(() => undefined))?.isDirectory() ?? false;
      if (folder) throw explained(Object.assign(error as Error, { code: 'EISDIR' }), 'write', this.pathOf(key));
      return 'exists';
    }
  }

  async putIfMatch(
    key: string,
    bytes: Uint8Array,
    etag: string,
    options: StoreOptions = {},
  ): Promise<'written' | 'conflict'> {
    checkKey(key);
    count('putIf');
    const name = createHash('sha256').update(key).digest('hex').slice(0, 32);
    const swap = async (checkHeld: () => Promise<void>) => {
      if ((await this.getWithEtag(key, options))?.etag !== etag) return 'conflict';
      await this.withDraft(key, bytes, options, async (draft, file) => {
        await checkHeld();
        await rename(draft, file);
      });
      return 'written';
    };
    try {
      return await withLock(path.join(this.root, PRIVATE, 'locks', name), swap, options);
    } catch (error) {
      throw explained(error, 'write', this.pathOf(key));
    }
  }

  async copy(from: string, to: string, options: StoreOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    const source = this.pathOf(from);
    const target = this.pathOf(to);
    count('copy');
    try {
      const draft = await this.newDraft();
      try {
        // Objects are replaced, never written in place, so two keys can share one file. Where the file system has no (more) links, copy.
        await link(source, draft).catch(async (error: unknown) => {
          if (!['EPERM', 'ENOTSUP', 'EXDEV', 'EMLINK'].includes(codeOf(error))) throw error;
          await copyFile(source, draft, constants.COPYFILE_FICLONE);
          await flushFile(draft);
        });
        await this.place(target, () => rename(draft, target));
      } finally {
        await rm(draft, { force: true }); // rename(2) leaves both names where they are already one file
      }
    } catch (error) {
      if (isMissing(error) && !(await this.infoOf(from))) throw new ObjectNotFound(this.url, from);
      throw explained(error, 'write', target);
    }
  }

  async *list(prefix: string, options: StoreOptions = {}): AsyncIterable<ObjectInfo> {
    count('list');
    yield* this.walk('', prefix, options);
  }

  async delete(keys: readonly string[], options: StoreOptions = {}): Promise<void> {
    for (const key of keys) {
      options.signal?.throwIfAborted();
      const file = this.pathOf(key);
      count('delete');
      await rm(file, { force: true }).catch((error: unknown) => {
        if (!isMissing(error)) throw explained(error, 'delete', file);
      });
      await this.removeEmptyFolders(path.dirname(file));
    }
  }

  private pathOf(key: string): string {
    checkKey(key);
    return path.join(this.root, key);
  }

  private async reading<T>(key: string, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      if (isMissing(error) || codeOf(error) === 'EISDIR') throw new ObjectNotFound(this.url, key);
      throw explained(error, 'read', this.pathOf(key));
    }
  }

  private async infoOf(key: string): Promise<ObjectInfo | undefined> {
    let status: BigIntStats;
    try {
      status = await stat(this.pathOf(key), { bigint: true });
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw explained(error, 'read', this.pathOf(key));
    }
    if (!status.isFile()) return undefined;
    const etag = `${status.size}-${status.mtimeNs}-${status.ino}`;
    // Change time: a hard link made just now is a new object, though its bytes are old.
    return { key, bytes: Number(status.size), modified: status.ctime, etag };
  }

  /** Objects below `folder` ('' or ending in '/') in code-point order of their whole keys: `a.b` comes before `a/b`. */
  private async *walk(folder: string, prefix: string, options: StoreOptions): AsyncIterable<ObjectInfo> {
    options.signal?.throwIfAborted();
    let entries;
    try {
      entries = await readdir(path.join(this.root, folder), { withFileTypes: true });
    } catch (error) {
      if (isMissing(error)) return;
      throw explained(error, 'read', path.join(this.root, folder));
    }
    const names = entries
      .filter((entry) => (entry.isFile() || entry.isDirectory()) && !(folder === '' && entry.name === PRIVATE))
      .map((entry) => folder + entry.name + (entry.isDirectory() ? '/' : ''))
      .sort(compareCodePoints);
    for (const name of names) {
      if (name.endsWith('/')) {
        if (name.startsWith(prefix) || prefix.startsWith(name)) yield* this.walk(name, prefix, options);
      } else if (name.startsWith(prefix)) {
        const info = await this.infoOf(name);
        if (info) yield info; // deleted meanwhile otherwise
      }
    }
  }

  private async withDraft(
    key: string,
    bytes: Uint8Array,
    options: StoreOptions,
    move: (draft: string, file: string) => Promise<void>,
  ): Promise<void> {
    const file = this.pathOf(key);
    options.signal?.throwIfAborted();
    count('bytesOut', bytes.length);
    try {
      const draft = await this.newDraft();
      try {
        const handle = await open(draft, 'wx');
        try {
          await handle.writeFile(bytes, { signal: options.signal });
          await handle.sync();
        } finally {
          await handle.close();
        }
        options.signal?.throwIfAborted();
        await this.place(file, () => move(draft, file));
      } finally {
        await rm(draft, { force: true });
      }
    } catch (error) {
      throw explained(error, 'write', file);
    }
  }

  private async newDraft(): Promise<string> {
    const drafts = path.join(this.root, PRIVATE, 'drafts');
    await mkdir(drafts, { recursive: true });
    this.swept ??= sweepDrafts(drafts);
    await this.swept;
    return path.join(drafts, randomUUID());
  }

  /** Moves a draft to `file` and makes that survive a loss of power. */
  private async place(file: string, move: () => Promise<void>): Promise<void> {
    const folder = path.dirname(file);
    for (let attempt = 1; ; attempt++) {
      const firstMade = await mkdir(folder, { recursive: true }).catch((error: unknown) => {
        // A file where a folder should be. Not EEXIST, which from link(2) says that the object is there.
        throw codeOf(error) === 'EEXIST' ? Object.assign(error as Error, { code: 'ENOTDIR' }) : error;
      });
      try {
        await move();
      } catch (error) {
        if (codeOf(error) === 'ENOENT' && attempt < PLACE_ATTEMPTS) continue;
        throw error;
      }
      // Entries of new folders are durable only once the folder that holds them is flushed.
      const last = firstMade === undefined ? folder : path.dirname(firstMade);
      for (let dirty = folder; ; dirty = path.dirname(dirty)) {
        await flushFolder(dirty);
        if (dirty === last || dirty === path.dirname(dirty)) return;
      }
    }
  }

  private async removeEmptyFolders(folder: string): Promise<void> {
    for (let at = folder; at.length > this.root.length; at = path.dirname(at)) {
      try {
        await rmdir(at);
      } catch (error) {
        if (codeOf(error) === 'ENOENT') continue; // another delete was faster
        if (['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(codeOf(error))) return;
        throw error;
      }
    }
  }
}
