import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../infra/toolchain.js';

const dist = join(packageRoot(), 'dist');
const build = () => execFileSync(process.execPath, [join(dist, 'infra/build.js')]);

test('a compiled file whose source is gone is swept, with its map', () => {
  const folder = join(dist, 'test/infra/gone');
  mkdirSync(folder, { recursive: true });
  for (const name of ['module.js', 'module.js.map']) writeFileSync(join(folder, name), '');
  try {
    build();
    expect([existsSync(join(folder, 'module.js')), existsSync(join(folder, 'module.js.map'))]).toEqual([false, false]);
    expect(existsSync(join(dist, 'infra/toolchain.js'))).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the workflow bundle is there with its digest, holds no zod, and is not made again when nothing changed', () => {
  build();
  const path = join(dist, 'workflows/bundle.js');
  const code = readFileSync(path, 'utf8');
  const digest = createHash('sha256').update(code).digest('hex');
  expect(readFileSync(join(dist, 'workflows/bundle.sha256'), 'utf8').trim()).toBe(digest);
  expect(code).toContain('alignDatabase');
  expect(code).not.toContain('ZodError');
  const made = statSync(path).mtimeMs;
  build();
  expect(statSync(path).mtimeMs).toBe(made);
});
