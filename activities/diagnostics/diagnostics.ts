import type { DiagnosticStage } from '../../config/names.js';
import type { PartEntry } from '../../datasets/manifest.js';
import type { DiagnosedModel, DiagnosticFindings } from '../../datasets/diagnosticsCard.js';
import { arithmeticTable } from '../../datasets/tables/arithmetic.js';
import { errorPredictionTable } from '../../datasets/tables/errorPrediction.js';
import type { Columns, RowTable } from '../../datasets/tables/rowTable.js';
import { symmetryTable } from '../../datasets/tables/symmetry.js';
import { modelDiagnosticsTable } from '../../datasets/tables/modelDiagnostics.js';
import { analogiesDiagnostic, arithmeticDiagnostic } from './arithmetic.js';
import { atypicalDiagnostic, noveltyDiagnostic } from './atypical.js';
import { biasDiagnostic } from './bias.js';
import { diagnosticActivity, diagnosticParts, type Diagnostic, type DiagnosticTask } from './diagnostic.js';
import { DiagnosticIndices } from './diagnosticIndex.js';
import type { ItemTask, PlanDocument, RunRef, Tally } from '../run/documents.js';
import type { Work } from '../engine/heartbeat.js';
import { driftDiagnostic } from './drift.js';
import { Pools, poolStage } from './pool.js';
import { ModelNotCollected } from '../project/project.js';
import { judgementDiagnostic, judgementFindings } from './judgement.js';
import type { Runs } from '../run/runs.js';
import { spacesDiagnostic } from './spaces.js';
import { stitchingDiagnostic } from './stitching.js';
import { CHANGED, symmetryDiagnostic } from './symmetry.js';

/** All diagnostics over one memory, in the order of `DIAGNOSTIC_STAGES`. */
export function diagnosticsOf(runs: Runs): Diagnostic[] {
  const indices = new DiagnosticIndices(runs);
  const pools = new Pools(runs, indices);
  return [
    spacesDiagnostic(runs, indices, pools),
    symmetryDiagnostic(runs, indices),
    noveltyDiagnostic(runs, indices, pools),
    atypicalDiagnostic(runs, indices, pools),
    judgementDiagnostic(runs, indices, pools),
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

/** How many items of the diagnostics are there already; those of models that are not collected are not. */
export async function cachedDiagnostics(runs: Runs, task: Omit<DiagnosticTask, 'item'>): Promise<number> {
  let cached = 0;
  for (const diagnostic of diagnosticsOf(runs))
    for (let item = 0; item < diagnostic.items(task.plan); item++)
      try {
        if (await diagnosticParts(runs, diagnostic, { ...task, item })) cached++;
      } catch (error) {
        if (!(error instanceof ModelNotCollected)) throw error;
      }
  return cached;
}

/** What the card and the end of a run say of the published tables. */
export async function diagnosticFindings(
  runs: Runs,
  run: RunRef,
  plan: PlanDocument,
  tables: readonly { table: string; parts: readonly PartEntry[] }[],
  work: Work,
): Promise<DiagnosticFindings> {
  const store = runs.store(run);
  const rowsOf = async <C extends Columns>(table: RowTable<C>) => {
    const parts = tables.find((one) => one.table === table.name)?.parts ?? [];
    const decoded = await Promise.all(
      parts.map(async ({ key }) => (await table.decode(await store.get(key, work))).rows),
    );
    return decoded.flat();
  };
  const spaces = await rowsOf(modelDiagnosticsTable);
  const symmetry = await rowsOf(symmetryTable);
  const judgement = judgementFindings(plan.spec, await rowsOf(errorPredictionTable));
  const ranks = (await rowsOf(arithmeticTable)).filter(
    ({ metric, model_a, model_b }) => metric === 'mrr' && model_a === model_b,
  );
  const models = plan.models.map(({ id }): DiagnosedModel => {
    const space = spaces.find((row) => row.model === id && row.space === 'embeddings');
    const largest = (test: string) =>
      symmetry.find(
        (row) => row.model === id && row.test === test && row.space === 'embeddings' && row.statistic === 'maximum',
      )?.value ?? null;
    const rank = (predictor: string) =>
      ranks.find((row) => row.model_a === id && row.space === 'coordinates' && row.predictor === predictor)?.value;
    const [offset, noChange, composition] = ['offset', 'no_change', 'composition_mean'].map(rank);
    return {
      id,
      meanCosine: space?.mean_cosine ?? null,
      intrinsicDimension: space?.intrinsic_dimension ?? null,
      rotation: largest('rotation'),
      inversion: largest('inversion'),
      arithmetic:
        offset === undefined || noChange === undefined || composition === undefined
          ? null
          : { offset, noChange, composition },
    };
  });
  const warnings = spaces
    .filter(({ warning }) => warning !== null)
    .map(({ model, space, warning }) => `${model}, ${space}: ${warning}`);
  for (const { id, rotation, inversion } of models) {
    if (rotation !== null && rotation > CHANGED)
      warnings.push(
        `${id}: rotating a crystal changes its embeddings by up to ${rotation.toPrecision(2)} of their size`,
      );
    if (inversion !== null && inversion > CHANGED)
      warnings.push(
        `${id}: inverting a crystal changes its embeddings by up to ${inversion.toPrecision(2)} of their size`,
      );
  }
  const oneHot = ranks.find(({ predictor }) => predictor === 'one_hot')?.value ?? null;
  warnings.push(...judgement.warnings);
  return { models, oneHot, judged: judgement.judged, warnings, tables: tables.map(({ table }) => table) };
}
