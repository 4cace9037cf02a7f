import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../../infra/cacheFolder.js';

/**
 * Path of the Python that tests compare with (numpy, scipy, POT, pyarrow, ...: `test/python/requirements.lock`).
 * @throws Error when it is missing; `npm test` makes it
 */
export function referencePython(): string {
  const path = process.env.KOINE_REFERENCE_PYTHON || join(cacheFolder(), 'python/reference/bin/python');
  if (!existsSync(path)) throw new Error(`${path} is missing; \`npm test\` makes it, or set KOINE_REFERENCE_PYTHON`);
  return path;
}
