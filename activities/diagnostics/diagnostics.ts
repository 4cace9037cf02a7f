// Diagnostics: what the vectors of single models, of pairs and of all models together say, as rows of tables.
//
// What is here: `diagnosticIndex` chooses structures and atoms, the same for every model; `pooling` and `pool` gather what each model has of
// them; a file a diagnostic (`diagnosticStage` in `diagnostic.ts` makes its stage) turns that into rows; `scored` lists what is published
// shard by shard; `planned` counts items from the plan alone; here they stand together for those who run, look up and publish them.
// What it may import: `run/`, `engine/`, `selection/`, `embed/`, `project/` and names of pairs; `planned` and `pooling` import nothing that
// computes, since stages before use them.
// The numbers themselves are computed in `latent/`, in threads, through `compute/diagnosticTasks.ts`.
// How to add one more: name it in `DIAGNOSTIC_STAGES` and `STAGE_ITEMS` (config/names.ts), count its items in `planned.ts`, write its
// stage in a file like `bias.ts`, list it in `allDiagnostics`, and give its tables a module and a schema in `datasets/tables/`.
import type { DiagnosticStage } from '../../config/names.js';
import type { PartEntry, PartListEntry } from '../../datasets/manifest.js';
import { atypicalTable } from '../../datasets/tables/atypical.js';
import { itemMade, itemRunner, type StageRunner } from '../run/itemStage.js';
import type { PlannedRun, RunMemory } from '../run/openRun.js';
import { analogiesStage, arithmeticStage } from './arithmetic.js';
import { atypicalStage } from './atypical.js';
import { biasStage } from './bias.js';
import { diagnosticTask, type DiagnosticItemStage } from './diagnostic.js';
import { driftStage } from './drift.js';
import { judgementStage } from './judgement.js';
import { noveltyStage } from './novelty.js';
import { scoredItems } from './planned.js';
import { poolStage } from './pool.js';
import { scoredLists, SCORING } from './scored.js';
import { spacesStage } from './spaces.js';
import { stitchingStage } from './stitching.js';
import { symmetryStage } from './symmetry.js';

/** Every diagnostic, in the order in which they run. */
export const allDiagnostics: readonly DiagnosticItemStage[] = [
  spacesStage,
  symmetryStage,
  noveltyStage,
  atypicalStage,
  judgementStage,
  biasStage,
  analogiesStage,
  arithmeticStage,
  stitchingStage,
  driftStage,
];

/** The diagnostics as the engine sees them, and the stage that pools what they look at. */
export function diagnosticStages(memory: RunMemory): { [S in DiagnosticStage]: StageRunner<S> } {
  const runners = allDiagnostics.map((diagnostic) => [diagnostic.stage, itemRunner(memory, diagnostic)]);
  return {
    ...(Object.fromEntries(runners) as Record<DiagnosticStage, StageRunner<DiagnosticStage>>),
    pool: itemRunner(memory, poolStage),
  };
}

/** A table of the diagnostics of a run: its parts or, of what is scored shard by shard, lists of them. */
export interface PublishedTable {
  table: string;
  parts: readonly PartEntry[];
  lists: readonly PartListEntry[];
}

/** Every table that the diagnostics of a run made, parts in the order of the items. @throws {NotDone} */
export async function publishedDiagnostics(run: PlannedRun, basis: string): Promise<PublishedTable[]> {
  const small = await smallTables(run, basis);
  const tables: PublishedTable[] = Array.from(small, ([table, parts]) => ({ table, parts, lists: [] }));
  if (scoredItems(run.plan) > 0)
    tables.push({ table: atypicalTable.name, parts: [], lists: await scoredLists(run, basis) });
  return tables;
}

/** Parts by table, without what is listed page by page. */
async function smallTables(run: PlannedRun, basis: string): Promise<Map<string, PartEntry[]>> {
  const tables = new Map<string, PartEntry[]>();
  for (const diagnostic of allDiagnostics.filter((one) => !SCORING.includes(one))) {
    const items = Array.from({ length: diagnostic.items(run.plan) }, (_, item) => item);
    const receipts = await run.many(items, (item) =>
      itemMade(diagnostic, run, diagnosticTask(run, diagnostic.stage, basis, item)),
    );
    for (const { outputs } of receipts)
      for (const [table, part] of Object.entries(outputs)) {
        const known = tables.get(table);
        if (known) known.push(part);
        else tables.set(table, [part]);
      }
    run.work.beat({ stage: diagnostic.stage });
  }
  return tables;
}
