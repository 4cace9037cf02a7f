import { anchorQuality, gramConditioning } from '../../latent/basis/anchorQuality.js';
import {
  farthestPoints,
  kMeansPlusPlus,
  lowestRankedByElement,
  stratifiedAnchors,
  TooFewPoints,
} from '../../latent/basis/anchorPolicies.js';
import {
  elementSpace,
  evaluateControls,
  evaluateSpace,
  evaluateTransfer,
  predictablePairs,
  summariseScores,
  type Predicted,
  type SpaceSums,
} from '../../latent/arithmetic/evaluate.js';
import type { Substitution } from '../../latent/arithmetic/substitutions.js';
import { clusterMeans } from '../../latent/statistics/clusterBootstrap.js';
import { compositionBaselines, type ReferenceAtoms } from '../../latent/diagnostics/compositionBaselines.js';
import { drift, type DriftOptions, type Versions } from '../../latent/diagnostics/drift.js';
import { elementBias, type ElementBiasOptions } from '../../latent/diagnostics/elementBias.js';
import { errorPrediction, type ErrorPredictionTask } from '../../latent/diagnostics/errorPrediction.js';
import { finiteFloat64, matrix, takeRows, type Matrix } from '../../latent/base/matrix.js';
import { decodeMoments, momentsOf } from '../../latent/statistics/moments.js';
import { novelty } from '../../latent/diagnostics/novelty.js';
import { nearestDistances } from '../../latent/diagnostics/orbitSpreads.js';
import { applyDirectProjection, fitDirectProjection, NoVariance } from '../../latent/basis/pca.js';
import { seededRandom, shuffle } from '../../latent/base/random.js';
import { hubness, nearestNeighbours } from '../../latent/neighbours/neighbours.js';
import { stitch, type StitchingTask } from '../../latent/maps/stitch.js';
import {
  ANISOTROPY_WARNING,
  groupShare,
  spaceDiagnostics,
  twoNearestNeighbourDimension,
  type SpaceDiagnostics,
} from '../../latent/diagnostics/spaceDiagnostics.js';

/** Nearest neighbours of hubness, as similarity has them. */
const HUB_NEIGHBOURS = 10;
/** Anchors unlike most atoms are all alike to them. */
const OTHER_ANCHORS = '; choose the anchors among structures more like these (basis.sources), or by another method';

/** The tasks of diagnostics for the compute threads. */
export const diagnosticTasks = {
  /** Figures of a model's spaces and anchors from its moments and a sample: embeddings [n, d], coordinates [n, K]. */
  diagnoseSpaces: async (task: {
    moments: Uint8Array;
    embeddings: Float32Array;
    coordinates: Float32Array;
    atomicNumbers: Int32Array;
    /** Rows of the sample, one a structure. */
    firsts: Int32Array;
    /** [K, d] */
    anchors: Float32Array;
    /** [K] */
    anchorElements: Int32Array;
    seed: number;
  }) => {
    const n = task.atomicNumbers.length;
    const moments = decodeMoments(task.moments);
    const embeddings = matrix(task.embeddings, n, moments.dim);
    const coordinates = matrix(task.coordinates, n, task.anchorElements.length);
    // An element without an anchor is at the origin of a one-hot model's coordinates, and has no direction there.
    const directed = Int32Array.from({ length: n }, (_, row) => row).filter((row) =>
      coordinates.data.subarray(row * coordinates.columns, (row + 1) * coordinates.columns).some((z) => z !== 0),
    );
    const ofCoordinates =
      directed.length === 0
        ? null
        : await momentsOf(takeRows(coordinates, directed).data, directed.length, coordinates.columns);
    const { firsts, atomicNumbers } = task;
    return {
      spaces: {
        embeddings: await figures(spaceDiagnostics(moments), embeddings, firsts, atomicNumbers, ''),
        coordinates:
          ofCoordinates &&
          (await figures(spaceDiagnostics(ofCoordinates), coordinates, firsts, atomicNumbers, OTHER_ANCHORS)),
      },
      anchors: await qualities(task, embeddings),
    };
  },

  /** See `elementBias` of latent. */
  elementBias: (task: {
    x: Matrix;
    y: Matrix;
    atomicNumbers: Int32Array;
    structures: Int32Array;
    options: ElementBiasOptions;
  }) => elementBias(task.x, task.y, task.atomicNumbers, task.structures, task.options),

  /** Drift of vectors, and of energies: `energies` are changes per atom (eV), a structure each. */
  drift: async (task: { versions: Versions; energies: Float64Array; options: DriftOptions }) => {
    const { versions, energies, options } = task;
    return { shifts: await drift(versions, options), energies: energyDrift(energies, options) };
  },

  /** Embedding arithmetic within one model, the composition controls beside it. */
  arithmetic: async (task: {
    spaces: { space: string; sums: SpaceSums }[];
    compositions: ReadonlyMap<number, number>[];
    pairs: Substitution[];
    replicates: number;
    seed: number;
  }) => {
    const { compositions, replicates, seed } = task;
    const pairs = predictablePairs(task.pairs, compositions);
    const evaluated: { space: string; predicted: Predicted[] }[] = [
      { space: 'composition', predicted: await evaluateControls(compositions, pairs, seed) },
    ];
    for (const { space, sums } of task.spaces)
      evaluated.push({ space, predicted: await evaluateSpace(elementSpace(sums, compositions), pairs) });
    const figures = evaluated.flatMap(({ space, predicted }) =>
      predicted.flatMap(({ predictor, ...scores }) =>
        summariseScores(scores, pairs, replicates, seed).map((figure) => ({ space, predictor, ...figure })),
      ),
    );
    const scoresOf = (space: string, predictor: Predicted['predictor']) =>
      evaluated.find((one) => one.space === space)!.predicted.find((one) => one.predictor === predictor)!;
    const offset = scoresOf('coordinates', 'offset');
    const [noChange, composition, oneHot] = [
      scoresOf('coordinates', 'no_change'),
      scoresOf('coordinates', 'composition_mean'),
      scoresOf('composition', 'one_hot'),
    ];
    const analogies = pairs.map((pair, at) => ({
      pair,
      rank: offset.rank[at],
      rank_no_change: noChange.rank[at],
      rank_composition: composition.rank[at],
      rank_one_hot: oneHot.rank[at],
      relative_error: Number.isNaN(offset.relativeError[at]) ? null : offset.relativeError[at],
    }));
    analogies.sort((a, b) => a.rank - b.rank || (a.relative_error ?? 0) - (b.relative_error ?? 0));
    return { figures, analogies };
  },

  /** Novelty of x [n, dim] against a reference [m, dim], see latent. */
  novelty: (task: {
    x: Float32Array;
    reference: Float32Array;
    dim: number;
    neighbours: number;
    groups: Int32Array;
    referenceGroups: Int32Array;
  }) => {
    const { x, reference, dim, neighbours, groups, referenceGroups } = task;
    const rows = (data: Float32Array) => matrix(data, data.length / dim, dim);
    return novelty(rows(x), rows(reference), neighbours, groups, referenceGroups);
  },

  /**
   * How well scores, and plain baselines beside them, foretell errors of `members` [n] among structures of which `atomicNumbers` tells all, see
   * latent.
   */
  errorPrediction: (
    task: ErrorPredictionTask & {
      atomicNumbers: readonly Uint8Array[];
      members: Int32Array;
      reference: ReferenceAtoms;
    },
  ) => {
    const { atomicNumbers, members, reference, scores } = task;
    const { rarity, distance } = compositionBaselines(atomicNumbers, members, reference);
    const baselines = {
      n_atoms: Float64Array.from(members, (position) => atomicNumbers[position].length),
      element_rarity: rarity,
      composition_distance: distance,
    };
    const plain = Object.entries(baselines).map(([score, values]) => ({ score, other: null, values }));
    return errorPrediction({ ...task, scores: [...scores, ...plain] });
  },

  /** See `nearestDistances` of latent. */
  nearestDistances: (x: Matrix) => nearestDistances(x),

  /** See `stitch` of latent. */
  stitch: (task: StitchingTask) => stitch(task),

  /** Offsets of one model applied in another. */
  transferOffsets: async (task: {
    from: { sums: SpaceSums; compositions: ReadonlyMap<number, number>[] };
    to: { sums: SpaceSums; compositions: ReadonlyMap<number, number>[] };
    pairs: { inFrom: Substitution; inTo: Substitution }[];
    replicates: number;
    seed: number;
  }) => {
    const { from, to, replicates, seed } = task;
    const known = new Set(
      predictablePairs(
        task.pairs.map(({ inFrom }) => inFrom),
        from.compositions,
      ),
    );
    const pairs = task.pairs.filter(({ inFrom }) => known.has(inFrom));
    const scores = await evaluateTransfer(
      elementSpace(from.sums, from.compositions),
      elementSpace(to.sums, to.compositions),
      pairs,
    );
    return summariseScores(
      scores,
      pairs.map(({ inTo }) => inTo),
      replicates,
      seed,
    );
  },
};

/** Mean change of the energy and the scatter about it, with intervals over structures; nothing below two structures. */
function energyDrift(changes: Float64Array, { replicates, seed }: DriftOptions) {
  const n = changes.length;
  if (n < 2) return [];
  const groups = { groups: Int32Array.from({ length: n }, (_, at) => at), count: n };
  const mean = changes.reduce((sum, value) => sum + value, 0) / n;
  const squares = changes.map((value) => (value - mean) ** 2);
  const [offset, variance] = clusterMeans([changes, squares], groups, replicates, seed);
  const scatter = {
    value: Math.sqrt(variance.value),
    low: Math.sqrt(variance.low),
    high: Math.sqrt(variance.high),
  };
  return [
    { metric: 'energy_offset', interval: offset, n },
    { metric: 'energy_scatter', interval: scatter, n },
  ];
}

/** @param mend of neighbours that say little, if there is one */
async function figures(
  space: SpaceDiagnostics,
  sample: Matrix,
  firsts: Int32Array,
  atomicNumbers: Int32Array,
  mend: string,
) {
  const k = HUB_NEIGHBOURS;
  return {
    dim: space.dim,
    n: space.n,
    mean_cosine: space.meanCosine,
    mean_share: space.meanShare,
    effective_rank: space.effectiveRank,
    mean_norm: space.meanNorm,
    norm_deviation: space.normDeviation,
    // Atoms of one crystal are near one another whatever the space is: together they would look like a line.
    intrinsic_dimension: await twoNearestNeighbourDimension(takeRows(sample, firsts)),
    element_share: groupShare(sample, atomicNumbers),
    hubness:
      sample.rows >= k + 2 ? hubness(await nearestNeighbours(finiteFloat64(sample, 'sample'), k, 'euclidean')) : null,
    warning: warningOf(space, mend),
  };
}

/** What docs/method.md, Spaces, warns of. */
function warningOf({ meanCosine, meanShare, effectiveRank, dim }: SpaceDiagnostics, mend: string): string | null {
  if (meanCosine > ANISOTROPY_WARNING)
    return (
      `two atoms have a cosine of ${meanCosine.toFixed(2)} on average and the mean is ${Math.round(100 * meanShare)} % of the ` +
      `second moment: cosines hardly tell atoms apart; set coordinates.centre to anchors`
    );
  if (effectiveRank < 3 && dim > 3)
    return `the variance lies in ${effectiveRank.toFixed(1)} of ${dim} directions: neighbours say little${mend}`;
  return null;
}

/** Figures of the anchors, and of as many by other policies from the sample, in the space in which DIRECT clusters. */
async function qualities(
  task: {
    moments: Uint8Array;
    atomicNumbers: Int32Array;
    anchors: Float32Array;
    anchorElements: Int32Array;
    seed: number;
  },
  sample: Matrix<Float32Array>,
) {
  const k = task.anchorElements.length;
  const [n, d] = [sample.rows, sample.columns];
  const together = new Float32Array((n + k) * d);
  together.set(sample.data);
  together.set(task.anchors, n * d);
  const rows = matrix(together, n + k, d);
  const elements = Int32Array.from([...task.atomicNumbers, ...task.anchorElements]);
  const projected = await clusteringSpace(task.moments, rows);
  const sets: [string, ArrayLike<number>][] = [['basis', Int32Array.from({ length: k }, (_, anchor) => n + anchor)]];
  if (n >= k) sets.push(...policies(sample, task.atomicNumbers, k, task.seed));
  const found: { policy: string; metric: string; value: number; n: number }[] = [];
  for (const [policy, anchors] of sets) {
    const add = (metric: string, value: number) => found.push({ policy, metric, value, n: n + k });
    if (projected) {
      const quality = anchorQuality(projected, anchors, elements);
      add('coverage', quality.coverage);
      add('mean_distance', quality.meanDistance);
      add('worst_distance', quality.worstDistance);
    }
    add('elements_hit', new Set(Array.from(anchors, (row) => elements[row])).size);
    add('elements', new Set(elements).size);
    const gram = await gramConditioning(takeRows(rows, anchors));
    add('gram_condition', gram.condition);
    add('gram_effective_rank', gram.effectiveRank);
  }
  return found;
}

/** Rows scaled and projected as DIRECT does; undefined where all embeddings are equal, which have no such space. */
async function clusteringSpace(moments: Uint8Array, rows: Matrix): Promise<Matrix | undefined> {
  try {
    const projection = fitDirectProjection(decodeMoments(moments));
    return matrix(await applyDirectProjection(projection, rows.data, rows.rows), rows.rows, projection.p);
  } catch (error) {
    if (error instanceof NoVariance) return undefined;
    throw error;
  }
}

function policies(
  sample: Matrix<Float32Array>,
  atomicNumbers: Int32Array,
  k: number,
  seed: number,
): [string, ArrayLike<number>][] {
  const units = matrix(Float64Array.from(sample.data), sample.rows, sample.columns);
  for (let row = 0; row < units.rows; row++) {
    const vector = units.data.subarray(row * units.columns, (row + 1) * units.columns);
    const norm = Math.hypot(...vector);
    for (let c = 0; c < vector.length; c++) vector[c] /= norm;
  }
  const order = shuffle(
    Int32Array.from({ length: sample.rows }, (_, row) => row),
    seededRandom(seed),
  );
  const ids = { materialIds: Array.from(order, String), atomIndices: new Int32Array(sample.rows) };
  const stratified = stratifiedAnchors([lowestRankedByElement(ids, atomicNumbers, k, seed)], k);
  const sets: [string, ArrayLike<number>][] = [
    ['random', order.slice(0, k)],
    ['element-stratified', stratified.map(({ row }) => row)],
  ];
  try {
    sets.push(['kmeans++', kMeansPlusPlus(units, k, seed)], ['farthest-point', farthestPoints(units, k)]);
  } catch (error) {
    // Where fewer than k atoms differ in direction, there is no such set.
    if (!(error instanceof TooFewPoints)) throw error;
  }
  return sets;
}
