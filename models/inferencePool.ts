import { availableParallelism } from 'node:os';
import { compiledEntry, ThreadPool, ThreadTaskFailed } from '../threads/pool.js';
import { ModelRefused } from './card.js';
import {
  batchBuffers,
  DEFAULT_BUDGETS,
  type BatchBudget,
  type BuiltGroup,
  type Crystal,
  type GraphBatch,
  type Provider,
} from './graphBatch.js';
import { EmbedJob, split, type Piece, type ShardEmbedding } from './embedJob.js';
import type { GraphTasks } from './graphThread.js';
import type { BatchOutput, InferenceTasks, InferenceThreadData } from './inferenceThread.js';
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

export type { ShardEmbedding } from './embedJob.js';

/** Options of one {@link InferencePool.embed}. */
export interface EmbedOptions {
  /** Default: `DEFAULT_BUDGETS` of the pool's provider. */
  budget?: BatchBudget;
  /** Stops feeding and rejects at once; batches that already run end unseen. */
  signal?: AbortSignal;
  /** Called with the number of structures done (embedded or rejected) as it grows. */
  onProgress?: (structuresDone: number) => void;
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
    const budget = options.budget ?? DEFAULT_BUDGETS[this.options.provider];
    const job = new EmbedJob(model, structures, budget, this.options.threads, onProgress);
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
  async runBatch(model: ResolvedModel, batch: GraphBatch): Promise<BatchOutput> {
    const [output] = await this.inTurn(encoderOf(model), [batch], () => false);
    return output;
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
    for (const [at, groups] of job.pending) {
      if (job.stopped) return;
      const { batches, rejections } = await this.build(job, groups);
      job.rejections.push(...rejections);
      const outputs = await this.run(job, batches);
      const pieces: Piece[] = [];
      for (const [k, output] of outputs.entries()) pieces.push(...(await this.settle(job, batches[k], output)));
      job.pieces[at] = pieces;
      job.progress(groups.flat().length);
    }
  }

  private async build(job: EmbedJob, groups: number[][]): Promise<BuiltGroup> {
    const call = groups.map((indices) => ({
      indices,
      structures: indices.map((index) => {
        const { atomicNumbers, lattice, fractionalCoordinates } = job.structures[index];
        return { atomicNumbers, lattice, fractionalCoordinates };
      }),
    }));
    return this.graphs.call('build', { groups: call, card: job.model.card, budget: job.budget });
  }

  /** The structures of a batch, those of a poisoned batch each run alone. */
  private async settle(job: EmbedJob, batch: GraphBatch, output: BatchOutput): Promise<Piece[]> {
    const poisoned = output.faults.some((fault) => fault.code === 'non_finite_embedding');
    if (!poisoned || batch.indices.length === 1) return split(batch, output, job.encoder.dim);
    const { batches } = await this.build(
      job,
      Array.from(batch.indices, (index) => [index]),
    );
    const outputs = await this.run(job, batches);
    return outputs.flatMap((single, k) => split(batches[k], single, job.encoder.dim));
  }

  private async run(job: EmbedJob, batches: GraphBatch[]): Promise<BatchOutput[]> {
    if (batches.length === 0) return [];
    const outputs = await this.inTurn(job.encoder, batches, () => job.stopped);
    for (const { runSeconds } of outputs) job.runSeconds += runSeconds;
    return outputs;
  }

  private async inTurn(encoder: Encoder, batches: GraphBatch[], stopped: () => boolean): Promise<BatchOutput[]> {
    await this.turns.take();
    try {
      if (stopped()) throw new Error('models: the call was stopped'); // seen by nobody: the call has already been rejected
      const transfer = batches.flatMap(batchBuffers);
      return await this.inference.call('run', { encoder, batches }, { transfer });
    } catch (error) {
      throw asModelError(error);
    } finally {
      this.turns.pass();
    }
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

/** Errors cross the thread boundary as name and message; those the caller tells apart get their class back. */
function asModelError(error: unknown): unknown {
  if (!(error instanceof ThreadTaskFailed)) return error;
  if (error.errorName === 'ModelRefused') return new ModelRefused(error.message);
  if (error.errorName === 'ProviderUnavailable') return new ProviderUnavailable(error.message);
  return error;
}
