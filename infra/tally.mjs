// Counts what a vitest run did, test by test: the closing line of `npm test` must be true whatever went wrong.
import process from 'node:process';

/**
 * Runs vitest with command-line arguments.
 * @param {string[]} args e.g. `['test/latent', '--bail', '1']`
 * @returns {Promise<{ passed: number, failed: number, skipped: number }>} `failed` counts also each file that could not be
 *   loaded or whose hooks failed without failing a test, each error outside of tests, and one when no test ran at all
 */
export async function runVitest(args) {
  const { parseCLI, startVitest } = await import('vitest/node');
  const { filter, options } = parseCLI(['vitest', 'run', ...args]);
  const vitest = await startVitest('test', filter, { ...options, run: true, watch: false });
  const tally = { passed: 0, failed: 0, skipped: 0 };
  for (const module of vitest.state.getTestModules()) {
    let failedHere = 0;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === 'passed') tally.passed++;
      else if (state === 'skipped') tally.skipped++;
      else failedHere++; // failed, or pending: never ran to its end
    }
    if (module.state() === 'failed' && failedHere === 0) failedHere = 1;
    tally.failed += failedHere;
  }
  tally.failed += vitest.state.getUnhandledErrors().length;
  await vitest.close();
  if (tally.passed + tally.failed + tally.skipped === 0) tally.failed = 1;
  process.exitCode = 0; // vitest sets its own; ours follows from the tally
  return tally;
}
