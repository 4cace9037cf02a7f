import type { RunSpec } from '../../config/runSpec.js';
import type { DiagnosticStage } from '../../config/names.js';
import { pairCount } from '../pairs/pairs.js';
import type { PlanDocument } from '../run/documents.js';

// What the items of diagnostics are, from the plan alone: nothing here reads, and nothing of what computes is imported.

/** A diagnostic, or the stage that lists what two of them score. */
export type PlannedStage = DiagnosticStage | 'scored';

/** Number of items of every stage in the order in which they run; 0 where it is switched off or has nothing to look at. */
export function plannedItems(plan: PlanDocument): Record<PlannedStage, number> {
  const { spec, models, snapshot } = plan;
  const { spaces, symmetry, atypical, element_bias, arithmetic, stitching, drift } = spec.diagnostics;
  const where = ({ enabled }: { enabled: boolean }, items: number) => (enabled ? items : 0);
  const counts = {
    spaces: where(spaces, models.length),
    symmetry: where(symmetry, models.length),
    novelty: where(atypical, models.length * snapshot.shards),
    atypical: where(atypical, snapshot.shards),
    scored: scoredItems(plan),
    judgement: judgedModels(spec).length,
    bias: where(element_bias, pairCount(plan)),
    analogies: where(arithmetic, models.length),
    arithmetic: where(arithmetic, pairCount(plan)),
    stitching: where(stitching, pairCount(plan)),
    drift: where(drift, versionPairs(plan).length),
  };
  return { pool: Object.values(counts).some((items) => items > 0) ? models.length : 0, ...counts };
}

/** The stages of a plan that have something to do, in the order in which they run. */
export function plannedDiagnostics(plan: PlanDocument): { stage: PlannedStage; items: number }[] {
  return (Object.entries(plannedItems(plan)) as [PlannedStage, number][])
    .filter(([, items]) => items > 0)
    .map(([stage, items]) => ({ stage, items }));
}

/** Pages whose scores are listed: none where no diagnostic scores structures. */
export function scoredItems({ spec, snapshot }: PlanDocument): number {
  return spec.diagnostics.atypical.enabled ? snapshot.pages.length : 0;
}

/** A model whose energy is compared with a label, and the others that are. */
export interface Judged {
  label: string;
  model: string;
  others: readonly string[];
}

/** What a spec asks to judge: the items of the stage `judgement`. */
export function judgedModels({ diagnostics }: RunSpec): Judged[] {
  const { enabled, judge } = diagnostics.atypical;
  if (!enabled) return [];
  return judge.flatMap(({ label, models }) =>
    models.map((model) => ({ label, model, others: models.filter((other) => other !== model) })),
  );
}

/** Pairs of models of one lineage, and those that the spec names: the items of the stage `drift`, in the order of the models. */
export function versionPairs({ spec, models }: PlanDocument): [string, string][] {
  const named = new Set(spec.diagnostics.drift.pairs.map(([a, b]) => JSON.stringify([a, b].sort())));
  return models.flatMap((a, i) =>
    models
      .slice(i + 1)
      .filter((b) => a.lineage === b.lineage || named.has(JSON.stringify([a.id, b.id].sort())))
      .map((b): [string, string] => [a.id, b.id]),
  );
}
