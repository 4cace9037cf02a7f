import { compareAtoms, type AtomId } from '../base/atomId.js';
import { hashUnit } from '../base/random.js';

/** What a structure offers to a sample: one atom for each of its symmetry orbits. */
export interface RowCandidates {
  materialId: string;
  /** Atom indices, one an orbit. */
  representatives: ArrayLike<number>;
}

/** A row with what decides its place: the rank of its orbit within the structure, then its hash. */
export interface RankedRow extends AtomId {
  rank: number;
  hash: number;
}

/**
 * The sample of one draw, in order of place: orbits are taken in rounds, one of every structure, then a second, until n are reached or none is left. A
 * row's place is (rank of its orbit within the structure, hash of the row), both decided by the hash of (seed, draw, material_id, atom_index) alone: the orbit
 * with the lowest hash of a structure has rank 0, the next rank 1. So samples of a grown database share almost all rows, every draw takes other orbits, and
 * the order of structures does not matter; and whatever is left out of such a list, its first rows are those that leaving it out before would have given. Holds
 * 2n rows at most, whatever the number of structures.
 *
 * The hash is `hashUnit(seed, draw, material_id, atom_index)` of latent/base/random.ts; in Python:
 * ```python
 * def mix(v):
 *     v &= M; v = (v ^ v >> 16) * 0x85ebca6b & M; v = (v ^ v >> 13) * 0xc2b2ae35 & M; return v ^ v >> 16
 * def hash_unit(seed, *keys):                      # M = 0xffffffff
 *     h = 0xcbf29ce484222325
 *     for byte in '\0'.join(map(str, (seed, *keys))).encode(): h = (h ^ byte) * 0x100000001b3 & (M << 32 | M)
 *     high, low = h >> 32, h & M
 *     high ^= mix(low); low ^= mix(high); high ^= mix(low)
 *     return (high * 2**21 + (low >> 11)) / 2**53
 * ```
 * @returns n rows, fewer where there are no more
 * @throws RangeError when n is not a positive integer
 */
export function rankRows(candidates: Iterable<RowCandidates>, n: number, seed: number, draw: number): RankedRow[] {
  if (!(Number.isInteger(n) && n > 0))
    throw new RangeError(`latent/samples: a sample of ${n} rows; it must be a positive integer`);
  let kept: RankedRow[] = [];
  let worst: RankedRow | undefined; // of n kept rows: none that comes after it can be in the sample
  for (const { materialId, representatives } of candidates) {
    const orbits = Array.from(representatives, (atomIndex) => ({
      materialId,
      atomIndex,
      rank: 0,
      hash: hashUnit(seed, draw, materialId, atomIndex),
    })).sort(byHash);
    for (const [rank, orbit] of orbits.entries()) {
      orbit.rank = rank;
      if (worst && byPlace(orbit, worst) > 0) break;
      kept.push(orbit);
    }
    if (kept.length >= 2 * n) {
      kept = kept.sort(byPlace).slice(0, n);
      worst = kept[n - 1];
    }
  }
  return kept.sort(byPlace).slice(0, n);
}

function byHash(a: RankedRow, b: RankedRow): number {
  return a.hash - b.hash || compareAtoms(a, b);
}

function byPlace(a: RankedRow, b: RankedRow): number {
  return a.rank - b.rank || byHash(a, b);
}
