import {
  type BirchOptions,
  BirchTree,
  type LeafFeatures,
  birchLeaves,
  concatenateLeaves,
  leafCentroids,
} from './birch.js';
import { decodeArrays, encodeArrays } from '../base/typedArrays.js';
import { wardLabels } from './ward.js';

/** Where an anchor should lie within its cluster. `maml-compat`: at the centroid of the last leaf entry of the cluster, as maml has it. */
export type CentreRule = 'cluster-centroid' | 'maml-compat';

/** Options of the clustering step. */
export interface ClusterOptions extends Partial<BirchOptions> {
  /** Default `cluster-centroid`. */
  centre?: CentreRule;
}

/** Starting threshold, in projected units: maml's. */
export const DIRECT_THRESHOLD = 0.3;

/** scikit-learn's default. */
export const DIRECT_BRANCHING_FACTOR = 50;

/** Above this many leaf entries, Ward's quadratic time asks for a second BIRCH pass over them. */
export const MOST_LEAVES = 10_000;

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
      `latent/basis: the rows have only ${resolved} distinct points at threshold ${threshold}; ` +
        `${k} anchors need at least ${k}: ask for fewer anchors or add structures`,
    );
  }
  return { status: 'refit', leaves: resolved, threshold: smaller };
}

const RECORD = 'anchor-centres';
type CentresRecord = Record<'shape' | 'centres' | 'leafCentroids' | 'leafLabels', Float64Array>;

/** Centres as bytes. */
export function encodeCentres({ count, p, centres, leafCentroids, leafLabels }: AnchorCentres): Uint8Array {
  return encodeArrays(RECORD, {
    shape: Float64Array.of(count, p),
    centres,
    leafCentroids,
    leafLabels: Float64Array.from(leafLabels),
  });
}

/** @throws RangeError when the bytes are not centres */
export function decodeCentres(bytes: Uint8Array): AnchorCentres {
  const { shape, centres, leafCentroids, leafLabels } = decodeArrays<CentresRecord>(RECORD, bytes);
  return { count: shape[0], p: shape[1], centres, leafCentroids, leafLabels: Int32Array.from(leafLabels) };
}
