import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { INPUT_TENSORS, type InputName } from '../models/card.js';
import { DEFAULT_BUDGETS, type GraphBatch } from '../models/graphBatch.js';
import { builtGroups } from '../test/models/builtGroups.js';
import { InferencePool } from '../models/inferencePool.js';
import { embeddingError } from '../models/parity.js';
import { ModelStore, type ResolvedModel } from '../models/store.js';
import type { Structure } from '../structures/structure.js';
import { median, startPythonPeer, type PythonPeer } from './pythonPeer.js';
import { realStructures, sharedFolder } from './realStructures.js';

const MODELS = ['chgnet-0.3.0', 'sevennet-0-11jul2024', 'tensornet-matpes-pbe', 'nequix-mp-1'];
const STRUCTURES = 200;
const ROUNDS = 3;

/**
 * koine's whole embed path (neighbour lists, line graphs, batches, threads, results) against onnxruntime called from Python
 * on the same ONNX files and the same batches, which Python is given ready-made: its time is that of `session.run` alone,
 * in a thread pool with one session of one thread each. The two take turns in one run, on one and on two threads.
 * @throws Error if the embeddings differ by more than 1e-3 of their RMS
 */
export async function main(): Promise<void> {
  const shared = sharedFolder();
  const structures = await realStructures(STRUCTURES);
  const store = new ModelStore([join(shared, 'models')]);
  const folder = await mkdtemp(join(tmpdir(), 'koine-bench-'));
  const python = startPythonPeer('embed.py');
  console.log(`embeddings of ${structures.length} MP-20 structures; medians of ${ROUNDS} alternating passes`);
  try {
    for (const id of MODELS) {
      const model = await store.resolve(id);
      await giveBatches(python, folder, model, structures);
      for (const threads of [1, 2]) await compare(python, folder, model, structures, threads);
    }
  } finally {
    await python.end();
    await rm(folder, { recursive: true });
  }
}

async function compare(
  python: PythonPeer,
  folder: string,
  model: ResolvedModel,
  structures: Structure[],
  threads: number,
): Promise<void> {
  const pool = new InferencePool({ threads, provider: 'cpu' });
  const out = join(folder, 'out.f32');
  const seconds: { koine: number[]; python: number[] } = { koine: [], python: [] };
  let share = 0;
  for (let round = 0; round <= ROUNDS; round++) {
    const start = performance.now();
    const ours = await pool.embed(model, structures);
    const elapsed = (performance.now() - start) / 1000;
    const theirs = await python.ask<{ seconds: number }>({ model: model.onnxPath, threads, out });
    const { max } = embeddingError([ours.embedding], [new Float32Array((await readFile(out)).buffer)]);
    if (!(max <= 1e-3)) throw new Error(`bench/embed: '${model.id}' differs from Python by ${max} of the RMS`);
    if (round === 0) continue; // both load their sessions and warm up
    seconds.koine.push(elapsed);
    seconds.python.push(theirs.seconds);
    share = ours.timing.runSeconds / ours.timing.threadSeconds;
  }
  await pool.close();
  const [ours, theirs] = [median(seconds.koine), median(seconds.python)];
  const rate = (time: number) => (structures.length / time).toFixed(0).padStart(5);
  console.log(
    `  ${model.id.padEnd(22)} ${threads} thread${threads > 1 ? 's' : ' '}  koine ${rate(ours)}  Python ${rate(theirs)} structures/s; ` +
      `koine is ${(theirs / ours).toFixed(2)} times as fast, ${share.toFixed(2)} of its thread time in session.run`,
  );
}

/** Writes the tensors of all batches to one file and tells Python where each lies. */
async function giveBatches(
  python: PythonPeer,
  folder: string,
  model: ResolvedModel,
  structures: Structure[],
): Promise<void> {
  const groups = [...builtGroups(structures, model.card, DEFAULT_BUDGETS.cpu)];
  const rejected = groups.flatMap((group) => group.rejections);
  if (rejected.length > 0) throw new Error(`bench/embed: '${model.id}' rejects ${rejected[0].message}`);
  const buffers: Uint8Array[] = [];
  let at = 0;
  const batches = groups
    .flatMap((group) => group.batches)
    .map((batch) =>
      (Object.keys(batch.inputs) as InputName[]).map((name) => {
        const tensor = batch.inputs[name]!;
        const described = {
          name,
          at,
          type: INPUT_TENSORS[name].type === 'int64' ? '<i8' : '<f4',
          shape: shapeOf(batch, name),
        };
        buffers.push(new Uint8Array(tensor.buffer));
        at += tensor.byteLength;
        return described;
      }),
    );
  const load = join(folder, 'batches.bin');
  await writeFile(load, Buffer.concat(buffers));
  await python.ask({ load, batches });
}

function shapeOf(batch: GraphBatch, name: InputName): number[] {
  const { length } = batch.inputs[name]!;
  const fixed = (INPUT_TENSORS[name].shape as readonly (number | string)[]).filter((size) => typeof size === 'number');
  const free = length / fixed.reduce((product, size) => product * size, 1);
  return INPUT_TENSORS[name].shape.map((size) => (typeof size === 'number' ? size : free));
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await main();
