import { countUp } from '../base/integers.js';
import type { AtomIds } from '../base/atomId.js';
import {
  type AnchorCentres,
  type ClusterOptions,
  DIRECT_BRANCHING_FACTOR,
  DIRECT_THRESHOLD,
  clusterLeaves,
  summariseShard,
} from './leafClusters.js';
import { momentsOf } from '../statistics/moments.js';
import { TIE_TOLERANCE, chooseAnchors, nominate, nominateReplacements } from './nomination.js';
import { type DirectProjection, SMALLEST_SCALE, applyDirectProjection, fitDirectProjection } from './pca.js';

/**
 * DIRECT sampling (Qi et al. 2024, as in maml; docs/method.md, DIRECT), in steps that shards can do apart:
 *
 * 1. `momentsOf` each shard, `mergeMoments`, `fitDirectProjection`; each shard then `applyDirectProjection`s its own rows.
 * 2. `summariseShard` each shard; `clusterLeaves` over all summaries in shard order; while it answers `refit`, summarise again with
 *    the threshold that it names.
 * 3. `nominate` each shard; `chooseAnchors` over all nominations; while a centre is left without an anchor, `nominateReplacements`
 *    each shard and choose again.
 *
 * `direct` does all of it for rows in memory; so one shard and `direct` agree to the bit.
 */

/** Tolerance of ties for `maml-compat`: maml has no tolerance, and rounding decides between the two rows of a leaf of two. */
const COMPATIBLE_TOLERANCE = 1e-9;

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
    atomIndices: countUp(n),
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
