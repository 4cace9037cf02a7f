import { type AtomId, type AtomIds, compareAtoms } from '../base/atomId.js';
import type { Matrix } from '../base/matrix.js';
import { hashUnit, seededRandom } from '../base/random.js';

/**
 * Ways to pick anchors other than DIRECT. `random` and `element-stratified` rank atoms by a hash of (seed, material_id, atom_index), so
 * shards work apart and a grown snapshot keeps most anchors. `farthest-point` and `k-means++` must pass over the rows once an anchor:
 * they take a sample, the `POLICY_SAMPLE` atoms of lowest rank (`lowestRanked`). See docs/method.md, Other policies.
 */

/** Rows that `farthestPoints` and `kMeansPlusPlus` are meant for at most. */
export const POLICY_SAMPLE = 50_000;

/** An atom with its place in the random order of a seed. */
export interface RankedAtom extends AtomId {
  /** In [0, 1): `hashUnit(seed, materialId, atomIndex)`. */
  rank: number;
  /** Row number within the shard. */
  row: number;
}

function compareRanks(a: RankedAtom, b: RankedAtom): number {
  return a.rank - b.rank || compareAtoms(a, b);
}

/** The `count` atoms of lowest rank of one shard, in rank order. */
export function lowestRanked({ materialIds, atomIndices }: AtomIds, count: number, seed: number): RankedAtom[] {
  return Array.from(materialIds, (materialId, row) => {
    const atomIndex = atomIndices[row];
    return { materialId, atomIndex, rank: hashUnit(seed, materialId, atomIndex), row };
  })
    .sort(compareRanks)
    .slice(0, count);
}

/**
 * `random`: the k atoms of lowest rank over all shards, in rank order.
 * @param byShard `lowestRanked(ids, k, seed)` of every shard
 */
export function mergeLowestRanked<A extends RankedAtom>(byShard: readonly (readonly A[])[], k: number): A[] {
  const merged = byShard.flat().sort(compareRanks);
  if (merged.length < k)
    throw new RangeError(`latent/basis: ${k} anchors wanted of ${merged.length} atoms; ask for fewer`);
  return merged.slice(0, k);
}

/** What a shard knows of one element. */
export interface ElementCandidates<A extends RankedAtom = RankedAtom> {
  atomicNumber: number;
  /** Atoms of this element in the shard. */
  atoms: number;
  /** Those of lowest rank, in rank order. */
  candidates: A[];
}

/** For every element of a shard its atom count and its `count` atoms of lowest rank; elements ascending. */
export function lowestRankedByElement(
  ids: AtomIds,
  atomicNumbers: ArrayLike<number>,
  count: number,
  seed: number,
): ElementCandidates[] {
  const byElement = new Map<number, RankedAtom[]>();
  for (const atom of lowestRanked(ids, atomicNumbers.length, seed)) {
    const atomicNumber = atomicNumbers[atom.row];
    if (!byElement.has(atomicNumber)) byElement.set(atomicNumber, []);
    byElement.get(atomicNumber)!.push(atom);
  }
  return [...byElement]
    .sort(([a], [b]) => a - b)
    .map(([atomicNumber, atoms]) => ({ atomicNumber, atoms: atoms.length, candidates: atoms.slice(0, count) }));
}

/**
 * `element-stratified`: elements take turns, the commoner first (ties: the lighter), each giving its atom of lowest rank that is left,
 * until there are k. So elements get equal shares as far as they have atoms, and for k below the number of elements the commonest one each.
 * @param byShard `lowestRankedByElement(ids, atomicNumbers, k, seed)` of every shard
 */
export function stratifiedAnchors<A extends RankedAtom>(
  byShard: readonly (readonly ElementCandidates<A>[])[],
  k: number,
): A[] {
  const merged = new Map<number, ElementCandidates<A>>();
  for (const { atomicNumber, atoms, candidates } of byShard.flat()) {
    const before = merged.get(atomicNumber) ?? { atomicNumber, atoms: 0, candidates: [] };
    merged.set(atomicNumber, {
      atomicNumber,
      atoms: before.atoms + atoms,
      candidates: [...before.candidates, ...candidates],
    });
  }
  const elements = [...merged.values()].sort((a, b) => b.atoms - a.atoms || a.atomicNumber - b.atomicNumber);
  for (const { candidates } of elements) candidates.sort(compareRanks);
  const anchors: A[] = [];
  for (let round = 0; anchors.length < k; round++) {
    const before = anchors.length;
    for (const { candidates } of elements)
      if (round < candidates.length && anchors.length < k) anchors.push(candidates[round]);
    if (anchors.length === before) {
      throw new RangeError(`latent/basis: ${k} anchors wanted of ${before} atoms; ask for fewer`);
    }
  }
  return anchors;
}

/**
 * `explicit`: anchors named by the user.
 * @param names `material_id:atom_index` each; the id itself may contain colons
 * @throws RangeError at a name of another form or one that comes twice
 */
export function explicitAnchors(names: readonly string[]): AtomId[] {
  const seen = new Set<string>();
  return names.map((name, anchor) => {
    const parts = /^(.+):(\d+)$/s.exec(name);
    if (!parts)
      throw new RangeError(
        `latent/basis: anchor ${anchor} is '${name}'; it must be 'material_id:atom_index', as in 'mp-149:0'`,
      );
    const atom = { materialId: parts[1], atomIndex: Number(parts[2]) };
    const key = `${atom.materialId}:${atom.atomIndex}`;
    if (seen.has(key))
      throw new RangeError(`latent/basis: anchor ${anchor}, '${name}', comes twice; anchors must differ`);
    seen.add(key);
    return atom;
  });
}

/** Lowers `nearest` [n] to the squared distances to row `anchor` where that is nearer. */
function updateNearest(rows: Matrix, anchor: number, nearest: Float64Array): void {
  const { data, columns } = rows;
  for (let row = 0, at = 0; row < nearest.length; row++) {
    let squared = 0;
    for (let j = anchor * columns, end = j + columns; j < end; j++) {
      const difference = data[at++] - data[j];
      squared += difference * difference;
    }
    if (squared < nearest[row]) nearest[row] = squared;
  }
}

/** Fewer rows differ than anchors are wanted. Its name stays RangeError, by which callers in other threads know that too much was asked. */
export class TooFewPoints extends RangeError {}

/** Picks `first`, then rows up to k one by one: `next` gets every row's squared distance to the nearest picked so far. */
function pickOneByOne(
  rows: Matrix,
  k: number,
  first: readonly number[],
  next: (nearest: Float64Array) => number,
): Int32Array {
  const nearest = new Float64Array(rows.rows).fill(Infinity);
  const picked = new Int32Array(k);
  for (let i = 0; i < k; i++) {
    const row = i < first.length ? first[i] : next(nearest);
    if (rows.rows === 0 || (i >= first.length && nearest[row] === 0)) {
      throw new TooFewPoints(
        `latent/basis: the ${rows.rows} rows have only ${i} distinct points; ${k} anchors are too many`,
      );
    }
    picked[i] = row;
    updateNearest(rows, row, nearest);
  }
  return picked;
}

/**
 * `farthest-point` (Gonzalez 1985): row 0, then always the row farthest from all picked ones, the first of equals. With rows in rank
 * order the start is a random atom of the seed.
 * @param rows [n, p]
 * @param given how many of the first rows are picked beforehand, as when a set is extended
 * @returns row numbers: [k]
 * @throws {TooFewPoints} when there are fewer than k distinct rows
 */
export function farthestPoints(rows: Matrix, k: number, given = 0): Int32Array {
  const first = Array.from({ length: Math.max(given, 1) }, (_, row) => row);
  return pickOneByOne(rows, k, first, (nearest) => {
    let farthest = 0;
    for (let row = 1; row < nearest.length; row++) if (nearest[row] > nearest[farthest]) farthest = row;
    return farthest;
  });
}

/**
 * `k-means++` (Arthur and Vassilvitskii 2007), the seeding without the iterations after it: each next row is drawn with probability
 * proportional to its squared distance from the nearest picked one.
 * @param rows [n, p]
 * @returns row numbers: [k]
 * @throws {TooFewPoints} when there are fewer than k distinct rows
 */
export function kMeansPlusPlus(rows: Matrix, k: number, seed: number): Int32Array {
  const random = seededRandom(seed);
  return pickOneByOne(rows, k, [Math.floor(random() * rows.rows)], (nearest) => {
    const total = nearest.reduce((sum, squared) => sum + squared, 0);
    let left = random() * total;
    let last = 0; // the last row that can be drawn, for when rounding leaves a rest
    for (let row = 0; row < nearest.length; row++) {
      if (nearest[row] === 0) continue;
      last = row;
      left -= nearest[row];
      if (left < 0) break;
    }
    return last;
  });
}
