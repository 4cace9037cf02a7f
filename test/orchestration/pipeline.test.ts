import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { referencePython } from '../support/python.js';
import { describeShared, sharedPath } from '../support/shared.js';
import { parts, stamps, Workplace, type Ended } from './koine.js';
import type { RunSummary } from '../../activities/run/documents.js';

const execute = promisify(execFile);
const families = ['chgnet-0.3.0', 'sevennet-0-11jul2024', 'tensornet-matpes-pbe', 'nequix-mp-1'];

describeShared('an alignment of real potentials over the 60 reference structures', () => {
  const place = new Workplace();
  const output = place.path('out');
  const spec = (models: readonly string[]) =>
    place.spec('dev', {
      source: [{ path: sharedPath('models/dev.extxyz') }],
      models,
      output,
      basis: { anchors: 50, reference_model: 'chgnet-0.3.0' },
      similarity: { sample: 300, draws: 2 },
      transport: { sample: 200, draws: 2 },
      diagnostics: {},
      shards: { structures: 16 },
      limits: { quarantine_fraction: 0.2 },
    });
  let first: Ended & { summary: RunSummary };
  let foreseen: { total: number; cached: number };

  beforeAll(async () => {
    first = await place.run(spec(families.slice(0, 3)));
  });
  afterAll(() => place.close());

  test('ends with exit code 0, accounts for every structure and prints one JSON object on stdout', () => {
    expect(first.stderr).not.toMatch(/Error:/);
    expect(first.code).toBe(0);
    expect(first.stdout.trim().split('\n')).toHaveLength(1);
    const { summary } = first;
    expect(summary.structures + summary.quarantined).toBe(60);
    expect(summary.pairs).toEqual({ computed: 3, reused: 0 });
    for (const { structures, quarantined, shards } of summary.models) {
      expect(structures + quarantined).toBe(summary.structures);
      expect(shards.computed).toBe(shards.total);
    }
  });

  test('a second run infers nothing, rewrites no object and ends at the same manifest', async () => {
    const before = stamps(output);
    const { code, summary } = await place.run(spec(families.slice(0, 3)));
    expect(code).toBe(0);
    expect(summary.manifest).toBe(first.summary.manifest);
    expect(summary.pairs).toEqual({ computed: 0, reused: 3 });
    for (const { shards, inference_seconds } of summary.models) {
      expect(shards.reused).toBe(shards.total);
      expect(inference_seconds).toBe(0);
    }
    expect(stamps(output)).toEqual(before);
  });

  test('a plan says what a fourth model would cost and changes nothing', async () => {
    const before = stamps(output);
    const { code, stdout } = await place.start(['plan', spec(families), '--json']).ended;
    expect(code).toBe(0);
    const plan = JSON.parse(stdout) as {
      models: { id: string; embed: { total: number; cached: number } }[];
      pairs: object;
      diagnostics: { total: number; cached: number };
    };
    foreseen = plan.diagnostics;
    for (const { id, embed } of plan.models) expect(embed.cached).toBe(id === 'nequix-mp-1' ? 0 : embed.total);
    expect(plan.pairs).toEqual({ total: 6, cached: 3 });
    expect(stamps(output)).toEqual(before);
  });

  test('a fourth model costs its own shards and its own pairs, nothing else', async () => {
    const before = new Map([
      ...parts(output, 'embeddings'),
      ...parts(output, 'coordinates'),
      ...parts(output, 'transport'),
    ]);
    const { code, summary } = await place.run(spec(families));
    expect(code).toBe(0);
    for (const { id, shards } of summary.models) expect(shards.computed).toBe(id === 'nequix-mp-1' ? shards.total : 0);
    expect(summary.pairs).toEqual({ computed: 3, reused: 3 });
    expect(summary.diagnostics).toEqual({
      computed: foreseen.total - foreseen.cached,
      reused: foreseen.cached,
    });
    expect(foreseen.cached).toBeGreaterThan(0);
    expect(summary.basis).toBe(first.summary.basis);
    const after = new Map([
      ...parts(output, 'embeddings'),
      ...parts(output, 'coordinates'),
      ...parts(output, 'transport'),
    ]);
    for (const [name, sha256] of before) expect(after.get(name)).toBe(sha256);
    for (const name of after.keys()) if (!before.has(name)) expect(name).toContain('nequix-mp-1');
  });

  test('the independent audit holds every check on the four families', async () => {
    const { stdout } = await execute(referencePython(), [
      sharedPath('audit/audit.py'),
      output,
      '--references',
      sharedPath('models'),
    ]);
    const last = stdout.trim().split('\n').at(-1)!;
    const [, held, all] = /^(\d+) of (\d+) checks hold$/.exec(last)!;
    expect(held).toBe(all);
    expect(Number(all)).toBeGreaterThan(50);
  });

  test('koine verify finds the dataset sound, and not once a byte has changed', async () => {
    expect((await place.start(['verify', output]).ended).code).toBe(0);
    const copy = place.path('damaged');
    await execute('cp', ['-r', output, copy]);
    const [part] = [...parts(copy, 'coordinates').keys()];
    await execute('sh', ['-c', `printf X | dd of="${join(copy, part)}" bs=1 seek=1000 conv=notrunc`]);
    const damaged = await place.start(['verify', copy]).ended;
    expect(damaged.code).toBe(1);
    expect(damaged.stdout + damaged.stderr).toContain(part);
  });

  test('a model whose file changed is refused with both identities, and replaced when told so', async () => {
    const store = place.path('store');
    await execute('sh', [
      '-c',
      `mkdir -p ${store} && cp -r ${dirname(sharedPath('models/mace-random-tiny/card.json'))} ${store}/chgnet-0.3.0 && chmod -R u+w ${store} && sed -i 's/"id": "mace-random-tiny"/"id": "chgnet-0.3.0"/' ${store}/chgnet-0.3.0/card.json`,
    ]);
    const other = place.spec('other', {
      source: [{ path: sharedPath('models/dev.extxyz') }],
      models: ['chgnet-0.3.0'],
      model_store: [store],
      output,
      shards: { structures: 16 },
      basis: { anchors: 10 },
    });
    const refused = await place.run(other);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/chgnet-0\.3\.0.*onnx_sha256 is .* there and .* here.*--replace/s);
    const replaced = await place.start(['run', other, '--json', '--replace']).ended;
    expect(replaced.stderr).not.toMatch(/Error:/);
    expect(replaced.code).toBe(0);
    expect((await place.start(['verify', output]).ended).code).toBe(0);
  });
});
