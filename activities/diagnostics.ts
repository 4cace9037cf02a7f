import type { DiagnosticStage } from '../config/names.js';
import type { PartEntry } from '../datasets/manifest.js';
import { modelDiagnosticsTable } from '../datasets/tables/modelDiagnostics.js';
import { analogiesDiagnostic, arithmeticDiagnostic } from './arithmetic.js';
import { atypicalDiagnostic, noveltyDiagnostic } from './atypical.js';
import { biasDiagnostic } from './bias.js';
import { diagnosticActivity, diagnosticParts, type Diagnostic, type DiagnosticTask } from './diagnostic.js';
import { DiagnosticIndices } from './diagnosticIndex.js';
import type { ItemTask, PlanDocument, RunRef, Tally } from './documents.js';
import type { Work } from './heartbeat.js';
import { driftDiagnostic } from './drift.js';
import { Pools, poolStage } from './pool.js';
import type { Runs } from './runs.js';
import { spacesDiagnostic } from './spaces.js';
import { stitchingDiagnostic } from './stitching.js';
import { symmetryDiagnostic } from './symmetry.js';

/** All diagnostics over one memory, in the order of `DIAGNOSTIC_STAGES`. */
export function diagnosticsOf(runs: Runs): Diagnostic[] {
  const indices = new DiagnosticIndices(runs);
  const pools = new Pools(runs, indices);
  return [
    spacesDiagnostic(runs, indices, pools),
    symmetryDiagnostic(runs, indices),
    noveltyDiagnostic(runs, indices, pools),
    atypicalDiagnostic(runs, indices, pools),
    biasDiagnostic(runs, indices, pools),
    analogiesDiagnostic(runs, indices, pools),
    arithmeticDiagnostic(runs, indices, pools),
    stitchingDiagnostic(runs, indices, pools),
    driftDiagnostic(runs, indices, pools),
  ];
}

/** Their activities, and that which gathers what they look at. */
export function diagnosticStages(runs: Runs) {
  const activities = diagnosticsOf(runs).map((diagnostic) => [diagnostic.stage, diagnosticActivity(runs, diagnostic)]);
  return {
    ...(Object.fromEntries(activities) as Record<
      Exclude<DiagnosticStage, 'pool'>,
      (task: ItemTask, work: Work) => Promise<Tally>
    >),
    ...poolStage(runs, new DiagnosticIndices(runs)),
  };
}

/** The diagnostics of a plan that have something to do, with the number of their items; pooling comes first. */
export function plannedDiagnostics(runs: Runs, plan: PlanDocument): { stage: DiagnosticStage; items: number }[] {
  const planned = diagnosticsOf(runs)
    .map((diagnostic) => ({ stage: diagnostic.stage, items: diagnostic.items(plan) }))
    .filter(({ items }) => items > 0);
  return planned.length > 0 ? [{ stage: 'pool', items: plan.models.length }, ...planned] : [];
}

/** Every part that the diagnostics of a run published, by table. @throws when an item was not computed */
export async function publishedDiagnostics(
  runs: Runs,
  task: Omit<DiagnosticTask, 'item'>,
): Promise<{ table: string; parts: PartEntry[] }[]> {
  const tables = new Map<string, PartEntry[]>();
  for (const diagnostic of diagnosticsOf(runs))
    for (let item = 0; item < diagnostic.items(task.plan); item++) {
      const parts = await diagnosticParts(runs, diagnostic, { ...task, item });
      if (!parts) throw new Error(`activities: item ${item} of ${diagnostic.stage} is missing`);
      for (const [table, part] of Object.entries(parts)) {
        const known = tables.get(table);
        if (known) known.push(part);
        else tables.set(table, [part]);
      }
      task.work.beat({ stage: diagnostic.stage, item });
    }
  return [...tables].map(([table, parts]) => ({ table, parts }));
}

/** How many items of the diagnostics are there already. */
export async function cachedDiagnostics(runs: Runs, task: Omit<DiagnosticTask, 'item'>): Promise<number> {
  let cached = 0;
  for (const diagnostic of diagnosticsOf(runs))
    for (let item = 0; item < diagnostic.items(task.plan); item++)
      if (await diagnosticParts(runs, diagnostic, { ...task, item })) cached++;
  return cached;
}

/** What tables say should be known before their numbers are used: a sentence each. */
export async function warningsOf(
  runs: Runs,
  run: RunRef,
  tables: readonly { table: string; parts: readonly PartEntry[] }[],
  work: Work,
): Promise<string[]> {
  const warnings: string[] = [];
  for (const { key } of tables.find(({ table }) => table === 'model_diagnostics')?.parts ?? [])
    for (const { model, space, warning } of (await modelDiagnosticsTable.decode(await runs.store(run).get(key, work)))
      .rows)
      if (warning !== null) warnings.push(`${model}, ${space}: ${warning}`);
  return warnings;
}
