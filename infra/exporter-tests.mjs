#!/usr/bin/env node
// `node infra/exporter-tests.mjs`: pytest over models/export/tests, each family in the Python environment of its official
// package. Environments are made on first use (gigabytes, minutes) and kept in the cache; `--made` leaves out those that are
// not made yet and says so, `--only torch,chgnet` takes some. Closes with the line `N passed, N failed`, counting tests; a
// skipped test counts as failed, since in its own environment nothing may be missing.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { addForReal } from './exporter-add.mjs';
import { root, say, setUp } from './setup.mjs';

const { values } = parseArgs({ options: { made: { type: 'boolean', default: false }, only: { type: 'string' } } });
await setUp([]);
const { ensureExporterPython, hasExporterPython } = await import('../dist/infra/exporterPython.js');
const { ENVIRONMENT_OF } = await import('../dist/models/catalog.js');

const folder = join(root, 'models/export');
/** environment -> test files */
const suites = new Map([['torch', ['test_harness.py']]]);
for (const [family, environment] of Object.entries(ENVIRONMENT_OF)) {
  const file = `test_${family}.py`;
  if (existsSync(join(folder, 'tests', file))) suites.set(environment, [...(suites.get(environment) ?? []), file]);
}
const wanted = values.only?.split(',') ?? [...suites.keys()];
for (const name of wanted)
  if (!suites.has(name))
    throw new Error(`there is no environment '${name}' with tests; there are ${[...suites.keys()].join(', ')}`);

let passed = 0;
let failed = 0;
for (const name of wanted) {
  if (values.made && !hasExporterPython(name)) {
    say(`exporters: environment '${name}' is not made; its tests are left out`);
    continue;
  }
  const tally = await runSuite(name, suites.get(name));
  say(`exporters: environment '${name}': ${tally.passed} passed, ${tally.failed} failed`);
  passed += tally.passed;
  failed += tally.failed;
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

/** Runs test files in one environment and counts tests by pytest's own report. */
async function runSuite(name, files) {
  let python;
  try {
    python = await ensureExporterPython(name, say);
  } catch (error) {
    say(error.message);
    return { passed: 0, failed: 1 };
  }
  const scratch = mkdtempSync(join(tmpdir(), 'koine-exporters-'));
  try {
    const report = join(scratch, 'report.xml');
    const args = [
      '-m',
      'pytest',
      '-q',
      '--durations=3',
      '-p',
      'no:cacheprovider',
      `--junitxml=${report}`,
      ...files.map((file) => join('tests', file)),
    ];
    const env = { ...process.env, PYTHONPATH: folder, PYTHONDONTWRITEBYTECODE: '1', OMP_NUM_THREADS: '1' };
    const { status } = spawnSync(python, args, { cwd: folder, env, stdio: ['ignore', 2, 2] });
    const suite = existsSync(report) ? /<testsuite\b[^>]*>/.exec(readFileSync(report, 'utf8'))?.[0] : undefined;
    const count = (kind) => Number(new RegExp(`\\b${kind}="(\\d+)"`).exec(suite ?? '')?.[1] ?? 0);
    const bad = count('failures') + count('errors') + count('skipped');
    const good = count('tests') - bad;
    const added = addForReal(name, python);
    return {
      passed: good + added.passed,
      failed: (bad === 0 && (status !== 0 || good === 0) ? 1 : bad) + added.failed,
    };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
