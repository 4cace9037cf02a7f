import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/**
 * Folder of what can be made again: tools, the tests' reference Python, models fetched from a store.
 * `KOINE_CACHE_DIR`, else `$XDG_CACHE_HOME/koine`, else `~/.cache/koine`.
 */
export function cacheFolder(environment: Readonly<Record<string, string | undefined>> = process.env): string {
  const { KOINE_CACHE_DIR, XDG_CACHE_HOME } = environment;
  return resolve(KOINE_CACHE_DIR || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'koine'));
}
