import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Folder of what can be made again: tools, the reference Python, models fetched from a store.
 * `KOINE_CACHE_DIR`, else `$XDG_CACHE_HOME/koine`, else `~/.cache/koine`.
 */
export function cacheFolder(environment: Environment = process.env): string {
  return folder(environment.KOINE_CACHE_DIR, environment.XDG_CACHE_HOME, '.cache');
}

/**
 * Folder of what must last between runs: the embedded server's database, ports and log.
 * `KOINE_STATE_DIR`, else `$XDG_STATE_HOME/koine`, else `~/.local/state/koine`.
 */
export function stateFolder(environment: Environment = process.env): string {
  return folder(environment.KOINE_STATE_DIR, environment.XDG_STATE_HOME, '.local/state');
}

function folder(own: string | undefined, xdg: string | undefined, fallback: string): string {
  const path = own ? resolve(own) : join(xdg ? resolve(xdg) : join(homedir(), fallback), 'koine');
  mkdirSync(path, { recursive: true });
  return path;
}
