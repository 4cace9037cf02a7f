import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { diagnose, type DiagnosisContext } from '../../infra/doctor.js';

const folder = () => mkdtempSync(join(tmpdir(), 'koine-doctor-'));

async function diagnosis(
  context: Partial<DiagnosisContext>,
): Promise<Record<string, { ok: string; detail: string; mend: string }>> {
  const checks = await diagnose({ cacheDir: folder(), stateDir: folder(), ...context });
  return Object.fromEntries(checks.map(({ name, ...rest }) => [name, rest]));
}

test('a machine that runs these tests has node, packages, build and the CPU provider', async () => {
  const checks = await diagnosis({});
  for (const name of ['node', 'packages', 'workflow bundle', 'provider cpu', 'cache folder', 'state folder']) {
    expect(checks[name], name).toMatchObject({ ok: expect.not.stringMatching('missing') as string });
  }
  expect(checks.node.detail).toBe(process.version);
  expect(checks['Temporal server'].detail).toMatch(/embedded, never started/);
});

test('every check that is not ok says what to do', async () => {
  const file = join(folder(), 'file');
  writeFileSync(file, '');
  const checks = await diagnosis({
    cacheDir: join(file, 'cache'),
    temporalAddress: '127.0.0.1:9',
    probes: { 'object store': () => Promise.reject(new Error('s3://none: NoSuchBucket')) },
  });
  expect(checks['cache folder']).toMatchObject({
    ok: 'missing',
    mend: expect.stringContaining('KOINE_CACHE_DIR') as string,
  });
  expect(checks['Temporal server']).toMatchObject({
    ok: 'missing',
    detail: expect.stringContaining('127.0.0.1:9') as string,
  });
  expect(checks['object store']).toMatchObject({ ok: 'missing', detail: 's3://none: NoSuchBucket' });
  for (const [name, { ok, mend }] of Object.entries(checks)) if (ok !== 'ok') expect(mend, name).not.toBe('');
});
