import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { RunSummary } from '../../activities/run/documents.js';
import { bundledStructures } from '../../structures/bundled/bundled.js';
import type { Structure } from '../../structures/structure.js';
import { sharedPath } from '../support/shared.js';

const repository = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const koine = join(repository, 'dist/cli/main.js');

/** A folder of one test file, with its own embedded server and task queues. */
export class Workplace {
  readonly folder = mkdtempSync(join(tmpdir(), 'koine-run-'));
  private readonly running = new Set<ChildProcess>();

  /** Path inside the folder. */
  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  /** Writes a run spec over small defaults: two tiny networks, few anchors, small samples, two diagnostics. @returns its path */
  spec(name: string, fields: Record<string, unknown>): string {
    const file = this.path(`${name}.yaml`);
    const defaults = {
      name,
      models: ['mace-random-tiny', 'mace-random-tiny-all'],
      model_store: [sharedPath('models')],
      output: this.path(`out-${name}`),
      basis: { anchors: 12 },
      similarity: { sample: 200, draws: 2, neighbours: 5 },
      transport: { sample: 100, draws: 1 },
      diagnostics: FEW_DIAGNOSTICS,
      shards: { structures: 8 },
    };
    writeFileSync(file, stringify({ ...defaults, ...fields }));
    return file;
  }

  /** Starts the built command line. `state` names the embedded server; equal names share one. */
  start(args: readonly string[], env: Record<string, string> = {}, state = 'state'): RunningCommand {
    const child = spawn(process.execPath, [koine, ...args], {
      env: { ...process.env, KOINE_STATE_DIR: this.path(state), TEMPORAL_ADDRESS: '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.running.add(child);
    const output = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
    const ended = new Promise<Ended>((resolve) =>
      child.once('close', (code) => {
        this.running.delete(child);
        resolve({ code, ...output });
      }),
    );
    return { child, ended, output };
  }

  /** Runs `koine run SPEC --json` to its end. */
  async run(spec: string, env: Record<string, string> = {}, state?: string): Promise<Ended & { summary: RunSummary }> {
    const ended = await this.start(['run', spec, '--json'], env, state).ended;
    const last = ended.stdout.trim();
    return { ...ended, summary: (last ? JSON.parse(last) : undefined) as RunSummary };
  }

  /** Kills what still runs; servers die with their leases. */
  close(): void {
    for (const child of this.running) child.kill('SIGKILL');
  }
}

/** A command that was started. */
export interface RunningCommand {
  child: ChildProcess;
  ended: Promise<Ended>;
  output: { stdout: string; stderr: string };
}

const off = { enabled: false };
/** One that computes and one that runs networks: what the engine does with diagnostics does not depend on how many there are. */
const FEW_DIAGNOSTICS = { element_bias: off, atypical: off, arithmetic: off, stitching: off, drift: off };
/** For runs that are about something else. */
export const NO_DIAGNOSTICS = { ...FEW_DIAGNOSTICS, spaces: off, symmetry: off };

/** How a command ended. */
export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Crystals as one extended-XYZ text, a frame each. */
export function extendedXyz(structures: readonly Structure[]): string {
  return structures
    .map(({ materialId, lattice, fractionalCoordinates, atomicNumbers }) => {
      const rows = Array.from(atomicNumbers, (z, atom) => {
        const position = [0, 1, 2].map((axis) =>
          [0, 1, 2].reduce((sum, k) => sum + fractionalCoordinates[3 * atom + k] * lattice[3 * k + axis], 0),
        );
        return `${z} ${position.join(' ')}`;
      });
      const header = `Lattice="${Array.from(lattice).join(' ')}" Properties=Z:I:1:pos:R:3 material_id=${materialId} pbc="T T T"`;
      return `${rows.length}\n${header}\n${rows.join('\n')}\n`;
    })
    .join('');
}

/** The first `count` bundled crystals with neighbours in every network's reach and at most 8 atoms. */
export function crystals(count: number): Structure[] {
  return bundledStructures()
    .filter(({ atomicNumbers }) => atomicNumbers.length <= 8)
    .slice(0, count);
}

/** sha256 of every object below a folder by relative path; records of runs differ from run to run and are left out. */
export function digests(folder: string, below = ''): Map<string, string> {
  const found = new Map<string, string>();
  for (const entry of readdirSync(join(folder, below), { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = relative(folder, path);
    if (!entry.isFile() || name.startsWith('runs/') || name.startsWith('.tmp/')) continue;
    found.set(name, createHash('sha256').update(readFileSync(path)).digest('hex'));
  }
  return found;
}

/** Inode and modification time of every object below a folder: both stay when an object is not rewritten. */
export function stamps(folder: string): Map<string, string> {
  return new Map(
    [...digests(folder).keys()].map((name) => {
      const { ino, mtimeNs } = statSync(join(folder, name), { bigint: true });
      return [name, `${ino} ${mtimeNs}`];
    }),
  );
}

/** Parts of a published table: Parquet files of all its leaves. */
export function parts(folder: string, table: string): Map<string, string> {
  return new Map([...digests(folder)].filter(([name]) => name.startsWith(`${table}/`) && name.endsWith('.parquet')));
}

/** Number of Parquet files of a table so far, while a run is writing. */
export function partCount(folder: string, table: string): number {
  const leaf = join(folder, table);
  if (!existsSync(leaf)) return 0;
  return readdirSync(leaf, { recursive: true }).filter((name) => String(name).endsWith('.parquet')).length;
}
