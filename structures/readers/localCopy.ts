import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { copyable } from './budget.js';

/**
 * Bytes as a file on this machine, for formats that are read from their end (zip, Parquet). The copy is removed afterwards.
 *
 * @param bytes the content
 * @param path of the file when it is local already; nothing is copied then
 * @param read what to do with the file's path
 */
export async function* withLocalCopy<T>(
  bytes: AsyncIterable<Uint8Array>,
  path: string | undefined,
  read: (path: string) => AsyncIterable<T>,
): AsyncGenerator<T> {
  if (path !== undefined) {
    yield* read(path);
    return;
  }
  const folder = await mkdtemp(join(tmpdir(), 'koine-read-'));
  try {
    const copy = join(folder, 'source');
    await pipeline(copyable(bytes), createWriteStream(copy));
    yield* read(copy);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
