import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { holdDevServer, isDevServerHeld } from '../../infra/devServer.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** State folder of the run's Temporal server, which the first test that asks starts. */
    temporalStateDir: string;
  }
}

const PREFIX = 'koine-test-temporal-';

/**
 * Gives the whole run one state folder for one Temporal server. The hold keeps the server alive from the test file that
 * starts it to the end of the run; runs without such a file start none.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await sweep();
  const stateDir = mkdtempSync(join(tmpdir(), PREFIX));
  const release = await holdDevServer(stateDir);
  project.provide('temporalStateDir', stateDir);
  return async () => {
    await release();
    rmSync(stateDir, { recursive: true, force: true });
  };
}

/** Ends servers and deletes folders of runs that were killed. */
async function sweep(): Promise<void> {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(PREFIX))) {
    const stateDir = join(tmpdir(), name);
    // A run that starts at this moment has made its folder and not taken its hold yet.
    const young = Date.now() - statSync(stateDir).mtimeMs < 60_000;
    if (young || (await isDevServerHeld(stateDir))) continue;
    await (
      await holdDevServer(stateDir)
    )(); // the last to let go stops the server
    rmSync(stateDir, { recursive: true, force: true });
  }
}
