import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe } from 'vitest';

const repository = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const folder = resolve(process.env.KOINE_SHARED ?? join(repository, '../shared'));

/** Whether the folder of real structures and potentials is there. */
export const hasShared = existsSync(folder);

/**
 * Path inside the folder of real structures and potentials: `KOINE_SHARED`, else `shared` beside the repository.
 * @param path e.g. `models/dev.extxyz`
 * @throws Error when it is not there
 */
export function sharedPath(path: string): string {
  const full = join(folder, path);
  if (!existsSync(full))
    throw new Error(`${full} is missing; set KOINE_SHARED to the folder that holds data/ and models/`);
  return full;
}

/**
 * `describe` for tests on real data. Without the folder they are skipped with a plain message, but under `CI=true` they run
 * and fail: a check that silently did not happen would look like one that passed.
 */
export function describeShared(title: string, body: () => void): void {
  if (hasShared || process.env.CI === 'true') describe(title, body);
  else describe.skip(`${title} (skipped: ${folder} is missing, set KOINE_SHARED)`, body);
}
