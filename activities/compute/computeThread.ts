// Thread entry: the numerics of latent/ and the readers of structures/, served to activities. Local files are read here; stores and connections are
// the caller's, which answers what a task asks.
import { serve } from '../../threads/serve.js';
import type { AtomVectors } from '../../datasets/tables/atomVectors.js';
import { decodeMoments, encodeMoments, mergeMoments, momentsOf } from '../../latent/statistics/moments.js';
import {
  applyDirectProjection,
  decodeDirectProjection,
  encodeDirectProjection,
  fitDirectProjection,
  SMALLEST_SCALE,
} from '../../latent/basis/pca.js';
import { decodeLeaves, encodeLeaves } from '../../latent/basis/birch.js';
import {
  clusterLeaves,
  decodeCentres,
  encodeCentres,
  summariseShard,
  type CentreRule,
} from '../../latent/basis/leafClusters.js';
import { nominate, nominateReplacements } from '../../latent/basis/nomination.js';
import type { AtomId } from '../../latent/base/atomId.js';
import { cosinesToAnchors, meanRow, structureMeans } from '../../latent/basis/project.js';
import { farthestPoints, kMeansPlusPlus } from '../../latent/basis/anchorPolicies.js';
import { matrix } from '../../latent/base/matrix.js';
import { atomIds } from './atomIds.js';
import { diagnosticTasks } from './diagnosticTasks.js';
import { transportTasks } from './transportTasks.js';
import { snapshotTasks } from './snapshotTasks.js';
import { selectionTasks } from './selectionTasks.js';
import { similarityTasks } from './similarityTasks.js';

const tasks = {
  ...diagnosticTasks,
  ...transportTasks,
  ...similarityTasks,
  ...snapshotTasks,
  ...selectionTasks,

  /** Encoded moments of x [n, dim]. */
  moments: async ({ x, dim }: { x: Float32Array; dim: number }) =>
    encodeMoments(await momentsOf(x, x.length / dim, dim)),

  /** Encoded moments of the union of encoded moments, in the order given. */
  mergeMoments: (parts: Uint8Array[]) => encodeMoments(mergeMoments(parts.map(decodeMoments))),

  /** Encoded scaling and principal components; `maml-compat` scales dead columns up as scikit-learn does. */
  fitProjection: ({ moments, center }: { moments: Uint8Array; center: CentreRule }) =>
    encodeDirectProjection(fitDirectProjection(decodeMoments(moments), center === 'maml-compat' ? 0 : SMALLEST_SCALE)),

  /** Encoded BIRCH leaves of x [n, dim] in the projected space. */
  summarise: async (task: { x: Float32Array; dim: number; projection: Uint8Array; threshold: number }) => {
    const projection = decodeDirectProjection(task.projection);
    const n = task.x.length / task.dim;
    const projected = await applyDirectProjection(projection, task.x, n);
    return encodeLeaves(summariseShard(projected, n, projection.p, { threshold: task.threshold }));
  },

  /** Encoded centres of K clusters of all leaves, or the smaller threshold to summarise with. */
  clusterLeaves: (task: { leaves: Uint8Array[]; anchors: number; threshold: number; center: CentreRule }) => {
    const { threshold, center: centre } = task;
    const result = clusterLeaves(task.leaves.map(decodeLeaves), task.anchors, { threshold, centre });
    return result.status === 'refit' ? result : { status: result.status, centres: encodeCentres(result.centres) };
  },

  /** This shard's candidates for every centre, or for those that still have no anchor. */
  nominate: async (task: {
    rows: AtomVectors;
    projection: Uint8Array;
    centres: Uint8Array;
    anchors: (AtomId | null)[];
  }) => {
    const { vectors, atomicNumbers } = task.rows;
    const n = atomicNumbers.length;
    const projected = await applyDirectProjection(decodeDirectProjection(task.projection), vectors, n);
    const ids = atomIds(task.rows);
    const rows = { projected, n, ids };
    const centres = decodeCentres(task.centres);
    return task.anchors.length > 0 ? nominateReplacements(rows, centres, task.anchors) : nominate(rows, centres);
  },

  /** Rows that lie far apart in direction. */
  spreadAnchors: (task: {
    vectors: Float32Array[];
    method: 'farthest-point' | 'kmeans++';
    anchors: number;
    seed: number;
    /** How many of the first vectors are anchors already (farthest-point only). */
    given: number;
  }) => {
    const dim = task.vectors[0].length;
    const units = matrix(new Float64Array(task.vectors.length * dim), task.vectors.length, dim);
    task.vectors.forEach((vector, row) => {
      const norm = Math.hypot(...vector);
      vector.forEach((value, j) => (units.data[row * dim + j] = value / norm));
    });
    return task.method === 'farthest-point'
      ? farthestPoints(units, task.anchors, task.given)
      : kMeansPlusPlus(units, task.anchors, task.seed);
  },

  /** Cosines of x [n, dim] to the anchors [K, dim], and their means over structures. */
  project: async (task: {
    x: Float32Array;
    anchors: Float32Array;
    dim: number;
    offsets: Int32Array;
    centred: boolean;
  }) => {
    const { x, anchors, dim, offsets, centred } = task;
    const k = anchors.length / dim;
    const centre = centred ? { centre: meanRow(anchors, k, dim) } : {};
    const coordinates = await cosinesToAnchors(x, anchors, dim, centre);
    const counts = Array.from({ length: offsets.length - 1 }, (_, s) => offsets[s + 1] - offsets[s]);
    const means = structureMeans(coordinates, k, counts);
    return { coordinates, means, anchors: k };
  },
};

/** What the compute threads serve. */
export type ComputeTasks = typeof tasks;

serve(tasks);
