import { type AtomId, type AtomIds, compareAtoms } from './atomId.js';
import {
  type BirchOptions,
  BirchTree,
  type LeafFeatures,
  birchLeaves,
  concatenateLeaves,
  leafCentroids,
} from './birch.js';
import { decodeFloat64Record, encodeFloat64Record } from './float64Record.js';
import { nearestCentroids } from './kernels/nearestCentroid.js';
import { momentsOf } from './moments.js';
import { type DirectProjection, SMALLEST_SCALE, applyDirectProjection, fitDirectProjection } from './pca.js';
import { wardLabels } from './ward.js';

/**
 * DIRECT sampling (Qi et al. 2024, as in maml; METHOD.md 2), in steps that shards can do apart:
 *
 * 1. `momentsOf` each shard, `mergeMoments`, `fitDirectProjection`; each shard then `applyDirectProjection`s its own rows.
 * 2. `summariseShard` each shard; `clusterLeaves` over all summaries in shard order; while it answers `refit`, summarise again with
 *    the threshold that it names.
 * 3. `nominate` each shard; `chooseAnchors` over all nominations; while a centre is left without an anchor, `nominateReplacements`
 *    each shard and choose again.
 *
 * `direct` does all of it for rows in memory; so one shard and `direct` agree to the bit.
 */

/** Where an anchor should lie within its cluster. `maml-compat`: at the centroid of the last leaf entry of the cluster, as maml has it. */
export type CentreRule = 'cluster-centroid' | 'maml-compat';

/** Options of the clustering step. */
export interface ClusterOptions extends Partial<BirchOptions> {
  /** Default `cluster-centroid`. */
  centre?: CentreRule;
}

/** Starting threshold, in projected units (METHOD.md 2). */
export const DIRECT_THRESHOLD = 0.3;

/** scikit-learn's default. */
export const DIRECT_BRANCHING_FACTOR = 50;

/** Above this many leaf entries, Ward's quadratic time asks for a second BIRCH pass over them. */
export const MOST_LEAVES = 10_000;

/** Candidates this much farther from a centre than the nearest one tie with it, in projected units: far above float noise. */
export const TIE_TOLERANCE = 1e-4;

/** The same for `maml-compat`: maml has no tolerance, and rounding decides between the two rows of a leaf of two. */
const COMPATIBLE_TOLERANCE = 1e-9;

/** Below this threshold rows that BIRCH still merges are the same point for all purposes. */
const SMALLEST_THRESHOLD = 1e-6;

/** K clusters of the projected rows. */
export interface AnchorCentres {
  /** Clusters, K. */
  count: number;
  p: number;
  /** Where anchors should lie: [K, p] */
  centres: Float64Array;
  /** [L, p]; a row belongs to the cluster of its nearest leaf centroid */
  leafCentroids: Float64Array;
  /** Cluster of each leaf: [L] */
  leafLabels: Int32Array;
}

/** Outcome of `clusterLeaves`: centres, or the smaller threshold with which all shards must be summarised again. */
export type ClusterResult =
  | { status: 'clustered'; leaves: number; centres: AnchorCentres }
  | { status: 'refit'; leaves: number; threshold: number };

/** A row that may become the anchor of a centre. */
export interface Nomination extends AtomId {
  /** Index of the centre. */
  centre: number;
  /** Euclidean distance to it, in projected units. */
  distance: number;
  /** Row number within the shard. */
  row: number;
}

/** Step 2 of a shard: BIRCH leaf features of its projected rows [n, p]. */
export function summariseShard(
  projected: Float64Array,
  n: number,
  p: number,
  options: Partial<BirchOptions> = {},
): LeafFeatures {
  return birchLeaves(projected, n, p, {
    threshold: DIRECT_THRESHOLD,
    branchingFactor: DIRECT_BRANCHING_FACTOR,
    ...options,
  });
}

/**
 * Leaves of all parts, concatenated. As soon as they pass `MOST_LEAVES` they go into a tree of half the threshold instead (twice that,
 * while it still holds too many), so that memory is bounded whatever the number of shards.
 *
 * `resolved` is how many leaves one tree of all rows would have, as far as k: shards that cover the same ground have leaves there each,
 * so that their plain number would pass k with leaves far too coarse. Inserted into a common tree of the full threshold they come
 * within some 20 % of the single tree (sevennet-0 on 26,165 atoms at 0.3, 0.2, 0.1: 86, 295, 1686 from 7 shards and 89, 274, 1630 from
 * one); but the leaves of a single tree, inserted again, merge to half, so a lone part is counted as it is.
 */
function gatherLeaves(
  parts: Iterable<LeafFeatures>,
  k: number,
  { threshold, branchingFactor }: BirchOptions,
): { leaves: LeafFeatures; resolved: number } {
  let waiting: LeafFeatures[] = [];
  let [partCount, leafCount] = [0, 0];
  let radius = threshold / 2;
  let common: BirchTree | undefined;
  let compact: BirchTree | undefined;
  for (const part of parts) {
    partCount++;
    leafCount += part.count;
    common ??= new BirchTree(part.p, { threshold, branchingFactor });
    if (common.leafCount < k) common.insertLeaves(part);
    waiting.push(part);
    if (leafCount <= MOST_LEAVES) continue;
    compact ??= new BirchTree(part.p, { threshold: radius, branchingFactor });
    for (const leaves of waiting) compact.insertLeaves(leaves);
    waiting = [];
    while (compact.leafCount > MOST_LEAVES) {
      radius = radius > 0 ? 2 * radius : SMALLEST_THRESHOLD;
      const fewer = new BirchTree(part.p, { threshold: radius, branchingFactor });
      fewer.insertLeaves(compact.leaves());
      compact = fewer;
    }
  }
  const leaves = compact ? compact.leaves() : concatenateLeaves(waiting);
  return { leaves, resolved: partCount > 1 ? Math.min(common!.leafCount, leaves.count) : leaves.count };
}

/** Largest radius of a leaf, in projected units. */
function largestRadius({ count, p, n, squareSums }: LeafFeatures, centroids: Float64Array): number {
  let largest = 0;
  for (let i = 0; i < count; i++) {
    let squaredNorm = 0;
    for (let j = i * p; j < (i + 1) * p; j++) squaredNorm += centroids[j] * centroids[j];
    largest = Math.max(largest, squareSums[i] / n[i] - squaredNorm);
  }
  return Math.sqrt(largest);
}

function centresOf(
  leaves: LeafFeatures,
  centroids: Float64Array,
  labels: Int32Array,
  k: number,
  rule: CentreRule,
): Float64Array {
  const { count, p } = leaves;
  const centres = new Float64Array(k * p);
  if (rule === 'maml-compat') {
    for (let i = 0; i < count; i++) centres.set(centroids.subarray(i * p, (i + 1) * p), labels[i] * p);
    return centres;
  }
  const sizes = new Float64Array(k);
  for (let i = 0; i < count; i++) {
    sizes[labels[i]] += leaves.n[i];
    for (let j = 0; j < p; j++) centres[labels[i] * p + j] += leaves.linearSums[i * p + j];
  }
  return centres.map((sum, at) => sum / sizes[Math.floor(at / p)]);
}

/**
 * Clusters the leaves of all shards into k groups by unweighted Ward. They are concatenated: inserting them into a common tree would
 * compact them a second time (done only above `MOST_LEAVES`).
 * @param parts the shards' summaries, in shard order
 * @param options the threshold with which they were made, and where centres lie
 * @throws RangeError when the rows have fewer than k distinct points, so that no threshold would do
 */
export function clusterLeaves(parts: Iterable<LeafFeatures>, k: number, options: ClusterOptions = {}): ClusterResult {
  const {
    threshold = DIRECT_THRESHOLD,
    branchingFactor = DIRECT_BRANCHING_FACTOR,
    centre = 'cluster-centroid',
  } = options;
  const { leaves, resolved } = gatherLeaves(parts, k, { threshold, branchingFactor });
  const centroids = leafCentroids(leaves);
  if (resolved >= k) {
    const labels = wardLabels(centroids, leaves.count, leaves.p, k);
    const centres = centresOf(leaves, centroids, labels, k, centre);
    return {
      status: 'clustered',
      leaves: leaves.count,
      centres: { count: k, p: leaves.p, centres, leafCentroids: centroids, leafLabels: labels },
    };
  }
  const smaller = (threshold / k) * resolved;
  if (smaller < SMALLEST_THRESHOLD || largestRadius(leaves, centroids) < SMALLEST_THRESHOLD) {
    throw new RangeError(
      `latent/direct: the rows have only ${resolved} distinct points at threshold ${threshold}; ` +
        `${k} anchors need at least ${k}: ask for fewer anchors or add structures`,
    );
  }
  return { status: 'refit', leaves: resolved, threshold: smaller };
}

/** What `nominate` needs of a shard. */
export interface ShardRows {
  /** [n, p] */
  projected: Float64Array;
  n: number;
  ids: AtomIds;
}

function distanceToCentre(projected: Float64Array, row: number, { p, centres }: AnchorCentres, centre: number): number {
  let sum = 0;
  for (let j = 0, a = row * p, b = centre * p; j < p; j++) sum += (projected[a++] - centres[b++]) ** 2;
  return Math.sqrt(sum);
}

/**
 * Of the rows within the tolerance of the nearest one, those that no other beats in both distance and id. Whatever the other shards
 * hold, the rows that tie with the global minimum are, here, the nearest few up to some distance; the smallest id among these is always
 * on this front, so `chooseAnchors` decides as if it saw every row.
 */
function front(candidates: Nomination[], tolerance: number): Nomination[] {
  const limit = candidates.reduce((least, { distance }) => Math.min(least, distance), Infinity) + tolerance;
  const near = candidates
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance || compareAtoms(a, b));
  const kept: Nomination[] = [];
  for (const candidate of near)
    if (kept.length === 0 || compareAtoms(candidate, kept[kept.length - 1]) < 0) kept.push(candidate);
  return kept;
}

/**
 * Step 3 of a shard: for every centre the shard's candidates, among its rows of that cluster (those whose nearest leaf centroid carries
 * its label). A cluster without rows here has none.
 * @param tolerance see `TIE_TOLERANCE`; the same number must go to `chooseAnchors`
 */
export async function nominate(
  { projected, n, ids }: ShardRows,
  centres: AnchorCentres,
  tolerance = TIE_TOLERANCE,
): Promise<Nomination[]> {
  const leaf = await nearestCentroids(projected, n, centres.p, centres.leafCentroids, centres.leafLabels.length);
  const distances = new Float64Array(n);
  const least = new Float64Array(centres.count).fill(Infinity);
  for (let row = 0; row < n; row++) {
    const centre = centres.leafLabels[leaf[row]];
    distances[row] = distanceToCentre(projected, row, centres, centre);
    if (distances[row] < least[centre]) least[centre] = distances[row];
  }
  const candidates: Nomination[][] = Array.from({ length: centres.count }, () => []);
  for (let row = 0; row < n; row++) {
    const centre = centres.leafLabels[leaf[row]];
    const distance = distances[row];
    if (distance > least[centre] + tolerance) continue;
    candidates[centre].push({
      centre,
      distance,
      materialId: ids.materialIds[row],
      atomIndex: ids.atomIndices[row],
      row,
    });
  }
  return candidates.flatMap((ofCentre) => front(ofCentre, tolerance));
}

/**
 * Candidates for centres that no row belongs to (possible where leaf centroids crowd): rows of any cluster that are not anchors yet.
 * @param anchors what `chooseAnchors` gave, with `null` where a centre still has none
 */
export function nominateReplacements(
  { projected, n, ids }: ShardRows,
  centres: AnchorCentres,
  anchors: readonly (AtomId | null)[],
  tolerance = TIE_TOLERANCE,
): Nomination[] {
  const key = ({ materialId, atomIndex }: AtomId): string => `${materialId}\0${atomIndex}`;
  const taken = new Set(anchors.filter((anchor) => anchor !== null).map(key));
  return anchors.flatMap((anchor, centre) => {
    if (anchor !== null) return [];
    let least = Infinity;
    let candidates: Nomination[] = [];
    for (let row = 0; row < n; row++) {
      const distance = distanceToCentre(projected, row, centres, centre);
      if (distance > least + tolerance) continue;
      const nomination = { centre, distance, materialId: ids.materialIds[row], atomIndex: ids.atomIndices[row], row };
      if (taken.has(key(nomination))) continue;
      if (distance < least) {
        least = distance;
        candidates = candidates.filter((candidate) => candidate.distance <= least + tolerance);
      }
      candidates.push(nomination);
    }
    return front(candidates, tolerance);
  });
}

/**
 * One anchor a centre: of all candidates within the tolerance of the smallest distance, the one with the smallest (material_id,
 * atom_index). Independent of how rows were sharded. Anchors are distinct: of two centres that want one atom the first gets it, and the
 * other waits for another round of `nominateReplacements`.
 * @param nominationsByShard any order
 * @param soFar result of the round before
 * @returns [K]; `null` where a centre has no anchor yet
 * @throws RangeError when a further round brought nothing: there are fewer atoms than centres
 */
export function chooseAnchors<N extends Nomination>(
  nominationsByShard: readonly (readonly N[])[],
  k: number,
  soFar: readonly (N | null)[] = [],
  tolerance = TIE_TOLERANCE,
): (N | null)[] {
  const byCentre: N[][] = Array.from({ length: k }, () => []);
  for (const nominations of nominationsByShard)
    for (const nomination of nominations) byCentre[nomination.centre].push(nomination);
  const anchors: (N | null)[] = Array.from({ length: k }, (_, centre) => soFar[centre] ?? null);
  let filled = 0;
  for (let centre = 0; centre < k; centre++) {
    if (anchors[centre] || byCentre[centre].length === 0) continue;
    const limit = byCentre[centre].reduce((least, { distance }) => Math.min(least, distance), Infinity) + tolerance;
    const winner = byCentre[centre]
      .filter(({ distance }) => distance <= limit)
      .reduce((a, b) => (compareAtoms(b, a) < 0 ? b : a));
    if (anchors.some((anchor) => anchor !== null && compareAtoms(anchor, winner) === 0)) continue;
    anchors[centre] = winner;
    filled++;
  }
  if (filled === 0)
    throw new RangeError(
      `latent/direct: no atom is left for centre ${anchors.indexOf(null)} of ${k}; ask for fewer anchors`,
    );
  return anchors;
}

/** Result of `direct`. */
export interface DirectResult {
  /** Row of each anchor, one a cluster: [K] */
  rows: Int32Array;
  projection: DirectProjection;
  centres: AnchorCentres;
  /** The threshold that gave at least K leaves. */
  threshold: number;
}

/**
 * DIRECT on rows x [n, d] in memory. With `centre: 'maml-compat'` the anchors are those that maml's `DIRECTSampler` takes of the same
 * rows in the same order, up to what maml leaves to rounding: which of two rows equally far from a centre, and which of two leaves is last
 * (see `split` in birch.ts); and up to `MOST_LEAVES` leaves, where maml's quadratic memory ends too.
 * @param ids decide ties; rows count in order when left out
 */
export async function direct(
  x: Float32Array | Float64Array,
  n: number,
  dim: number,
  k: number,
  options: ClusterOptions & { ids?: AtomIds } = {},
): Promise<DirectResult> {
  const compatible = options.centre === 'maml-compat';
  const projection = fitDirectProjection(await momentsOf(x, n, dim), compatible ? 0 : SMALLEST_SCALE);
  const projected = await applyDirectProjection(projection, x, n);
  const ids = options.ids ?? {
    materialIds: new Array<string>(n).fill(''),
    atomIndices: Int32Array.from({ length: n }, (_, row) => row),
  };
  const tolerance = compatible ? COMPATIBLE_TOLERANCE : TIE_TOLERANCE;
  let threshold = options.threshold ?? DIRECT_THRESHOLD;
  for (;;) {
    const leaves = summariseShard(projected, n, projection.p, {
      threshold,
      branchingFactor: options.branchingFactor ?? DIRECT_BRANCHING_FACTOR,
    });
    const result = clusterLeaves([leaves], k, { ...options, threshold });
    if (result.status === 'refit') {
      threshold = result.threshold;
      continue;
    }
    const { centres } = result;
    const shard = { projected, n, ids };
    let anchors = chooseAnchors([await nominate(shard, centres, tolerance)], k, [], tolerance);
    while (anchors.includes(null))
      anchors = chooseAnchors([nominateReplacements(shard, centres, anchors, tolerance)], k, anchors, tolerance);
    return { rows: Int32Array.from(anchors, (anchor) => anchor!.row), projection, centres, threshold };
  }
}

const fields = ['shape', 'centres', 'leafCentroids', 'leafLabels'] as const;

/** Centres as bytes. */
export function encodeCentres({ count, p, centres, leafCentroids, leafLabels }: AnchorCentres): Uint8Array {
  return encodeFloat64Record('anchor-centres', {
    shape: [count, p],
    centres,
    leafCentroids,
    leafLabels: Float64Array.from(leafLabels),
  });
}

/** @throws RangeError when the bytes are not centres */
export function decodeCentres(bytes: Uint8Array): AnchorCentres {
  const { shape, centres, leafCentroids, leafLabels } = decodeFloat64Record('anchor-centres', fields, bytes);
  return { count: shape[0], p: shape[1], centres, leafCentroids, leafLabels: Int32Array.from(leafLabels) };
}
