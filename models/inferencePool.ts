import { availableParallelism } from 'node:os';
import { compiledEntry, ThreadPool, ThreadTaskFailed } from '../threads/pool.js';
import { ModelRefused } from './card.js';
import {
  batchBuffers,
  DEFAULT_BUDGETS,
  groupStructures,
  type BatchBudget,
  type Crystal,
  type GraphBatch,
  type ModelRejection,
  type Provider,
} from './graphBatch.js';
import type { GraphTasks } from './graphThread.js';
import type { BatchOutput, InferenceTasks, InferenceThreadData, OutputFault } from './inferenceThread.js';
import { encoderOf, ProviderUnavailable, type Encoder } from './session.js';
import type { ResolvedModel } from './store.js';
import { ThreadMeter, type ThreadUsage } from './threadMeter.js';

/**
 * Version of everything between a structure and its embedding that is not in the model file or the batch budget. Part of the
 * cache key of every embedding. Raise the number whenever the same structure, model, provider and budget may give other bits:
 * order or arithmetic of edges and angles, the cutting of batches, session options, treatment of outputs. The second half is
 * the pinned version of onnxruntime-node.
 */
export const ENCODER_VERSION = '1+ort1.30.0';

/** Sessions kept by each thread: enough for the models of a run that alternate, small against the memory of a machine. */
const SESSIONS_PER_THREAD = 4;

/** Options of an {@link InferencePool}. */
export interface InferencePoolOptions {
  /** Inference threads, each with sessions of its own: one a core for `cpu`, one for a GPU. */
  threads: number;
  /** Execution provider of every session. */
  provider: Provider;
  /** Threads that build neighbour lists; the default keeps the inference threads fed. Does not influence results. */
  graphThreads?: number;
}

/** Options of one {@link InferencePool.embed}. */
export interface EmbedOptions {
  /** Default: `DEFAULT_BUDGETS` of the pool's provider. */
  budget?: BatchBudget;
  /** Stops feeding and rejects at once; batches that already run end unseen. */
  signal?: AbortSignal;
  /** Called with the number of structures done (embedded or rejected) as it grows. */
  onProgress?: (structuresDone: number) => void;
}

/** Embeddings of the accepted structures of one shard. */
export interface ShardEmbedding {
  /** d */
  dim: number;
  /** [sum of n_atoms over accepted, d], structures in the order given, atoms in source order. */
  embedding: Float32Array<ArrayBuffer>;
  /** Positions of the embedded structures in the list given, ascending. */
  accepted: number[];
  /** The other structures, by ascending position. */
  rejections: ModelRejection[];
  /** [accepted] total energy of each accepted structure in eV; null if the model gives none. */
  energies: Float64Array<ArrayBuffer> | null;
  /** Seconds inside `session.run`, and this call's share of the inference threads' time while it lasted. */
  timing: ThreadUsage;
}

/** One accepted or refused structure of a finished batch. */
interface Piece {
  index: number;
  /** [n_atoms, d] */
  embedding: Float32Array;
  energy: number;
  fault: OutputFault | undefined;
}

/**
 * Runs models in worker threads. Batches of one call run on all threads in parallel while graph threads build the next ones;
 * results are in input order and do not depend on the number of threads. Concurrent calls share the threads evenly.
 */
export class InferencePool {
  private readonly inference: ThreadPool<InferenceTasks>;
  private readonly graphs: ThreadPool<GraphTasks>;
  private readonly turns: Turns;
  private readonly meter: ThreadMeter;

  constructor(private readonly options: InferencePoolOptions) {
    const { threads, provider } = options;
    const data: InferenceThreadData = { provider, maxSessions: SESSIONS_PER_THREAD };
    this.inference = new ThreadPool(compiledEntry('./inferenceThread.js', import.meta.url), threads, data);
    // Neighbour lists cost about 1/30 of the inference of one core; a GPU outruns one builder, so it gets most cores.
    const builders =
      options.graphThreads ?? (provider === 'cpu' ? Math.ceil(threads / 16) : Math.max(1, availableParallelism() - 1));
    this.graphs = new ThreadPool(compiledEntry('./graphThread.js', import.meta.url), builders);
    this.turns = new Turns(threads);
    this.meter = new ThreadMeter(threads);
  }

  /**
   * Embeds structures with one model.
   *
   * A batch with a non-finite value is run again structure by structure, since a padded neighbour table can spread one
   * structure's NaN to its neighbours in the batch; only structures that are non-finite alone are rejected.
   * @param model from `ModelStore.resolve`
   * @throws ModelRefused if the model is not what its card says; ProviderUnavailable; ThreadCrashed if a thread died under
   *   this call; the signal's reason
   */
  async embed(
    model: ResolvedModel,
    structures: readonly Crystal[],
    options: EmbedOptions = {},
  ): Promise<ShardEmbedding> {
    const { signal, onProgress } = options;
    signal?.throwIfAborted();
    const job = new EmbedJob(model, structures, options.budget ?? DEFAULT_BUDGETS[this.options.provider], onProgress);
    const share = this.meter.enter();
    let abort: (() => void) | undefined;
    try {
      const aborted = new Promise<never>((_, reject) => {
        abort = () =>
          reject(
            signal?.reason instanceof Error
              ? signal.reason
              : new DOMException('This operation was aborted', 'AbortError'),
          );
        signal?.addEventListener('abort', abort, { once: true });
      });
      // Lanes bound the look-ahead: each takes a group through build and run before it takes the next.
      const lanes = Array.from({ length: this.inference.size + this.graphs.size + 1 }, () => this.lane(job));
      await Promise.race([Promise.all(lanes), aborted]);
      const runSeconds = job.runSeconds;
      return { ...job.collect(), timing: { runSeconds, threadSeconds: this.meter.leave(share, runSeconds) } };
    } finally {
      job.stopped = true;
      if (abort) signal?.removeEventListener('abort', abort);
      this.meter.leave(share, job.runSeconds);
    }
  }

  /**
   * Runs one batch as it is, outside any `embed` and its metering; for checks and benchmarks. The batch's buffers move to the
   * thread and are empty afterwards.
   */
  runBatch(model: ResolvedModel, batch: GraphBatch): Promise<BatchOutput> {
    return this.inTurn(encoderOf(model), batch, () => false);
  }

  /** Seconds inside `session.run` and seconds of thread time while at least one call was active, since the pool was made. */
  usage(): ThreadUsage {
    return this.meter.usage();
  }

  /** Ends the threads; running calls are rejected. */
  async close(): Promise<void> {
    await Promise.all([this.inference.close(), this.graphs.close()]);
  }

  private async lane(job: EmbedJob): Promise<void> {
    for (const [at, group] of job.pending) {
      if (job.stopped) return;
      const { batches, rejections } = await this.build(job, group);
      job.rejections.push(...rejections);
      const outputs = await Promise.all(batches.map((batch) => this.embedBatch(job, batch)));
      job.pieces[at] = outputs.flat();
      job.progress(group.length);
    }
  }

  private async build(
    job: EmbedJob,
    indices: number[],
  ): Promise<{ batches: GraphBatch[]; rejections: ModelRejection[] }> {
    const structures = indices.map((index) => {
      const { atomicNumbers, lattice, fractionalCoordinates } = job.structures[index];
      return { atomicNumbers, lattice, fractionalCoordinates };
    });
    return this.graphs.call('build', { structures, indices, card: job.model.card, budget: job.budget });
  }

  private async embedBatch(job: EmbedJob, batch: GraphBatch): Promise<Piece[]> {
    const output = await this.run(job, batch);
    if (batch.indices.length === 1 || !output.faults.some((fault) => fault.code === 'non_finite_embedding')) {
      return split(batch, output, job.encoder.dim);
    }
    const pieces: Piece[] = [];
    for (const index of batch.indices) {
      const [single] = (await this.build(job, [index])).batches;
      pieces.push(...split(single, await this.run(job, single), job.encoder.dim));
    }
    return pieces;
  }

  private async run(job: EmbedJob, batch: GraphBatch): Promise<BatchOutput> {
    const output = await this.inTurn(job.encoder, batch, () => job.stopped);
    job.runSeconds += output.runSeconds;
    return output;
  }

  private async inTurn(encoder: Encoder, batch: GraphBatch, stopped: () => boolean): Promise<BatchOutput> {
    await this.turns.take();
    try {
      if (stopped()) throw new Error('models: the call was stopped'); // seen by nobody: the call has already been rejected
      return await this.inference.call('run', { encoder, batch }, { transfer: batchBuffers(batch) });
    } catch (error) {
      throw asModelError(error);
    } finally {
      this.turns.pass();
    }
  }
}

/** State of one `embed` call. */
class EmbedJob {
  readonly encoder: Encoder;
  /** Groups not begun yet; all lanes draw from it. */
  readonly pending: Iterator<[number, number[]]> & Iterable<[number, number[]]>;
  readonly rejections: ModelRejection[];
  readonly pieces: Piece[][] = [];
  stopped = false;
  runSeconds = 0;
  private done: number;

  constructor(
    readonly model: ResolvedModel,
    readonly structures: readonly Crystal[],
    readonly budget: BatchBudget,
    private readonly onProgress: ((structuresDone: number) => void) | undefined,
  ) {
    this.encoder = encoderOf(model);
    const { groups, rejections } = groupStructures(structures, model.card, budget);
    this.pending = groups.entries();
    this.rejections = rejections;
    this.done = rejections.length;
  }

  progress(structures: number): void {
    this.done += structures;
    if (!this.stopped) this.onProgress?.(this.done);
  }

  /** Puts the pieces together in input order. */
  collect(): Omit<ShardEmbedding, 'timing'> {
    const pieces = this.pieces.flat();
    const good = pieces.filter((piece) => !piece.fault);
    const rejected = pieces.flatMap((piece) =>
      piece.fault ? [rejectionOf(piece.index, piece.fault, this.encoder.id)] : [],
    );
    const embedding = new Float32Array(good.reduce((length, piece) => length + piece.embedding.length, 0));
    let at = 0;
    for (const piece of good) {
      embedding.set(piece.embedding, at);
      at += piece.embedding.length;
    }
    return {
      dim: this.encoder.dim,
      embedding,
      accepted: good.map((piece) => piece.index),
      rejections: [...this.rejections, ...rejected].sort((a, b) => a.index - b.index),
      energies: 'node_energy' in this.encoder.outputs ? Float64Array.from(good, (piece) => piece.energy) : null,
    };
  }
}

/**
 * As many turns as threads, passed on in order of request. The thread pool's own queue then stays empty, so that a call that
 * is cancelled leaves no work behind, and calls that run together alternate batch by batch.
 */
class Turns {
  private readonly waiting: (() => void)[] = [];
  constructor(private free: number) {}

  take(): Promise<void> {
    if (this.free > 0) {
      this.free--;
      return Promise.resolve();
    }
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  pass(): void {
    const next = this.waiting.shift();
    if (next) next();
    else this.free++;
  }
}

/** Views of a shard's embedding, one [n_atoms, d] for each accepted structure. */
export function structureEmbeddings(
  result: ShardEmbedding,
  structures: readonly Crystal[],
): Float32Array<ArrayBuffer>[] {
  let at = 0;
  return result.accepted.map((index) => {
    const start = at;
    at += structures[index].atomicNumbers.length * result.dim;
    return result.embedding.subarray(start, at);
  });
}

function split(batch: GraphBatch, output: BatchOutput, dim: number): Piece[] {
  return Array.from(batch.indices, (index, position) => ({
    index,
    embedding: output.embedding.subarray(batch.atomOffsets[position] * dim, batch.atomOffsets[position + 1] * dim),
    energy: output.energies?.[position] ?? NaN,
    fault: output.faults.find((fault) => fault.position === position),
  }));
}

function rejectionOf(index: number, { code, atom }: OutputFault, id: string): ModelRejection {
  const what = code === 'zero_norm_embedding' ? 'is zero, which has no cosine to any anchor' : 'holds NaN or infinity';
  return {
    index,
    code,
    message: `the embedding of atom ${atom} by ${id} ${what}; a finite, non-zero vector is needed`,
  };
}

/** Errors cross the thread boundary as name and message; those the caller tells apart get their class back. */
function asModelError(error: unknown): unknown {
  if (!(error instanceof ThreadTaskFailed)) return error;
  if (error.errorName === 'ModelRefused') return new ModelRefused(error.message);
  if (error.errorName === 'ProviderUnavailable') return new ProviderUnavailable(error.message);
  return error;
}
