import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Context } from '../../cli/context.js';
import { planAddition } from '../../cli/commands/modelsAdd.js';
import { runCommandLine } from '../../cli/program.js';
import { readSettings } from '../../config/settings.js';
import { tinyCard, tinyNetwork, writeModel } from '../models/tinyNetwork.js';
import { recordedConsole } from './support.js';

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'koine-models-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function koine(argv: string[], environment: NodeJS.ProcessEnv = {}) {
  const console = recordedConsole();
  const own = { KOINE_MODELS: join(folder, 'own'), KOINE_CACHE_DIR: join(folder, 'cache'), KOINE_THREADS: '1' };
  const context: Context = { console, settings: () => readSettings({ ...own, ...environment }) };
  const exitCode = await runCommandLine(['models', ...argv], context);
  return { exitCode, stdout: console.answered, stderr: console.said };
}

describe('koine models list', () => {
  test('shows catalog and stores together, in lines that fit a terminal', async () => {
    const store = join(folder, 'store');
    const network = tinyNetwork();
    await writeModel(store, network, tinyCard(network, { id: 'chgnet-0.3.0', family: 'CHGNet' }));
    await writeModel(store, network, tinyCard(network, { id: 'wrong', opset: 3 }));
    const { exitCode, stdout, stderr } = await koine(['list', '--store', store]);
    expect(exitCode).toBe(0);
    const lines = stdout.split('\n');
    const line = (id: string) => lines.find((text) => text.startsWith(`${id} `));
    expect(line('chgnet-0.3.0')).toMatch(/CHGNet +in store +yes +made for this/);
    expect(line('mace-mp-0-small')).toMatch(/\* +mace +available +yes +MIT/);
    expect(line('mace-omat-0-medium')).toMatch(/available +no +Academic/);
    expect(line('wrong')).toContain('refused');
    expect(stderr).toMatch(/refused: .*opset is 3/);
    const table = lines.slice(
      0,
      lines.findIndex((text) => text.startsWith('*')),
    );
    expect(Math.max(...table.map((text) => text.length))).toBeLessThanOrEqual(80);
    expect(lines.filter((text) => text.includes(' * ')).length).toBe(7);
  });

  test('--json gives one array with every column', async () => {
    const { stdout } = await koine(['list', '--store', join(folder, 'store'), '--json']);
    const listed = JSON.parse(stdout) as Record<string, unknown>[];
    expect(listed.find(({ id }) => id === 'chgnet-0.3.0')).toMatchObject({
      status: 'in store',
      location: join(folder, 'store'),
      commercial_use: true,
      dim: 4,
      lineage: 'chgnet-0.3.0',
    });
    expect(listed.find(({ id }) => id === 'orb-v3-direct-inf-omat')).toMatchObject({
      status: 'available',
      paper: true,
      licence: 'Apache-2.0',
      elements: 118,
      location: null,
    });
  });
});

describe('koine models add refuses', () => {
  test.each<[string, string[], RegExp]>([
    ['an unknown id, with the nearest', ['chgnet-0.3'], /no 'chgnet-0\.3' in the catalog; nearest are chgnet-0\.\d\.0/],
    [
      'a family without checkpoint',
      ['mace'],
      /'mace' is a family: give --checkpoint FILE, or one of its ids: mace-mp-0-small/,
    ],
    [
      'a checkpoint that is not there',
      ['mace', '--checkpoint', '/nowhere/a.model'],
      /--checkpoint \/nowhere\/a\.model: there is no such file/,
    ],
    [
      'a licence that was not accepted',
      ['mace-omat-0-medium'],
      /Academic Software License \(ASL\), which forbids commercial use: .*--accept-licence/s,
    ],
    ['a setting without a value', ['mace-mp-0-small', '--set', 'energy'], /It must be KEY=VALUE/],
  ])('%s', async (_, argv, message) => {
    const { exitCode, stderr, stdout } = await koine(['add', ...argv]);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(message);
    expect(stdout).toBe('');
  });

  test('an environment that cannot be made, saying what was tried and the mend', async () => {
    const { exitCode, stderr } = await koine(['add', 'chgnet-0.3.0'], { KOINE_MODELS: join(folder, 'fresh') });
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(
      /^koine: the Python environment 'chgnet' could not be made.*: KOINE_EXPORT_PYTHON_CHGNET is '\/nowhere\/python'/,
    );
    expect(stderr).toMatch(/Mend: Python 3\.11 with venv must be on PATH/);
    expect(stderr).not.toContain('    at ');
  });
  beforeAll(() => void (process.env['KOINE_EXPORT_PYTHON_CHGNET'] = '/nowhere/python'));
  afterAll(() => void delete process.env['KOINE_EXPORT_PYTHON_CHGNET']);
});

describe('what koine models add is about to do', () => {
  test('a catalog id brings its settings, and its facts go to the card', () => {
    expect(planAddition('sevennet-mf-0-r2scan', { layer: '3', set: { precise: 'yes' } })).toMatchObject({
      id: 'sevennet-mf-0-r2scan',
      family: 'sevennet',
      weights: { official: '7net-mf-0' },
      layer: '3',
      settings: { modality: 'R2SCAN', precise: 'yes' },
      facts: { lineage: 'sevennet-mf-0', functional: 'r2SCAN' },
    });
  });

  test('a checkpoint of a family is named after it and shares the lineage of what it was tuned from', () => {
    const checkpoint = join(folder, 'Fine tuned (2).pth');
    writeFileSync(checkpoint, '');
    expect(planAddition('sevennet', { checkpoint, lineage: 'sevennet-0-11jul2024', licence: 'MIT' })).toMatchObject({
      id: 'sevennet-fine-tuned-2-',
      weights: { checkpoint },
      facts: { licence: 'MIT', lineage: 'sevennet-0-11jul2024' },
    });
    expect(planAddition('mace-mp-0-small', { checkpoint })).toMatchObject({
      id: 'mace-mp-0-small',
      weights: { checkpoint },
      facts: { licence: 'MIT' },
    });
  });

  test('an accepted licence lets it pass', () => {
    expect(planAddition('mace-omat-0-medium', { acceptLicence: true }).weights).toEqual({ official: 'medium-omat-0' });
  });
});

test('koine models control adds a control, once', async () => {
  const { exitCode, stdout } = await koine(['control', 'random-element', '--seed', '3', '--dim', '8']);
  expect(exitCode).toBe(0);
  expect(stdout).toContain(`control-random-element-3 is in ${join(folder, 'own/control-random-element-3')}`);
  const again = await koine(['control', 'random-element', '--seed', '3']);
  expect(again.exitCode).toBe(2);
  expect(again.stderr).toMatch(/is there already; add --replace/);
  const { stdout: listed } = await koine(['list', '--json']);
  expect((JSON.parse(listed) as { id: string }[])[0]).toMatchObject({
    id: 'control-random-element-3',
    status: 'in store',
    control: 'random-element',
    dim: 8,
  });
  const verified = await koine(['verify', 'control-random-element-3']);
  expect(verified.stdout).toMatch(/all \d+ checks hold/);
  expect(verified.stdout).toMatch(/structures of koine's own parity set/);
});
