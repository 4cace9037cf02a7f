import { matrix } from '../../latent/base/matrix.js';
import { applyMap, orthogonal } from '../../latent/maps/anchorMaps.js';
import { elementBounds } from '../../latent/transport/elementBounds.js';
import { gromovPair, solvePair, type SolvePairOptions } from '../../latent/transport/solvePair.js';

/** Vectors of some atoms: float32 [n, dim]. */
interface Cloud {
  vectors: Float32Array;
  dim: number;
}

/** Transport as the compute threads serve it. */
export const transportTasks = {
  /** A plan between two samples of coordinates. */
  solvePair: ({ x, y, options }: { x: Cloud; y: Cloud; options: SolvePairOptions }) =>
    solvePair(cloudOf(x), cloudOf(y), options),

  /** A plan between two samples of embeddings, those of x mapped by the rotation that brings its anchors nearest to those of y. */
  solveMappedPair: (task: {
    x: Cloud;
    y: Cloud;
    xAnchors: Float32Array;
    yAnchors: Float32Array;
    options: SolvePairOptions;
  }) => {
    const { x, y, xAnchors, yAnchors, options } = task;
    const map = orthogonal(cloudOf({ vectors: xAnchors, dim: x.dim }), cloudOf({ vectors: yAnchors, dim: y.dim }));
    return solvePair(applyMap(map, cloudOf(x)), cloudOf(y), options);
  },

  /** A plan between two samples of embeddings from the distances within each. */
  gromovPair: ({ x, y, options }: { x: Cloud; y: Cloud; options: SolvePairOptions }) =>
    gromovPair(cloudOf(x), cloudOf(y), options),

  /** Floor and ceiling of one model's element match, from two disjoint samples of its coordinates. */
  elementBounds: (task: {
    x: Cloud;
    y: Cloud;
    sourceElements: Int32Array;
    sinkElements: Int32Array;
    anchorElements: Int32Array;
    centred: boolean;
  }) => {
    const { x, y, sourceElements, sinkElements, anchorElements, centred } = task;
    return elementBounds(cloudOf(x), cloudOf(y), sourceElements, sinkElements, anchorElements, centred);
  },
};

function cloudOf({ vectors, dim }: Cloud) {
  return matrix(vectors, vectors.length / dim, dim);
}
