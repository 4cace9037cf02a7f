import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ensureTemporal, ensureVersitygw, packageRoot, toolStatus } from '../../infra/toolchain.js';

let folder: string;
let bin: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'koine-toolchain-'));
  bin = join(folder, 'bin');
  mkdirSync(bin);
  vi.stubEnv('KOINE_CACHE_DIR', join(folder, 'cache'));
  // Nothing of the machine's own tools; `env`, `sh` and `node` for the scripts below.
  vi.stubEnv('PATH', [bin, dirname(process.execPath), '/usr/bin', '/bin'].join(delimiter));
  // The SDK's download must fail the same way everywhere.
  vi.stubEnv('HTTPS_PROXY', 'http://127.0.0.1:9');
  for (const name of ['TEMPORAL', 'VERSITYGW']) vi.stubEnv(`KOINE_${name}_BIN`, undefined);
});
afterEach(() => vi.unstubAllEnvs());

function script(name: string, text: string): string {
  const path = join(bin, name);
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** A `go` that takes a moment, counts its calls and leaves a binary named after the package. */
const go = (body = '') =>
  script(
    'go',
    `echo "$@" >> ${folder}/calls; sleep 0.3; ${body}\nmkdir -p "$GOBIN"; n=$(basename "\${2%@*}"); : > "$GOBIN/$n"; chmod +x "$GOBIN/$n"`,
  );
const calls = () => readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n');
const quiet = () => undefined;

test('temporal on PATH is used when its server is recent enough', async () => {
  const path = script('temporal', 'echo "temporal version 1.7.0 (Server 1.31.2, UI 2.50.0)"');
  expect(await ensureTemporal(quiet)).toBe(path);
});

test('a binary built by go install, which knows no version of its own, is judged by its server', async () => {
  const path = script('temporal', 'echo "temporal version 0.0.0-DEV (Server 1.29.1, UI 2.42.1)"');
  expect(await ensureTemporal(quiet)).toBe(path);
});

test('an old temporal on PATH is passed over, and a failure lists all that was tried and the mend', async () => {
  script('temporal', 'echo "temporal version 1.3.0 (Server 1.27.9, UI 2.1.0)"');
  script('go', 'echo "go: no route to the module proxy" >&2; exit 1');
  const error = (await ensureTemporal(quiet).catch((reason: unknown) => reason)) as Error;
  expect(error.message).toMatch(/PATH: .*server 1\.27\.9; koine needs 1\.29\.1 or newer/);
  expect(error.message).toMatch(/the SDK's download: /);
  expect(error.message).toMatch(/go install: .*no route to the module proxy/s);
  expect(error.message).toMatch(/KOINE_TEMPORAL_BIN/);
  const tools = join(folder, 'cache/tools/temporal-1.5.1');
  expect(readdirSync(tools).filter((name) => name !== 'temporal.lock')).toEqual([]);
});

test('without go the failure says that go is missing', async () => {
  await expect(ensureVersitygw(quiet)).rejects.toThrow(/there is no go on PATH[^]*KOINE_VERSITYGW_BIN/);
});

test('KOINE_TEMPORAL_BIN comes first, and is refused by name when it will not do', async () => {
  script('temporal', 'echo "temporal version 1.7.0 (Server 1.31.2, UI 2.50.0)"');
  const own = script('mine', 'echo "temporal version 1.6.0 (Server 1.30.0, UI 2.50.0)"');
  vi.stubEnv('KOINE_TEMPORAL_BIN', own);
  expect(await ensureTemporal(quiet)).toBe(own);
  vi.stubEnv('KOINE_TEMPORAL_BIN', join(folder, 'nothing'));
  await expect(ensureTemporal(quiet)).rejects.toThrow(/KOINE_TEMPORAL_BIN is '.*nothing', which is no executable file/);
  vi.stubEnv('KOINE_TEMPORAL_BIN', script('old', 'echo "temporal version 1.0.0 (Server 1.24.0, UI 2)"'));
  await expect(ensureTemporal(quiet)).rejects.toThrow(/KOINE_TEMPORAL_BIN: .*server 1\.24\.0/);
});

test('callers at the same time, in this process and another, build a tool once and get the same path', async () => {
  go();
  const other = `import { ensureVersitygw } from ${JSON.stringify(join(packageRoot(), 'dist/infra/toolchain.js'))};
    console.log(await ensureVersitygw(() => {}));`;
  const child = new Promise<string>((resolve) => {
    resolve(execFileSync(process.execPath, ['--input-type=module', '--eval', other], { encoding: 'utf8' }).trim());
  });
  const paths = await Promise.all([child, ensureVersitygw(quiet), ensureVersitygw(quiet)]);
  expect(new Set(paths)).toEqual(new Set([join(folder, 'cache/tools/versitygw-1.8.0/versitygw')]));
  expect(calls()).toEqual(['install github.com/versity/versitygw/cmd/versitygw@v1.8.0']);
});

test('a build that fails half way leaves nothing behind, and the next one succeeds', async () => {
  go('mkdir -p "$GOBIN"; : > "$GOBIN/half"; exit 3');
  await expect(ensureVersitygw(quiet)).rejects.toThrow(/exited with 3/);
  go();
  const path = await ensureVersitygw(quiet);
  expect(existsSync(path)).toBe(true);
  expect(readdirSync(dirname(path)).sort()).toEqual(['versitygw', 'versitygw.lock']);
});

test('toolStatus tells what is there and what is missing, and makes nothing', async () => {
  const status = await toolStatus();
  expect(status.map(({ name, source }) => [name, source])).toEqual([
    ['temporal', 'missing'],
    ['versitygw', 'missing'],
    ['reference python', 'missing'],
  ]);
  for (const { mend } of status) expect(mend).toMatch(/PATH, or set KOINE_/);
  expect(existsSync(join(folder, 'cache'))).toBe(false);
});
