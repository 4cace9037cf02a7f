import { numberGroups } from '../base/groups.js';
import { rankPrediction, type Estimate } from '../statistics/rankPrediction.js';

/** Structures from which on a score is judged. */
export const FEWEST_STRUCTURES = 20;

/** A score of structures, larger for more atypical ones. */
export interface Score {
  score: string;
  /** The other model, where the score compares with one. */
  other: string | null;
  /** [n], NaN where a structure has none. */
  values: Float64Array;
}

/** What to judge. */
export interface ErrorPredictionTask {
  /** [n] eV per atom, not negative. */
  errors: Float64Array;
  scores: readonly Score[];
  /** [n] of each structure: what is drawn together in the bootstrap. */
  formulas: readonly string[];
  /** Positions of the structures of each subset. */
  subsets: readonly { subset: string; members: Int32Array }[];
  replicates: number;
  seed: number;
}

/** How well one score does on one subset. */
export interface ErrorPrediction extends Estimate {
  subset: string;
  score: string;
  other: string | null;
  metric: 'spearman' | 'auroc';
  n: number;
  formulas: number;
  meanError: number;
}

/**
 * How well each score foretells the errors of each subset, where it has {@link FEWEST_STRUCTURES} structures that the score is known of;
 * scores or errors that are all equal give nothing. The same structures are drawn for every score that all of them have.
 */
export function errorPrediction(task: ErrorPredictionTask): ErrorPrediction[] {
  const { errors, scores, formulas, subsets, replicates, seed } = task;
  return subsets.flatMap(({ subset, members }) =>
    scores.flatMap(({ score, other, values }) => {
      const known = members.filter((at) => !Number.isNaN(values[at]));
      const n = known.length;
      if (n < FEWEST_STRUCTURES) return [];
      const clusters = numberGroups(Array.from(known, (at) => formulas[at]));
      const take = (of: Float64Array) => Float64Array.from(known, (at) => of[at]);
      const found = rankPrediction(take(values), take(errors), clusters, replicates, seed);
      if (!found) return [];
      const meanError = known.reduce((sum, at) => sum + errors[at], 0) / n;
      return (['spearman', 'auroc'] as const).map((metric) => ({
        subset,
        score,
        other,
        metric,
        n,
        formulas: clusters.count,
        meanError,
        ...found[metric],
      }));
    }),
  );
}
