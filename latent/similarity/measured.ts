import type { NullKind, SimilarityMetric } from '../../config/names.js';
import type { RowSet } from '../samples/rowSet.js';
import type { DrawEstimate } from '../statistics/bootstrap.js';
import type { Calibration } from '../statistics/nulls.js';
import type { SimilarityValueName } from './metrics.js';

/** Permutation nulls to calibrate against. */
export interface NullOptions {
  kinds: readonly NullKind[];
  /** Metrics to calibrate. The neighbour metrics cost O(n k) a permutation, the others a matrix product or more. */
  metrics: readonly SimilarityMetric[];
  /** 0.05 by default. */
  alpha?: number;
}

/** What to compare clouds by. */
export interface CompareOptions {
  metrics: readonly SimilarityMetric[];
  /** k of the mutual neighbours. */
  neighbours: number;
  /** Positions of the rows of dense metrics: see `denseMetrics`. */
  denseRows: Int32Array;
  /** Seed of the halves that maps are fitted on. */
  seed: number;
  nulls: NullOptions;
}

/** A value against one null. */
export interface CalibratedValue extends Calibration {
  null: NullKind;
  /** The bootstrap replicates, calibrated by the same threshold. */
  replicates: Float64Array;
}

/** One value of one draw of one pair. */
export interface ComparedValue extends DrawEstimate {
  metric: SimilarityMetric;
  name: SimilarityValueName;
  n: number;
  /** Skewness of the k-occurrence counts in x and in y; null for metrics without neighbours. */
  hubness: { x: number; y: number } | null;
  /** Null means and thresholds are on the scale of the value. */
  nulls: CalibratedValue[];
}

/** A value with what its bootstrap and its nulls need. */
export interface Measured {
  metric: SimilarityMetric;
  name: SimilarityValueName;
  rows: RowSet;
  value: number;
  /** Influence of each row on the value [n], mean 0: asked for where there are replicates. */
  influence: () => Float64Array | Promise<Float64Array>;
  hubness: ComparedValue['hubness'];
  /**
   * How a value is turned into the similarity that is calibrated (larger for the more alike) and back, and the largest similarity there
   * is; by default the value is the similarity and 1 the largest.
   */
  scale?: { similarity: (value: number) => number; value: (similarity: number) => number; most: number };
  /** The similarity that is observed, where its rounding must be that of the permuted ones. */
  similarity?: number;
  /** The similarity once row i of x stands beside row `permutation[i]` of y: of one permutation, or of many at once. */
  permuted:
    | ((permutation: Int32Array) => number | Promise<number>)
    | { all: (permutations: readonly Int32Array[]) => Float64Array };
}
