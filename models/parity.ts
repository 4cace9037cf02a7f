import type { ModelCard } from './card.js';
import { readNpz, type NpyArray } from './npz.js';

/** What the official code of a potential gives for some structures; written by the exporters as `reference-*.npz`. */
export interface NativeReference {
  /** [n] material ids. */
  ids: string[];
  /** [n + 1] first atom of each structure, then the total. */
  offsets: number[];
  /** [n_atoms] */
  atomicNumbers: number[];
  /** [n_atoms, d] of the official float32 run. */
  embedding: Float32Array | Float64Array;
  /** [n_atoms, d] of the official float64 run, where there is one. */
  embeddingFloat64: Float32Array | Float64Array | null;
  /** [n] eV, total energy of the official float32 run. */
  energy: number[] | null;
}

/** Differences of embeddings, per structure the largest absolute one, in units of the RMS of all reference values. */
export interface EmbeddingError {
  median: number;
  max: number;
  /** Structure with the largest. */
  worst: number;
}

/**
 * Gates for an honest export (MODELS section 2): the maxima come from a few distorted structures and have the size of the
 * official code's own float32 error.
 */
export const PARITY_GATES = {
  median: 2e-5,
  max: 1e-3,
  maxFloat64: 3e-4,
  energyMevPerAtom: 0.1,
  /**
   * Maximum where the card has `max_neighbours`: the cap cuts through shells of equal distance, and the official tie rule
   * (order of a k-d tree, which also misses a few edges) cannot be reproduced.
   */
  maxCapped: 1e-2,
} as const;

/** Result of {@link compareWithReference}. */
export interface ParityReport {
  /** Structures compared. */
  structures: number;
  float32: EmbeddingError;
  float64: EmbeddingError | null;
  /** Largest energy difference; null if the reference or the model gives no energy. */
  energyMevPerAtom: number | null;
  /** Whether all gates hold. */
  ok: boolean;
}

/**
 * Reads a `reference-*.npz` file.
 * @param bytes the whole file
 * @param where shown in errors
 * @throws Error naming a missing or misshapen array
 */
export async function readReference(bytes: Uint8Array, where: string): Promise<NativeReference> {
  const arrays = await readNpz(bytes, where);
  const numbers = (name: string): number[] | null => {
    const data = arrays.get(name)?.data;
    return data ? Array.from(data, Number) : null;
  };
  const required = (name: string): NpyArray => {
    const array = arrays.get(name);
    if (!array)
      throw new Error(`models/parity: ${where} has no array '${name}' (it has ${[...arrays.keys()].join(', ')})`);
    return array;
  };
  const matrix = (array: NpyArray | undefined, name: string): Float32Array | Float64Array | null => {
    if (!array) return null;
    if (Array.isArray(array.data) || array.shape.length !== 2 || array.shape[0] !== atomicNumbers.length) {
      throw new Error(
        `models/parity: ${where}: '${name}' is [${array.shape.join(', ')}], not [${atomicNumbers.length}, d]`,
      );
    }
    return array.data;
  };
  const atomicNumbers = Array.from(required('atomic_numbers').data, Number);
  const offsets = Array.from(required('offsets').data, Number);
  return {
    ids: Array.from(required('ids').data, String),
    offsets,
    atomicNumbers,
    embedding: matrix(required('embedding'), 'embedding')!,
    embeddingFloat64: matrix(arrays.get('embedding_float64'), 'embedding_float64'),
    energy: numbers('energy') ?? sums(numbers('node_energy'), offsets),
  };
}

/**
 * Compares koine's embeddings with the official ones on the structures that both have.
 * @param ids [n] material ids of the embedded structures
 * @param embeddings [n] of each structure [n_atoms, d]
 * @param energies [n] in eV, or null
 * @throws Error if no structure of the reference is among `ids`, or one has another number of atoms
 */
export function compareWithReference(
  reference: NativeReference,
  card: ModelCard,
  ids: readonly string[],
  embeddings: readonly Float32Array[],
  energies: ArrayLike<number> | null,
): ParityReport {
  const dim = card.embedding.dim;
  const position = new Map(ids.map((id, index) => [id, index]));
  const common = reference.ids.flatMap((id, s) => (position.has(id) ? [{ s, index: position.get(id)! }] : []));
  if (common.length === 0)
    throw new Error(`models/parity: none of the reference's structures (${reference.ids[0]}, ...) was embedded`);
  const rows = (values: Float32Array | Float64Array, s: number) =>
    values.subarray(reference.offsets[s] * dim, reference.offsets[s + 1] * dim);
  const got = common.map(({ index }) => embeddings[index]);
  const error = (values: Float32Array | Float64Array) =>
    embeddingError(
      got,
      common.map(({ s }) => rows(values, s)),
    );

  const float32 = error(reference.embedding);
  const float64 = reference.embeddingFloat64 ? error(reference.embeddingFloat64) : null;
  let energyMevPerAtom: number | null = null;
  if (energies && reference.energy) {
    energyMevPerAtom = 0;
    for (const { s, index } of common) {
      const atoms = reference.offsets[s + 1] - reference.offsets[s];
      energyMevPerAtom = Math.max(energyMevPerAtom, (1000 * Math.abs(energies[index] - reference.energy[s])) / atoms);
    }
  }
  const max = card.parity.tolerance ?? (card.max_neighbours === null ? PARITY_GATES.max : PARITY_GATES.maxCapped);
  const ok =
    float32.median <= PARITY_GATES.median &&
    float32.max <= max &&
    (float64 === null || float64.max <= PARITY_GATES.maxFloat64) &&
    (energyMevPerAtom === null || energyMevPerAtom <= PARITY_GATES.energyMevPerAtom);
  return { structures: common.length, float32, float64, energyMevPerAtom, ok };
}

/**
 * Median and maximum over structures of the largest absolute difference, in units of the RMS of `wanted`. A NaN counts as
 * infinite.
 * @param got [n] of each structure [n_atoms, d]
 * @param wanted the same shapes
 * @throws RangeError if shapes differ
 */
export function embeddingError(
  got: readonly ArrayLike<number>[],
  wanted: readonly ArrayLike<number>[],
): EmbeddingError {
  let square = 0;
  let count = 0;
  const largest = wanted.map((want, s) => {
    const have = got[s];
    if (have.length !== want.length) {
      throw new RangeError(
        `models/parity: structure ${s} has ${have.length} embedding values where ${want.length} are wanted`,
      );
    }
    let difference = 0;
    for (let k = 0; k < want.length; k++) {
      const deviation = Math.abs(have[k] - want[k]);
      difference = Math.max(difference, Number.isNaN(deviation) ? Infinity : deviation);
      square += want[k] * want[k];
    }
    count += want.length;
    return difference;
  });
  const rms = Math.sqrt(square / count);
  const relative = largest.map((difference) => (difference === 0 ? 0 : difference / rms));
  const sorted = [...relative].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  const max = sorted.at(-1)!;
  return { median, max, worst: relative.indexOf(max) };
}

function sums(perAtom: number[] | null, offsets: readonly number[]): number[] | null {
  if (!perAtom) return null;
  return offsets.slice(1).map((end, s) => perAtom.slice(offsets[s], end).reduce((sum, value) => sum + value, 0));
}
