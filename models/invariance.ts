import { inverted, rotated, seededRandom } from './crystalVariants.js';
import type { ShardEmbedding } from './embedJob.js';
import type { Crystal } from './graphBatch.js';

/** What an operation on crystals changes. */
export interface Change {
  /** [atoms] |e' - e| over the root mean square length of an embedding, all variants together. */
  changes: Float64Array;
  /** [structures] |E' - E| in eV/atom; empty where the model gives no energy. */
  energies: Float64Array;
  /** Structures compared, each variant counted. */
  structures: number;
}

/**
 * Measures what random rotations, and separately inversion, change: a network may respect the one and not the other (SevenNet does).
 * Structures that the model refuses, in either form, are left out.
 * @param embed runs the model
 * @param structures as they are
 */
export async function measureInvariance(
  embed: (crystals: readonly Crystal[]) => Promise<ShardEmbedding>,
  structures: readonly Crystal[],
  options: { rotations: number; seed: number; onProgress?: (variants: number) => void },
): Promise<{ rotation: Change; inversion: Change }> {
  const base = await embed(structures);
  const accepted = base.accepted.map((index) => structures[index]);
  const random = seededRandom(options.seed);
  let done = 0;
  const change = async (variants: Crystal[][]): Promise<Change> => {
    const parts: Compared[] = [];
    for (const variant of variants) {
      parts.push(compared(accepted, base, await embed(variant)));
      options.onProgress?.(++done);
    }
    return {
      changes: Float64Array.from(parts.flatMap(({ changes }) => changes)),
      energies: Float64Array.from(parts.flatMap(({ energies }) => energies)),
      structures: parts.reduce((sum, { structures: count }) => sum + count, 0),
    };
  };
  const rotations = Array.from({ length: options.rotations }, () =>
    accepted.map((crystal) => rotated(crystal, random)),
  );
  return { rotation: await change(rotations), inversion: await change([accepted.map(inverted)]) };
}

interface Compared {
  changes: number[];
  energies: number[];
  structures: number;
}

/** @param base of `crystals`, all of them accepted; `other` of their variants */
function compared(crystals: readonly Crystal[], base: ShardEmbedding, other: ShardEmbedding): Compared {
  const { dim, embedding } = base;
  const unit = Math.sqrt((embedding.reduce((sum, value) => sum + value * value, 0) * dim) / embedding.length) || 1;
  const offsets = [0];
  for (const { atomicNumbers } of crystals) offsets.push(offsets[offsets.length - 1] + atomicNumbers.length);
  const found: Compared = { changes: [], energies: [], structures: other.accepted.length };
  let at = 0;
  other.accepted.forEach((index, position) => {
    const atoms = crystals[index].atomicNumbers.length;
    for (let atom = 0; atom < atoms; atom++, at++) {
      let square = 0;
      for (let c = 0; c < dim; c++)
        square += (other.embedding[at * dim + c] - embedding[(offsets[index] + atom) * dim + c]) ** 2;
      found.changes.push(Math.sqrt(square) / unit);
    }
    if (base.energies && other.energies)
      found.energies.push(Math.abs(other.energies[position] - base.energies[index]) / atoms);
  });
  return found;
}
