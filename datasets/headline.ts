/** What is shown first of similarity: one metric in one space against one null. */
export const HEADLINE = {
  space: 'coordinates',
  metric: 'mutual_knn_euclidean',
  stratum: 'all',
  null: 'within_element',
} as const;

/** The headline of one pair. */
export interface PairScore {
  model_a: string;
  model_b: string;
  /** Share of neighbours in common, chance included. */
  value: number;
  /** What of it is beyond the null: 0 nothing, 1 all there can be. */
  calibrated: number;
  low: number;
  high: number;
  p_value: number;
  /** Atoms compared in a draw. */
  n: number;
}

/** A model as averages see it. */
export interface ScoredModel {
  id: string;
  /** Models of one lineage share weights: among them agreement is no evidence. */
  lineage: string;
  /** The kind of control, for models that are no potentials proper; they are in no average. */
  control: string | null;
}

/** The headline of a run. */
export interface SimilarityHeadline {
  pairs: PairScore[];
  /** Of each model the mean calibrated score over the other lineages; null for controls and where there is no other lineage. */
  models: (ScoredModel & { average: number | null })[];
  /** Mean calibrated score over pairs of lineages; null where there is no pair. */
  average: number | null;
  /** Lineages in the average. */
  lineages: number;
}

/**
 * The headline of the pairs that have one. A pair of lineages counts once, with the mean of its pairs of models: five fine-tunes of one network are one voice, and
 * their agreement with each other is left out.
 */
export function similarityHeadline(pairs: readonly PairScore[], models: readonly ScoredModel[]): SimilarityHeadline {
  const byId = new Map(models.map((model) => [model.id, model]));
  const groups = new Map<string, number[]>();
  const ofModel = new Map<string, Map<string, number[]>>();
  const lineages = new Set<string>();
  for (const { model_a, model_b, calibrated } of pairs) {
    const [a, b] = [byId.get(model_a), byId.get(model_b)];
    if (!a || !b || a.control !== null || b.control !== null || a.lineage === b.lineage) continue;
    lineages.add(a.lineage).add(b.lineage);
    push(groups, JSON.stringify([a.lineage, b.lineage].sort()), calibrated);
    for (const [model, other] of [
      [a, b],
      [b, a],
    ]) {
      const others = ofModel.get(model.id) ?? new Map<string, number[]>();
      ofModel.set(model.id, others);
      push(others, other.lineage, calibrated);
    }
  }
  return {
    pairs: [...pairs],
    models: models.map((model) => ({ ...model, average: meanOfMeans(ofModel.get(model.id)) })),
    average: meanOfMeans(groups),
    lineages: lineages.size,
  };
}

function push(groups: Map<string, number[]>, name: string, value: number): void {
  const known = groups.get(name);
  if (known) known.push(value);
  else groups.set(name, [value]);
}

function meanOfMeans(groups: ReadonlyMap<string, readonly number[]> | undefined): number | null {
  if (!groups || groups.size === 0) return null;
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  return mean([...groups.values()].map(mean));
}
