import { Tensor, type InferenceSession } from 'onnxruntime-node';
import { workerData } from 'node:worker_threads';
import { serve, withTransfer } from '../threads/serve.js';
import { INPUT_TENSORS, ModelRefused, type InputName } from './card.js';
import type { GraphBatch, Provider } from './graphBatch.js';
import { loadSession, type Encoder } from './session.js';

/** `workerData` of the thread. */
export interface InferenceThreadData {
  provider: Provider;
  /** Sessions kept; the least recently used one is released. */
  maxSessions: number;
}

/** Argument of `run`. */
export interface RunCall {
  encoder: Encoder;
  batches: GraphBatch[];
}

/** What is wrong with the output of one structure of a batch. */
export interface OutputFault {
  /** Position in the batch. */
  position: number;
  code: 'non_finite_embedding' | 'zero_norm_embedding';
  /** First such atom of the structure. */
  atom: number;
}

/** Output of one batch. */
export interface BatchOutput {
  /** [n_atoms, d] */
  embedding: Float32Array<ArrayBuffer>;
  /** [n] eV, sums of `node_energy`; null if the network gives none. */
  energies: Float64Array<ArrayBuffer> | null;
  faults: OutputFault[];
  /** Time inside `session.run`. */
  runSeconds: number;
}

const { provider, maxSessions } = workerData as InferenceThreadData;

/** Sessions by card digest, which fixes the ONNX digest too; least recently used first. */
const sessions = new Map<string, InferenceSession>();

async function sessionOf(encoder: Encoder): Promise<InferenceSession> {
  const { cardSha256 } = encoder;
  const session = sessions.get(cardSha256) ?? (await loadSession(encoder, provider));
  sessions.delete(cardSha256);
  sessions.set(cardSha256, session);
  for (const [oldest, unused] of sessions) {
    if (sessions.size <= maxSessions) break;
    sessions.delete(oldest);
    await unused.release();
  }
  return session;
}

function feedsOf(batch: GraphBatch): Record<string, Tensor> {
  const sizes: Record<string, number> = {
    n_atoms: batch.atomOffsets.at(-1)!,
    n_edges: batch.edges,
    n_bonds: batch.inputs.bond_to_edge?.length ?? 0,
    n_angles: (batch.inputs.angle_index?.length ?? 0) / 2,
  };
  const feeds: Record<string, Tensor> = {};
  for (const [name, data] of Object.entries(batch.inputs) as [InputName, BigInt64Array | Float32Array][]) {
    const { type, shape } = INPUT_TENSORS[name];
    feeds[name] = new Tensor(
      type,
      data,
      shape.map((size) => (typeof size === 'number' ? size : sizes[size])),
    );
  }
  return feeds;
}

async function runBatch(session: InferenceSession, encoder: Encoder, batch: GraphBatch): Promise<BatchOutput> {
  const feeds = feedsOf(batch);
  const wanted = 'node_energy' in encoder.outputs ? ['node_embedding', 'node_energy'] : ['node_embedding'];
  const started = performance.now();
  const outputs = await session.run(feeds, wanted);
  const runSeconds = (performance.now() - started) / 1000;

  const atoms = batch.atomOffsets.at(-1)!;
  const { node_embedding: node, node_energy: nodeEnergy } = outputs;
  if (node.dims.length !== 2 || node.dims[0] !== atoms || node.dims[1] !== encoder.dim) {
    throw new ModelRefused(
      `models: '${encoder.id}' gave node_embedding [${node.dims.join(', ')}], its card says [${atoms}, ${encoder.dim}]; ` +
        'correct embedding.dim or export it again',
    );
  }
  const embedding = node.data as Float32Array<ArrayBuffer>;
  const energies = nodeEnergy ? sumByStructure(nodeEnergy.data as Float32Array, batch.atomOffsets) : null;
  return { embedding, energies, faults: findFaults(embedding, encoder.dim, batch.atomOffsets), runSeconds };
}

const tasks = {
  /** Runs batches one after the other, loading the model first if this thread does not have it. */
  async run({ encoder, batches }: RunCall): Promise<BatchOutput[]> {
    const session = await sessionOf(encoder);
    const outputs: BatchOutput[] = [];
    for (const batch of batches) outputs.push(await runBatch(session, encoder, batch));
    return withTransfer(
      outputs,
      outputs.map(({ embedding }) => embedding.buffer),
    );
  },
};
/** Tasks of an inference thread. */
export type InferenceTasks = typeof tasks;

/** Float64 sums of a per-atom value, in atom order. */
function sumByStructure(values: Float32Array, atomOffsets: Int32Array): Float64Array<ArrayBuffer> {
  const sums = new Float64Array(atomOffsets.length - 1);
  for (let s = 0; s < sums.length; s++) {
    for (let atom = atomOffsets[s]; atom < atomOffsets[s + 1]; atom++) sums[s] += values[atom];
  }
  return sums;
}

/** First non-finite atom of each structure, else its first atom of zero norm. */
function findFaults(embedding: Float32Array, dim: number, atomOffsets: Int32Array): OutputFault[] {
  const faults: OutputFault[] = [];
  for (let position = 0; position + 1 < atomOffsets.length; position++) {
    const first = atomOffsets[position];
    let fault: OutputFault | undefined;
    for (let row = first; row < atomOffsets[position + 1]; row++) {
      let square = 0;
      for (let k = row * dim; k < (row + 1) * dim; k++) square += embedding[k] * embedding[k];
      if (square > 0 && square < Infinity) continue; // float64 squares of float32 values neither vanish nor overflow
      if (square !== 0) {
        fault = { position, code: 'non_finite_embedding', atom: row - first };
        break;
      }
      fault ??= { position, code: 'zero_norm_embedding', atom: row - first };
    }
    if (fault) faults.push(fault);
  }
  return faults;
}

serve(tasks);
