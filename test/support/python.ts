import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * Path of the Python that tests compare with (numpy, scipy, POT, pyarrow, ...: `test/python/requirements.lock`).
 * @throws Error when it is missing; `npm test` makes it
 */
export function referencePython(): string {
  const { KOINE_REFERENCE_PYTHON, KOINE_CACHE_DIR, XDG_CACHE_HOME } = process.env;
  const cache = KOINE_CACHE_DIR ?? join(XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'koine');
  const path = KOINE_REFERENCE_PYTHON ?? join(cache, 'python/reference/bin/python');
  if (!existsSync(path)) throw new Error(`${path} is missing; \`npm test\` makes it, or set KOINE_REFERENCE_PYTHON`);
  return path;
}
