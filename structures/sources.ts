import { closeSync, createReadStream, openSync, readSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { glob, isDynamicPattern } from 'tinyglobby';
import { compareCodePoints } from '../text/codePoints.js';
import { distinctStems, fileStem } from './readers/materialId.js';
import type { ByteSource } from './structure.js';

/** A file on this machine; readers that need random access use the path instead of a copy. */
export interface FileSource extends ByteSource {
  path: string;
}

/** A path that nothing matches. */
export class SourceMissing extends Error {
  override readonly name = 'SourceMissing';
}

/**
 * Files under a path, in code-point order of their names. Hidden files and folders are left out.
 *
 * @param path a file (named by its base name), a folder (all files below it, named relative to it) or a glob (files named relative
 *   to its fixed part)
 * @returns the files; reading tells which of them hold structures
 * @throws {SourceMissing}
 */
export async function* localSources(path: string): AsyncGenerator<FileSource> {
  const kind = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (kind?.isFile()) {
    yield fileSource(resolve(path), basename(path), fileStem(path));
    return;
  }
  if (!kind && ![path, ...path.split('/')].some((part) => isDynamicPattern(part))) {
    throw new SourceMissing(
      `structures/sources: '${path}' does not exist; a file, a folder or a glob such as 'data/*.cif' is needed`,
    );
  }
  const { folder, pattern } = kind ? { folder: path, pattern: '**' } : await splitGlob(path);
  const names = await glob(pattern, { cwd: resolve(folder), onlyFiles: true, dot: false, followSymbolicLinks: true });
  if (names.length === 0) {
    throw new SourceMissing(
      `structures/sources: ${kind ? `the folder '${path}' holds no files` : `no file matches '${path}'`}; structure files are needed`,
    );
  }
  const sorted = names.sort(compareCodePoints);
  const stems = distinctStems(sorted);
  for (const [i, name] of sorted.entries()) yield fileSource(resolve(folder, name), name, stems[i]);
}

function fileSource(path: string, name: string, stem: string): FileSource {
  return { name, path, stem, open: () => fileBytes(path) };
}

/** Bytes of the first reading; most files of structures are shorter. */
const FIRST_BYTES = 1 << 16;

/**
 * Bytes of a file. A stream opens, reads and closes by four turns through the thread pool, which take several times as long as
 * parsing a POSCAR; a short file is read at once instead.
 */
export async function* fileBytes(path: string): AsyncGenerator<Uint8Array> {
  const file = openSync(path, 'r');
  let length: number;
  const first = Buffer.allocUnsafe(FIRST_BYTES);
  try {
    length = readSync(file, first);
  } finally {
    closeSync(file);
  }
  yield first.subarray(0, length);
  if (length === FIRST_BYTES)
    yield* createReadStream(path, { start: length, highWaterMark: 1 << 18 }) as AsyncIterable<Uint8Array>;
}

/**
 * The folders before the first one with a wildcard, and the rest. What exists by its name is no wildcard: `run[5]/*.cif` means the files
 * of the folder `run[5]` where there is one.
 */
async function splitGlob(path: string): Promise<{ folder: string; pattern: string }> {
  const parts = path.split('/');
  let at = 0;
  while (at < parts.length - 1 && (await isFixed(parts.slice(0, at + 1).join('/'), parts[at]))) at++;
  const folder = parts.slice(0, at).join('/');
  return { folder: folder === '' ? (path.startsWith('/') ? '/' : '.') : folder, pattern: parts.slice(at).join('/') };
}

async function isFixed(folder: string, name: string): Promise<boolean> {
  if (!isDynamicPattern(name) && !/[{}]/.test(name)) return true;
  const kind = await stat(folder).catch(() => undefined);
  return kind?.isDirectory() ?? false;
}
