#!/usr/bin/env node
// `npm test`: sets up whatever a fresh clone lacks, runs vitest with the arguments given (`npm test -- test/latent`) and
// closes with the line `N passed, N failed`, counting tests. Under CI=true a skipped test counts as failed.
import process from 'node:process';
import { root, say, setUp } from './setup.mjs';

await setUp(['Temporal', 'Versitygw', 'ReferencePython']);
process.chdir(root);
process.env.NODE_ENV ??= 'test';

const { runVitest } = await import('./tally.mjs');
const { passed, failed, skipped } = await runVitest(process.argv.slice(2));
const strict = process.env.CI === 'true';
if (skipped > 0) say(`${skipped} skipped${strict ? ', which counts as failed under CI=true' : ''}`);
const bad = failed + (strict ? skipped : 0);
console.log(`${passed} passed, ${bad} failed`);
process.exitCode = bad > 0 ? 1 : 0;
