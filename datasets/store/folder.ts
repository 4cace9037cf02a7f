import { createHash, randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import {
  copyFile,
  link,
  mkdir,
  open,
  readFile,
  readdir,
  rename,
  rm,
  rmdir,
  stat,
  type FileHandle,
} from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { withLock } from '../../locks/lock.js';
import { compareCodePoints } from '../../text/codePoints.js';
import {
  ObjectNotFound,
  StoreRefused,
  checkKey,
  type ObjectInfo,
  type ObjectStore,
  type StoreOptions,
} from './objectStore.js';

/** Drafts and locks live here, on the file system of the objects but outside every folder that a reader globs. */
const PRIVATE = '.tmp';
/** A draft this old was left by a killed process. */
const ABANDONED_DRAFT_MS = 24 * 3600 * 1000;
/** A delete may take away the folder that a put just made; the put makes it again. */
const PLACE_ATTEMPTS = 10;

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
    return this.reading(key, () => readFile(file, { signal: options.signal }));
  }

  async getRange(key: string, start: number, end: number, options: StoreOptions = {}): Promise<Uint8Array> {
    options.signal?.throwIfAborted();
    checkRange(key, start, end);
    return this.reading(key, async () => {
      const file = await open(this.pathOf(key), 'r');
      try {
        const bytes = new Uint8Array(Math.max(0, Math.min(end, (await file.stat()).size) - start));
        let at = 0;
        while (at < bytes.length) {
          options.signal?.throwIfAborted();
          const { bytesRead } = await file.read(bytes, at, bytes.length - at, start + at);
          if (bytesRead === 0) return bytes.subarray(0, at);
          at += bytesRead;
        }
        return bytes;
      } finally {
        await file.close();
      }
    });
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
    try {
      const status = await stat(this.pathOf(key));
      // Change time: a hard link made just now is a new object, though its bytes are old.
      return status.isFile() ? { key, bytes: status.size, modified: status.ctime } : undefined;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async put(key: string, bytes: Uint8Array, options: StoreOptions = {}): Promise<void> {
    await this.withDraft(key, bytes, options, (draft, file) => rename(draft, file));
  }

  async putIfAbsent(key: string, bytes: Uint8Array, options: StoreOptions = {}): Promise<'written' | 'exists'> {
    if (await this.head(key, options)) return 'exists';
    try {
      await this.withDraft(key, bytes, options, (draft, file) => link(draft, file));
      return 'written';
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
      const folder = (await stat(this.pathOf(key)).catch(() => undefined))?.isDirectory() ?? false;
      if (folder) throw this.explained(Object.assign(error as Error, { code: 'EISDIR' }), key);
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
      throw this.explained(error, key);
    }
  }

  async copy(from: string, to: string, options: StoreOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    const source = this.pathOf(from);
    const target = this.pathOf(to);
    // Objects are replaced, never written in place, so two keys can share one file. Where the file system has no (more) links, copy.
    const draft = await this.newDraft();
    try {
      await link(source, draft).catch((error: unknown) => {
        if (!['EPERM', 'ENOTSUP', 'EXDEV', 'EMLINK'].includes(codeOf(error))) throw error;
        return copyFile(source, draft, constants.COPYFILE_FICLONE);
      });
      await this.place(target, () => rename(draft, target));
    } catch (error) {
      if (isMissing(error) && !(await this.head(from))) throw new ObjectNotFound(this.url, from);
      throw this.explained(error, to);
    } finally {
      await rm(draft, { force: true }); // rename(2) leaves both names where they are already one file
    }
  }

  async *list(prefix: string, options: StoreOptions = {}): AsyncIterable<ObjectInfo> {
    yield* this.walk('', prefix, options);
  }

  async delete(keys: readonly string[], options: StoreOptions = {}): Promise<void> {
    for (const key of keys) {
      options.signal?.throwIfAborted();
      const file = this.pathOf(key);
      await rm(file, { force: true }).catch((error: unknown) => {
        if (!isMissing(error)) throw this.explained(error, key);
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
      throw error;
    }
  }

  /** Objects below `folder` ('' or ending in '/') in code-point order of their whole keys: `a.b` comes before `a/b`. */
  private async *walk(folder: string, prefix: string, options: StoreOptions): AsyncIterable<ObjectInfo> {
    options.signal?.throwIfAborted();
    let entries;
    try {
      entries = await readdir(path.join(this.root, folder), { withFileTypes: true });
    } catch (error) {
      if (isMissing(error)) return;
      throw error;
    }
    const names = entries
      .filter((entry) => (entry.isFile() || entry.isDirectory()) && !(folder === '' && entry.name === PRIVATE))
      .map((entry) => folder + entry.name + (entry.isDirectory() ? '/' : ''))
      .sort(compareCodePoints);
    for (const name of names) {
      if (name.endsWith('/')) {
        if (name.startsWith(prefix) || prefix.startsWith(name)) yield* this.walk(name, prefix, options);
      } else if (name.startsWith(prefix)) {
        const info = await this.head(name, options);
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
      throw this.explained(error, key);
    }
  }

  private async newDraft(): Promise<string> {
    const drafts = path.join(this.root, PRIVATE, 'drafts');
    await mkdir(drafts, { recursive: true });
    this.swept ??= sweep(drafts);
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

  private explained(error: unknown, key: string): unknown {
    const where = path.join(this.root, key);
    const remedy = {
      ENOSPC: 'the disk is full; free space or choose another output',
      EDQUOT: 'the disk quota is used up; free space or choose another output',
      EFBIG:
        'the file size limit of the process or file system is reached; raise it (ulimit -f) or choose another output',
      EROFS: 'the file system is read-only; choose another output',
      EACCES: 'permission denied; make the folder writable or choose another output',
      ENAMETOOLONG: 'the name is too long for this file system (255 bytes a segment)',
      ENOTDIR: 'a part of the path is a file; keys K and K/... cannot both exist in a folder',
      EISDIR: 'there is a folder of that name; keys K and K/... cannot both exist in a folder',
    }[codeOf(error)];
    return remedy ? new StoreRefused(`datasets: cannot write ${where}: ${remedy}`, { cause: error }) : error;
  }
}

/** @throws RangeError where [start, end) is no range */
export function checkRange(key: string, start: number, end: number): void {
  if (!(Number.isSafeInteger(start) && Number.isSafeInteger(end) && 0 <= start && start <= end)) {
    throw new RangeError(`datasets: [${start}, ${end}) of '${key}' is no byte range; it needs 0 <= start <= end`);
  }
}

async function sweep(drafts: string): Promise<void> {
  for (const name of await readdir(drafts)) {
    const draft = path.join(drafts, name);
    const modified = await stat(draft).then(
      (status) => status.ctimeMs,
      () => Date.now(), // just moved to its place
    );
    if (Date.now() - modified > ABANDONED_DRAFT_MS) await rm(draft, { force: true });
  }
}

async function flushFolder(folder: string): Promise<void> {
  let handle: FileHandle;
  try {
    handle = await open(folder, 'r');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return; // emptied and removed by a delete
    throw error;
  }
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function codeOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException | undefined)?.code);
}

function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(codeOf(error));
}
