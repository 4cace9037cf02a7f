import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { RunSummary } from '../../cli/outcome.js';
import { describeShared, sharedPath } from '../support/shared.js';
import { temporalAddress, uniqueName } from '../support/temporalServer.js';
import { SEARCH_ATTRIBUTES } from '../../config/names.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

interface Ended {
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

/** Rock-salt crystals with a lattice constant each, as extended XYZ; `broken` puts two atoms on one place. */
function crystal(id: string, a: number, elements: [string, string], broken = false): string {
  const corners = ['0 0 0', '0 .5 .5', '.5 0 .5', '.5 .5 0'].map((text) => text.split(' ').map(Number));
  const rows = corners.flatMap((at) => {
    const shifted = at.map((x) => x + (broken ? 0 : 0.5));
    return [at, shifted].map((xyz, i) => `${elements[i]} ${xyz.map((x) => (x * a).toFixed(6)).join(' ')}`);
  });
  return [
    String(rows.length),
    `Lattice="${a} 0 0 0 ${a} 0 0 0 ${a}" Properties=species:S:1:pos:R:3 pbc="T T T" material_id=${id}`,
    ...rows,
    '',
  ].join('\n');
}

describeShared('koine from end to end, embedded', () => {
  let folder: string;
  const name = uniqueName('cli');

  /** Runs the command; `onLine` sees every line of stderr as it comes. */
  function koine(argv: string[], onLine?: (line: string, interrupt: () => void) => void): Promise<Ended> {
    const child = spawn(process.execPath, [MAIN, ...argv], {
      env: { ...process.env, KOINE_STATE_DIR: inject('temporalStateDir'), KOINE_THREADS: '2', TEMPORAL_ADDRESS: '' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => {
      const before = stderr.split('\n').length - 1;
      stderr += chunk.toString();
      for (const line of stderr.split('\n').slice(before, -1)) onLine?.(line, () => child.kill('SIGINT'));
    });
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (exitCode) => resolve({ exitCode, stdout, stderr }));
    });
  }

  function spec(file: string, options: { source: string; output: string; name?: string; limit?: number }): string {
    const path = join(folder, file);
    const document = {
      name: options.name ?? name,
      source: [{ path: join(folder, options.source) }],
      models: ['chgnet-0.3.0', 'mace-random-tiny-all'],
      model_store: [sharedPath('models')],
      output: join(folder, options.output),
      basis: { anchors: 5, reference_model: 'chgnet-0.3.0' },
      similarity: { sample: 40, draws: 2, neighbours: 5 },
      transport: { sample: 30, draws: 2 },
      shards: { structures: 4 },
      limits: { quarantine_fraction: options.limit ?? 0.05 },
    };
    writeFileSync(path, JSON.stringify(document));
    return path;
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'koine-cli-'));
    await temporalAddress(SEARCH_ATTRIBUTES);
    const pairs: [string, string][] = [['Na', 'Cl'], ['Mg', 'O'], ['K', 'Br'], ['Ca', 'S'], ['Li', 'F'], ['Ti', 'N']]; // prettier-ignore
    const good = pairs.map((elements, i) => crystal(`salt-${i}`, 4.4 + 0.3 * i, elements));
    writeFileSync(join(folder, 'salts.extxyz'), good.join(''));
    const bad = [0, 1].map((i) => crystal(`bad-${i}`, 5, ['Na', 'Cl'], true));
    writeFileSync(join(folder, 'broken.extxyz'), [...good.slice(0, 3), ...bad].join(''));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  describe('one dataset', () => {
    let first: RunSummary;

    test('run --json leaves one JSON summary on stdout and everything human on stderr', async () => {
      const path = spec('salts.json', { source: 'salts.extxyz', output: 'out' });
      const { exitCode, stdout, stderr } = await koine(['run', path, '--json']);
      expect(stderr).toMatch(/^run cli-/m);
      expect(stderr).toMatch(/^workflow align\/.*http:\/\/127\.0\.0\.1:/m);
      expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
      expect(stdout.trim().split('\n')).toHaveLength(1);
      first = JSON.parse(stdout) as RunSummary;
      expect(first).toMatchObject({
        status: 'done',
        structures: 6,
        quarantined: 0,
        output: join(folder, 'out'),
        pairs: { computed: 1, reused: 0 },
      });
      expect(first.models.map(({ id, structures, atoms }) => [id, structures, atoms])).toEqual([
        ['chgnet-0.3.0', 6, 48],
        ['mace-random-tiny-all', 6, 48],
      ]);
      expect(existsSync(join(folder, 'out/manifests', `${first.manifest}.json`))).toBe(true);
      expect(stderr).toContain('pl.read_parquet(');
      expect(stderr).not.toContain('{"run_id"');
    });

    test('plan finds everything there and changes nothing', async () => {
      const before = contents(join(folder, 'out'));
      const { exitCode, stdout } = await koine(['plan', join(folder, 'salts.json'), '--json']);
      expect(exitCode).toBe(0);
      const plan = JSON.parse(stdout) as {
        snapshot: string;
        models: { embed: Cached; project: Cached }[];
        pairs: Cached;
      };
      interface Cached {
        total: number;
        cached: number;
      }
      expect(plan.snapshot).toBe(first.snapshot);
      for (const { total, cached } of [plan.pairs, ...plan.models.flatMap(({ embed, project }) => [embed, project])])
        expect(cached).toBe(total);
      expect(contents(join(folder, 'out'))).toEqual(before);
    });

    test('the same run again reuses everything and gives the same manifest', async () => {
      const { exitCode, stdout } = await koine(['run', join(folder, 'salts.json'), '--json']);
      expect(exitCode).toBe(0);
      const second = JSON.parse(stdout) as RunSummary;
      expect(second.manifest).toBe(first.manifest);
      expect(second.run_id).not.toBe(first.run_id);
      expect(second.models.map(({ shards }) => shards.computed)).toEqual([0, 0]);
      expect(second.pairs).toEqual({ computed: 0, reused: 1 });
      expect(second.inference_share).toBeNull();
    });

    test('verify holds, and fails on a changed byte', async () => {
      const sound = await koine(['verify', join(folder, 'out'), '--json']);
      expect(sound).toMatchObject({ exitCode: 0 });
      const part = filesUnder(join(folder, 'out/embeddings')).find((file) => file.endsWith('.parquet'))!;
      const bytes = readFileSync(part);
      bytes[100] ^= 1;
      rmSync(part);
      writeFileSync(part, bytes);
      const damaged = await koine(['verify', join(folder, 'out'), '--json']);
      expect(damaged.exitCode).toBe(1);
      expect(JSON.parse(damaged.stdout)).toMatchObject({ ok: false });
    });

    test('status finds the run by name and by run id', async () => {
      const byName = await koine(['status', name, '--json']);
      expect(JSON.parse(byName.stdout)).toMatchObject({ name, status: 'completed', output: join(folder, 'out') });
      const byId = await koine(['status', first.run_id, '--json']);
      expect(JSON.parse(byId.stdout)).toMatchObject({ run_id: first.run_id, outcome: { manifest: first.manifest } });
    });
  });

  test('a bad spec exits 2 and leaves nothing behind', async () => {
    const path = join(folder, 'bad.json');
    writeFileSync(path, JSON.stringify({ name: 'bad', output: join(folder, 'bad-out'), models: 'all' }));
    const { exitCode, stdout, stderr } = await koine(['run', path, '--json']);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('models: got "all"');
    expect(JSON.parse(stdout)).toMatchObject({ status: 'refused' });
    expect(existsSync(join(folder, 'bad-out'))).toBe(false);
  });

  test('past the quarantine limit a run exits 3 and says what was refused', async () => {
    const path = spec('broken.json', { source: 'broken.extxyz', output: 'broken-out', name: uniqueName('broken'), limit: 0.1 }); // prettier-ignore
    const { exitCode, stdout, stderr } = await koine(['run', path, '--json']);
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 3 });
    expect(JSON.parse(stdout)).toMatchObject({
      status: 'quarantine_limit',
      stage: 'snapshot',
      quarantine: { codes: { atoms_too_close: 2 } },
    });
    expect(stderr).toContain('atoms_too_close');
  });

  test('Ctrl-C cancels the run and exits 130', async () => {
    const cancelled = uniqueName('cancelled');
    const path = spec('cancel.json', { source: 'salts.extxyz', output: 'cancel-out', name: cancelled });
    let interrupted = false;
    const { exitCode, stdout, stderr } = await koine(['run', path, '--json'], (line, interrupt) => {
      if (!interrupted && line.startsWith('stage ')) interrupt();
      interrupted ||= line.startsWith('stage ');
    });
    expect(stderr).toContain('cancelling');
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 130 });
    expect(JSON.parse(stdout)).toMatchObject({ status: 'cancelled' });
    const status = await koine(['status', cancelled, '--json']);
    expect(JSON.parse(status.stdout)).toMatchObject({ status: 'cancelled' });
  });
});

/** Every file of a folder with a digest of its bytes. */
function contents(folder: string): Record<string, string> {
  return Object.fromEntries(
    filesUnder(folder).map((file) => [file, createHash('sha256').update(readFileSync(file)).digest('hex')]),
  );
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
