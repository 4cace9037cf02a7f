#!/usr/bin/env node
// `npm test`: sets up whatever a fresh clone lacks, runs vitest with the arguments given (`npm test -- test/latent`) and
// closes with the line `N passed, N failed`, counting tests. Under CI=true a skipped test counts as failed.
import process from 'node:process';
import { root, say, setUp } from './setup.mjs';

await setUp(['Temporal', 'Versitygw', 'ReferencePython']);
process.chdir(root);
process.env.NODE_ENV ??= 'test';

const { parseCLI, startVitest } = await import('vitest/node');
const { filter, options } = parseCLI(['vitest', 'run', ...process.argv.slice(2)]);
const vitest = await startVitest('test', filter, { ...options, run: true, watch: false });

let passed = 0;
let failed = 0;
let skipped = 0;
for (const module of vitest.state.getTestModules()) {
  // A file that can't be loaded holds no tests to fail, and a failing hook fails none.
  const before = failed;
  for (const test of module.children.allTests()) {
    const { state } = test.result();
    if (state === 'passed') passed++;
    else if (state === 'skipped') skipped++;
    else failed++; // failed, or pending: never run to its end
  }
  if (module.state() === 'failed' && failed === before) failed++;
}
failed += vitest.state.getUnhandledErrors().length;
await vitest.close();

if (skipped > 0) {
  say(`${skipped} skipped${process.env.CI === 'true' ? ', which counts as failed under CI=true' : ''}`);
  if (process.env.CI === 'true') failed += skipped;
}
if (passed + failed === 0) {
  say('no test ran');
  failed = 1;
}
if (failed > 0) process.exitCode = 1;
console.log(`${passed} passed, ${failed} failed`);
