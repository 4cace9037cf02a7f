import { groupStructures, type BatchBudget, type Crystal, type GraphBatch, type ModelRejection } from './graphBatch.js';
import type { BatchOutput, OutputFault } from './inferenceThread.js';
import { encoderOf, type Encoder } from './session.js';
import type { ResolvedModel } from './store.js';
import type { ThreadUsage } from './threadMeter.js';

/**
 * Groups that travel to a thread together, so that threads wait less for messages (each about a millisecond when the main
 * thread is busy); fewer where a call would otherwise be too few parts to keep all threads busy to its end. Batches are the
 * same either way.
 */
const MAX_GROUPS_PER_CALL = 4;
const MIN_CALLS_PER_THREAD = 8;

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
export interface Piece {
  index: number;
  /** [n_atoms, d] */
  embedding: Float32Array;
  energy: number;
  fault: OutputFault | undefined;
}

/** State of one `InferencePool.embed` call: what is still to do, and the pieces that are done. */
export class EmbedJob {
  readonly encoder: Encoder;
  /** Groups not begun yet, several to one call; all lanes draw from it. */
  readonly pending: IterableIterator<[number, number[][]]>;
  readonly rejections: ModelRejection[];
  readonly pieces: Piece[][] = [];
  stopped = false;
  runSeconds = 0;
  private done: number;

  constructor(
    readonly model: ResolvedModel,
    readonly structures: readonly Crystal[],
    readonly budget: BatchBudget,
    threads: number,
    private readonly onProgress: ((structuresDone: number) => void) | undefined,
  ) {
    this.encoder = encoderOf(model);
    const { groups, rejections } = groupStructures(structures, model.card, budget);
    const together = Math.max(
      1,
      Math.min(MAX_GROUPS_PER_CALL, Math.floor(groups.length / (threads * MIN_CALLS_PER_THREAD))),
    );
    this.pending = chunks(groups, together).entries();
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

/** The structures of a finished batch. */
export function split(batch: GraphBatch, output: BatchOutput, dim: number): Piece[] {
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

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, k) => items.slice(k * size, (k + 1) * size));
}
