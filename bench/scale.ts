import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { RunSummary } from '../activities/index.js';
import { SEARCH_ATTRIBUTES } from '../config/names.js';
import { startDevServer, type DevServer } from '../infra/devServer.js';
import { startFaultProxy } from '../test/support/faultProxy.js';
import { startS3Server } from '../test/support/s3Server.js';
import { writeSyntheticCrystals } from './syntheticCrystals.js';

const koine = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'dist/cli/main.js');
/** Two small potentials that come with koine. */
const MODELS = ['ref-mace-s', 'ref-mace-hot'];
/** Structures per run; the largest takes the better part of an hour on two cores: `KOINE_SCALE=1e4,1e5` leaves it out. */
const SIZES = (process.env.KOINE_SCALE ?? '1e4,1e5,1e6').split(',').map(Number);
/** The run behind a slow store. */
const REMOTE = Number(process.env.KOINE_SCALE_REMOTE ?? 1e5);
const LATENCY_MS = 20;
const ADDED = 100;
const STRUCTURES_PER_FILE = 20_000;
const SEED = 7;

/** Processes of a deployment: each role in one of its own. */
const ROLES = ['control', 'inference', 'compute'] as const;
type Role = (typeof ROLES)[number] | 'client';

interface Measured {
  summary: RunSummary;
  seconds: number;
  /** Peak resident memory by role, MB. */
  peaks: Record<Role, number>;
}

/**
 * Whole runs over synthetic crystals of growing number, every role in a process of its own on a real server: seconds, peak memory of each process,
 * requests to the store, and how they grow. Then a run that finds everything done, one with a few structures more, and all of it behind
 * a store that answers late. Figures go to standard output; docs/scale.md keeps them.
 */
export async function main(): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'koine-scale-'));
  const server = await startDevServer({ stateDir: join(home, 'state'), searchAttributes: SEARCH_ATTRIBUTES });
  try {
    const results: [string, Measured][] = [];
    for (const size of SIZES) {
      const source = join(home, `source-${size}`);
      const bytes = await writeSyntheticCrystals(
        source,
        size,
        Math.max(2, Math.ceil(size / STRUCTURES_PER_FILE)),
        SEED,
      );
      console.log(`\n${size} structures of 4 atoms, ${(bytes / 1e6).toFixed(0)} MB of extended XYZ`);
      const output = join(home, `out-${size}`);
      const place = new Deployment(server, home, `s${size}`, {});
      results.push([String(size), await place.measure('first run', spec(home, `s${size}`, source, output))]);
      await place.measure('nothing new', spec(home, `s${size}`, source, output));
      await writeSyntheticCrystals(join(source, 'added'), ADDED, 1, SEED + 1);
      await place.measure(`${ADDED} structures more`, spec(home, `s${size}`, source, output));
      await place.stop();
      const last = size === SIZES[SIZES.length - 1];
      if (!last) rmSync(output, { recursive: true });
      if (size !== REMOTE) rmSync(source, { recursive: true });
    }
    slopes(results);
    if (REMOTE > 0) await remote(server, home);
  } finally {
    await server.release();
    rmSync(home, { recursive: true, force: true });
  }
}

/** The same run on an S3 server whose every answer comes late. */
async function remote(server: DevServer, home: string): Promise<void> {
  const store = await startS3Server();
  const proxy = await startFaultProxy(store.endpoint, { latencyMs: LATENCY_MS });
  try {
    const source = join(home, `remote-${REMOTE}`);
    await writeSyntheticCrystals(source, REMOTE, Math.ceil(REMOTE / STRUCTURES_PER_FILE), SEED);
    const place = new Deployment(server, home, 'remote', { ...store.env, AWS_ENDPOINT_URL: proxy.url });
    const file = spec(home, 'remote', source, store.url);
    console.log(`\n${REMOTE} structures on S3, every answer ${LATENCY_MS} ms late`);
    await place.measure('first run', file);
    await place.measure('nothing new', file);
    await writeSyntheticCrystals(join(source, 'added'), ADDED, 1, SEED + 1);
    await place.measure(`${ADDED} structures more`, file);
    await place.stop();
  } finally {
    await proxy.close();
    await store.stop();
  }
}

function spec(home: string, name: string, source: string, output: string): string {
  const file = join(home, `${name}.yaml`);
  writeFileSync(file, stringify({ name, source: [{ path: source }], models: MODELS, output }));
  return file;
}

/** Workers of one output on a running server, and the runs that they do. */
class Deployment {
  private readonly workers = new Map<Role, ChildProcess>();
  private readonly env: NodeJS.ProcessEnv;

  constructor(server: DevServer, home: string, name: string, env: Record<string, string>) {
    this.env = {
      ...process.env,
      ...env,
      TEMPORAL_ADDRESS: server.address,
      KOINE_QUEUE_SUFFIX: name,
      KOINE_STATE_DIR: join(home, `state-${name}`),
    };
    mkdirSync(join(home, `state-${name}`), { recursive: true });
    for (const role of ROLES) {
      const worker = spawn(process.execPath, [koine, 'worker', '--queue', role], {
        env: this.env,
        stdio: 'ignore',
      });
      this.workers.set(role, worker);
    }
  }

  /** Runs a spec to its end. @throws where it fails */
  async measure(what: string, file: string): Promise<Measured> {
    const started = Date.now();
    const client = spawn(process.execPath, [koine, 'run', file, '--json'], {
      env: this.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    client.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    client.stderr.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-2000)));
    const peaks: Record<Role, number> = { control: 0, inference: 0, compute: 0, client: 0 };
    const look = () => {
      for (const [role, { pid }] of [...this.workers, ['client', client] as const])
        peaks[role] = Math.max(peaks[role], peakMegabytes(pid));
    };
    const timer = setInterval(look, 500);
    const code = await new Promise<number | null>((resolve) => client.once('close', resolve));
    clearInterval(timer);
    if (code !== 0) throw new Error(`bench: '${what}' ended with exit code ${code}: ${stderr}`);
    const seconds = (Date.now() - started) / 1000;
    const summary = JSON.parse(stdout) as RunSummary;
    const measured = { summary, seconds, peaks };
    report(what, measured);
    return measured;
  }

  async stop(): Promise<void> {
    await Promise.all(
      [...this.workers.values()].map(async (worker) => {
        const ended = new Promise((resolve) => worker.once('close', resolve));
        worker.kill('SIGTERM');
        await ended;
      }),
    );
  }
}

/** Largest resident memory that a process had so far (Linux), MB. */
function peakMegabytes(pid: number | undefined): number {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0; // it has ended
  }
}

function report(what: string, { summary, seconds, peaks }: Measured): void {
  const memory = Object.entries(peaks).map(([role, peak]) => `${role} ${peak.toFixed(0)}`);
  console.log(
    `  ${what}: ${seconds.toFixed(1)} s; ${summary.models[0].shards.total} shards; peak MB: ${memory.join(', ')}`,
  );
  const { stages, requests } = summary;
  console.log(`    seconds: ${stages.map(({ stage, seconds: spent }) => `${stage} ${spent.toFixed(1)}`).join(', ')}`);
  const shards = summary.models[0].shards.total * MODELS.length;
  const all = Object.entries(requests).filter(([kind]) => !kind.startsWith('bytes') && kind !== 'retries');
  const total = all.reduce((sum, [, count]) => sum + Number(count), 0);
  console.log(
    `    requests: ${all.map(([kind, count]) => `${kind} ${String(count)}`).join(', ')}; ${(total / shards).toFixed(1)} a shard and model`,
  );
}

/** How time and memory grow from each size to the next: time as a power of the number of structures. */
function slopes(results: readonly [string, Measured][]): void {
  for (let i = 1; i < results.length; i++) {
    const [[from, a], [to, b]] = [results[i - 1], results[i]];
    const slope = Math.log(b.seconds / a.seconds) / Math.log(Number(to) / Number(from));
    const memory = ROLES.map((role) => `${role} ${(b.peaks[role] / a.peaks[role]).toFixed(2)}`);
    console.log(`\n${from} to ${to}: slope of time ${slope.toFixed(2)}; memory, times: ${memory.join(', ')}`);
  }
}
