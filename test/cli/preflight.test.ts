import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkSpec } from '../../cli/preflight.js';
import { Refusal } from '../../cli/refusal.js';
import { parseRunSpec } from '../../config/runSpec.js';
import { ModelStore } from '../../models/store.js';

describe('checkSpec', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'koine-preflight-'));
    mkdirSync(join(folder, 'crystals'));
    writeFileSync(join(folder, 'crystals/a.cif'), 'data_a');
    mkdirSync(join(folder, 'models/broken-1'), { recursive: true });
    writeFileSync(join(folder, 'models/broken-1/card.json'), '{}');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const check = (change: { source?: string[]; models?: string[]; model_store?: string[] }, local = true) => {
    const model_store = change.model_store ?? [join(folder, 'models')];
    const spec = parseRunSpec(
      {
        name: 'x',
        source: (change.source ?? [join(folder, 'crystals')]).map((path) => ({ path })),
        models: change.models ?? ['broken-1'],
        model_store,
        output: join(folder, 'out'),
      },
      'spec.yaml',
    );
    return checkSpec(spec, new ModelStore(model_store), 'spec.yaml', local);
  };

  test('an unknown model is refused with those there are', async () => {
    await expect(check({ models: ['brokne-1'] })).rejects.toThrow(
      `spec.yaml: models[0]: no model 'brokne-1' in ${join(folder, 'models')}; there are broken-1`,
    );
  });

  test('a model whose card is refused is named with the reason', async () => {
    await expect(check({})).rejects.toThrow(/models\[0\]: .*broken-1\/card\.json/);
  });

  test('a source that is not there is refused by field and path', async () => {
    await expect(check({ source: [join(folder, 'none.cif')] })).rejects.toThrow(
      `source[0].path: ${join(folder, 'none.cif')} cannot be read (ENOENT)`,
    );
  });

  test('a pattern is refused only when nothing matches it', async () => {
    await expect(check({ source: [join(folder, '**/*.xyz')] })).rejects.toThrow('no file matches');
    await expect(check({ source: [join(folder, '**/*.cif')] })).rejects.not.toThrow('source[0]');
  });

  test('all problems come at once', async () => {
    const error = await check({ source: ['/nowhere/a', '/nowhere/b'], models: ['c'] }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(Refusal);
    expect((error as Refusal).exitCode).toBe(2);
    expect((error as Error).message.split('\n')).toHaveLength(4);
  });

  test('a client of a cluster does not look for the folders of its workers', async () => {
    await check({ source: ['/nowhere/a'], models: ['c'], model_store: ['/nowhere/models'] }, false);
  });

  test('but it checks models where it sees the store', async () => {
    await expect(check({ source: ['/nowhere/a'], models: ['c'] }, false)).rejects.toThrow("no model 'c'");
  });
});
