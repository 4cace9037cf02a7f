import { randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, processIdentity, type ProcessIdentity } from './processIdentity.js';

/** Options of {@link withFileLock}. */
export interface FileLockOptions {
  /** Called once, with the pid of the holder, when the lock is taken. */
  onWait?: (pid: number) => void;
}

/**
 * Runs `work` while no other process (or other call in this one) runs work under the same folder. A holder that was killed
 * is noticed and replaced.
 *
 * The folder holds generations, files named 1, 2, 3, …; only the highest counts. It is held while it names a living process
 * and free when it is empty or its process is gone. Taking the lock is creating the next number with `link`, which is atomic
 * with its content and fails if the number exists; letting go empties the file. The highest number is never deleted, so two
 * processes that both see a dead holder can't both replace it, which "unlink the stale lock, then create" allows.
 */
export async function withFileLock<T>(
  folder: string,
  work: () => T | Promise<T>,
  options: FileLockOptions = {},
): Promise<T> {
  let waited = false;
  let mine: string | ProcessIdentity | null;
  while (typeof (mine = tryAcquire(folder)) !== 'string') {
    if (mine && !waited) {
      options.onWait?.(mine.pid);
      waited = true;
    }
    await sleep(20 + 60 * Math.random());
  }
  try {
    return await work();
  } finally {
    truncateSync(mine);
  }
}

/** Path of the generation taken; or who holds the lock; or null when another was quicker and it is worth trying again. */
function tryAcquire(folder: string): string | ProcessIdentity | null {
  mkdirSync(folder, { recursive: true }); // a user that left may have taken the folder away
  const current = newest(folder);
  const holder = holderOf(join(folder, String(current)));
  if (holder) return holder;
  const path = join(folder, String(current + 1));
  const draft = join(folder, `draft-${randomUUID()}`);
  writeFileSync(draft, JSON.stringify(processIdentity()));
  try {
    linkSync(draft, path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EEXIST' || code === 'ENOENT') return null; // another took this number, or swept the draft
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  // A slow process may create a number that faster ones have been through and deleted: only the highest counts.
  if (newest(folder) !== current + 1) {
    rmSync(path, { force: true });
    return null;
  }
  for (const name of readdirSync(folder)) {
    if (name !== String(current + 1)) rmSync(join(folder, name), { force: true });
  }
  return path;
}

function newest(folder: string): number {
  return Math.max(
    0,
    ...readdirSync(folder)
      .filter((name) => /^\d+$/.test(name))
      .map(Number),
  );
}

function holderOf(path: string): ProcessIdentity | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null; // never held, or replaced just now
    throw error;
  }
  if (text === '') return null;
  const holder = JSON.parse(text) as ProcessIdentity;
  return isAlive(holder) ? holder : null;
}
