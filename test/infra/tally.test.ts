import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packageRoot } from '../../infra/toolchain.js';

// Inside the repository, so that the files find vitest; under dist/, which no other run looks into.
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(packageRoot(), 'dist/tally-'));
  writeFileSync(join(folder, 'vitest.config.mjs'), `export default { test: { include: ['**/*.check.mjs'] } };`);
  const files = {
    mixed: `import { test, expect } from 'vitest';
      test('good', () => {}); test('bad', () => expect(1).toBe(2)); test.skip('left out', () => {}); test.todo('later');`,
    broken: `import { test } from 'vitest'; import './missing.mjs'; test('never reached', () => {});`,
    hook: `import { test, beforeAll } from 'vitest'; beforeAll(() => { throw new Error('no'); }); test('waits', () => {});`,
    stray: `import { test } from 'vitest';
      test('passes, but leaves an error behind', async () => {
        setTimeout(() => { throw new Error('stray'); }, 0);
        await new Promise((resolve) => setTimeout(resolve, 50));
      });`,
    good: `import { test } from 'vitest'; test('one', () => {}); test('two', () => {});`,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, `${name}.check.mjs`), text);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The tally of a run in a process of its own, which prints it after all that vitest prints. */
function tally(...filters: string[]): unknown {
  const script = `import { runVitest } from ${JSON.stringify(join(packageRoot(), 'infra/tally.mjs'))};
    const result = await runVitest(process.argv.slice(1));
    console.log(JSON.stringify(result));`;
  const args = ['--input-type=module', '--eval', script, '--', '--root', folder, ...filters];
  const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('VITEST')));
  const output = execFileSync(process.execPath, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    env: environment,
  });
  return JSON.parse(output.trim().split('\n').at(-1)!);
}

test.each([
  ['good', { passed: 2, failed: 0, skipped: 0 }],
  ['mixed', { passed: 1, failed: 1, skipped: 2 }],
  ['broken', { passed: 0, failed: 1, skipped: 0 }],
  ['hook', { passed: 0, failed: 1, skipped: 1 }],
  ['stray', { passed: 1, failed: 1, skipped: 0 }],
  ['no-such-file', { passed: 0, failed: 1, skipped: 0 }],
])('%s is counted as it is', (name, expected) => {
  expect(tally(name)).toEqual(expected);
});
