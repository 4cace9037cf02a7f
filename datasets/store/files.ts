import { open, readdir, rm, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { StoreRefused } from './objectStore.js';

/** A draft this old was left by a killed process. */
const ABANDONED_DRAFT_MS = 24 * 3600 * 1000;

/** System code of an error, e.g. `ENOENT`. */
export function codeOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException | undefined)?.code);
}

/** Whether an error says that a file is not there. */
export function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(codeOf(error));
}

const REMEDIES: Record<string, string> = {
  ENOSPC: 'the disk is full, of bytes or of files; free space or choose another output',
  EDQUOT: 'the disk quota is used up; free space or choose another output',
  EFBIG: 'the file size limit of the process or file system is reached; raise it (ulimit -f) or choose another output',
  EROFS: 'the file system is read-only; choose another output',
  EACCES: 'permission denied; make the folder accessible or choose another',
  EPERM: 'the operation is not permitted; make the folder accessible or choose another',
  ENAMETOOLONG: 'the name is too long for this file system (255 bytes a segment)',
  ENOTDIR: 'a part of the path is a file; keys K and K/... cannot both exist in a folder',
  EISDIR: 'there is a folder of that name; keys K and K/... cannot both exist in a folder',
};

/** The error with file and remedy where a person has to mend something, as it is otherwise. */
export function explained(error: unknown, doing: 'read' | 'write' | 'delete', file: string): unknown {
  const remedy = REMEDIES[codeOf(error)];
  return remedy ? new StoreRefused(`datasets: cannot ${doing} ${file}: ${remedy}`, { cause: error }) : error;
}

/** Makes a file's bytes survive a loss of power. */
export async function flushFile(file: string): Promise<void> {
  const handle = await open(file, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes the entries of a folder survive a loss of power. One that is gone has none. */
export async function flushFolder(folder: string): Promise<void> {
  await flushFile(folder).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error; // emptied and removed by a delete
  });
}

/** Reads [start, start + bytes.length) of a file. @returns what there is of it */
export async function readAt(
  file: FileHandle,
  bytes: Uint8Array,
  start: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  let at = 0;
  while (at < bytes.length) {
    signal?.throwIfAborted();
    const { bytesRead } = await file.read(bytes, at, bytes.length - at, start + at);
    if (bytesRead === 0) return bytes.subarray(0, at);
    at += bytesRead;
  }
  return bytes;
}

/** Removes drafts that killed processes left. */
export async function sweepDrafts(drafts: string): Promise<void> {
  for (const name of await readdir(drafts)) {
    const draft = path.join(drafts, name);
    const modified = await stat(draft).then(
      (status) => status.ctimeMs,
      () => Date.now(), // just moved to its place
    );
    if (Date.now() - modified > ABANDONED_DRAFT_MS) await rm(draft, { force: true });
  }
}
