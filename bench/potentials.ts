import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { cacheFolder } from '../infra/cacheFolder.js';
import { ensureExporterPython } from '../infra/exporterPython.js';
import { packageRoot } from '../infra/toolchain.js';
import { InferencePool } from '../models/inferencePool.js';
import { ModelStore, type ResolvedModel } from '../models/store.js';
import { extendedXyz } from '../structures/extendedXyz.js';
import type { Structure } from '../structures/structure.js';
import { median, startPythonPeer } from './pythonPeer.js';
import { realStructures, sharedFolder } from './realStructures.js';

/** A real model and its official code. */
interface Contest {
  id: string;
  /** Environment of `models/export/environments`, and `bench/peers/official_<peer>.py`. */
  environment: string;
  peer: string;
  /** What the peer is asked for besides structures and threads. */
  ask: (checkpoints: string, weights: string) => Record<string, string>;
  /** Structures; fewer where the official code is slow to warm up. */
  count: number;
  /** Full-size official class with random weights, made by `models/export/paper_seven.py`: same arithmetic, no download. */
  paper?: string;
}

const CONTESTS: readonly Contest[] = [
  { id: 'chgnet-0.3.0', environment: 'chgnet', peer: 'chgnet', ask: () => ({ model: '0.3.0' }), count: 100 },
  {
    id: 'sevennet-0-11jul2024',
    environment: 'sevennet',
    peer: 'sevennet',
    ask: () => ({ model: '7net-0' }),
    count: 100,
  },
  {
    id: 'tensornet-matpes-pbe',
    environment: 'matgl',
    peer: 'tensornet',
    ask: (_, weights) => ({ model: join(weights, 'matgl/TensorNet-MatPES-PBE-v2025.1-PES') }),
    count: 100,
  },
  {
    id: 'nequix-mp-1',
    environment: 'nequix',
    peer: 'nequix',
    ask: (_, weights) => ({ model: join(weights, 'nequix/nequix-mp-1.nqx') }),
    count: 20,
  },
  {
    id: 'paper-random-mace-mp-0-medium',
    environment: 'torch',
    peer: 'mace',
    ask: (checkpoints) => ({ model: join(checkpoints, 'mace-mp-0-medium.model') }),
    count: 100,
    paper: 'mace-mp-0-medium',
  },
  {
    id: 'paper-random-orb-v3-conservative-inf-omat',
    environment: 'torch',
    peer: 'orb',
    ask: (checkpoints) => ({
      model: join(checkpoints, 'orb-v3-conservative-inf-omat.ckpt'),
      official: 'orb_v3_conservative_inf_omat',
    }),
    count: 20,
    paper: 'orb-v3-conservative-inf-omat',
  },
];

const BATCH_SIZES = [1, 4, 16];
const ROUNDS = 3;

/**
 * koine's whole embed path, neighbour lists and all, against the official package on the same structures and one thread: its
 * calculator in a loop, and its batched forward at the best of several sizes, without gradients where the package allows.
 */
export async function main(): Promise<void> {
  const shared = sharedFolder();
  const paper = join(cacheFolder(), 'bench/paper-seven');
  const checkpoints = join(paper, 'checkpoints');
  mkdirSync(checkpoints, { recursive: true });
  const structures = await realStructures(Math.max(...CONTESTS.map(({ count }) => count)));
  const own = process.env.KOINE_MODELS ? [process.env.KOINE_MODELS] : [];
  const store = new ModelStore([...own, paper, join(shared, 'models')]);
  const folder = await mkdtemp(join(tmpdir(), 'koine-bench-'));
  console.log(`embeddings of MP-20 structures on one thread, structures/s; koine: median of ${ROUNDS}`);
  try {
    for (const contest of CONTESTS) {
      const python = await ensureExporterPython(contest.environment, (line) => console.error(line));
      if (contest.paper) makePaperModel(python, contest.paper, paper, checkpoints, join(shared, 'models/dev.extxyz'));
      const file = join(folder, 'structures.extxyz');
      const some = structures.slice(0, contest.count);
      await writeFile(file, extendedXyz(some));
      const ours = await koineSeconds(await store.resolve(contest.id), some);
      const peer = startPythonPeer(`peers/official_${contest.peer}.py`, python);
      const theirs = await peer.ask<{ calculator: number; batched: Record<string, number>; version: string }>({
        ...contest.ask(checkpoints, join(shared, 'weights')),
        structures: file,
        threads: 1,
        batch_sizes: BATCH_SIZES,
      });
      await peer.end();
      report(contest, some.length, ours, theirs);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** @throws Error if the model refuses a structure, since then the two would not do the same work */
async function koineSeconds(model: ResolvedModel, structures: Structure[]): Promise<number> {
  const pool = new InferencePool({ threads: 1, provider: 'cpu' });
  const seconds: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const start = performance.now();
    const { rejections } = await pool.embed(model, structures);
    if (rejections.length > 0) throw new Error(`bench/potentials: '${model.id}' rejects ${rejections[0].message}`);
    if (round > 0) seconds.push((performance.now() - start) / 1000);
  }
  await pool.close();
  return median(seconds);
}

function makePaperModel(python: string, id: string, store: string, checkpoints: string, structures: string): void {
  if (existsSync(join(store, `paper-random-${id}`, 'model.onnx'))) return;
  const script = join(packageRoot(), 'models/export/paper_seven.py');
  const places = ['--structures', structures, '--output', store, '--checkpoints', checkpoints, '--only', id];
  const env = { ...process.env, PYTHONPATH: join(packageRoot(), 'models/export'), OMP_NUM_THREADS: '1' };
  const { status } = spawnSync(python, [script, ...places], { env, stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Error(`bench/potentials: ${script} could not make ${id}; its message is above`);
}

function report(
  { id }: Contest,
  count: number,
  ours: number,
  theirs: { calculator: number; batched: Record<string, number>; version: string },
): void {
  const [size, batched] = Object.entries(theirs.batched).reduce((a, b) => (b[1] < a[1] ? b : a));
  const rate = (seconds: number) => (count / seconds).toFixed(1).padStart(6);
  const better = Math.min(theirs.calculator, batched);
  console.log(
    `  ${id.padEnd(42)} koine ${rate(ours)}  official ${theirs.version}: calculator ${rate(theirs.calculator)}, ` +
      `batches of ${size} ${rate(batched)}; koine is ${(better / ours).toFixed(2)} times as fast as the better`,
  );
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await main();
