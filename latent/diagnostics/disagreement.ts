import type { Matrix } from '../base/matrix.js';
import type { ColumnScale } from '../statistics/columnScale.js';

/** One model's coordinates of some atoms, and which lineage it is of. */
export interface Opinion extends ColumnScale {
  /** [n, K] */
  coordinates: Matrix;
  /** Models of a lineage share one vote. */
  lineage: string;
}

/**
 * Disagreement of models on every row (docs/method.md, Atypical structures): coordinates standardised by each model's own scale, averaged within a lineage; then the
 * variance over lineages (divisor lineages - 1), mean over anchors. About 1 where models are unrelated, 0 where they agree. Without
 * standardising, the variance follows the models' offsets and is worse than useless as a score.
 * @param opinions of the same rows, in the same order
 * @returns [n]; undefined below two lineages
 */
export function disagreement(opinions: readonly Opinion[]): Float64Array | undefined {
  const lineages = [...new Set(opinions.map(({ lineage }) => lineage))];
  if (lineages.length < 2) return undefined;
  const { rows, columns } = opinions[0].coordinates;
  const votes = lineages.map((name) => {
    const members = opinions.filter(({ lineage }) => lineage === name);
    const vote = new Float64Array(rows * columns);
    for (const { coordinates, mean, deviation } of members)
      for (let at = 0; at < vote.length; at++) {
        const c = at % columns;
        vote[at] += (coordinates.data[at] - mean[c]) / deviation[c] / members.length;
      }
    return vote;
  });
  const scores = new Float64Array(rows);
  for (let at = 0; at < rows * columns; at++) {
    let sum = 0;
    let squares = 0;
    for (const vote of votes) sum += vote[at];
    const mean = sum / votes.length;
    for (const vote of votes) squares += (vote[at] - mean) ** 2;
    scores[Math.floor(at / columns)] += squares / (votes.length - 1) / columns;
  }
  return scores;
}
