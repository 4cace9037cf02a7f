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
import { findItem, itemMade, itemRunner, NotDone, type StageRunner } from '../run/itemStage.js';
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
  rows: number;
  part_count: number;
}

/** Every table that the diagnostics of a run made, parts in the order of the items. @throws {NotDone} */
export async function publishedDiagnostics(run: PlannedRun, basis: string): Promise<PublishedTable[]> {
  const tables: PublishedTable[] = [];
  for (const [table, parts] of await smallTables(run, basis))
    tables.push({ table, parts, lists: [], rows: rowsOf(parts), part_count: parts.length });
  if (scoredItems(run.plan) > 0) {
    const lists = await scoredLists(run, basis);
    const part_count = lists.reduce((sum, { parts }) => sum + parts, 0);
    tables.push({ table: atypicalTable.name, parts: [], lists, rows: rowsOf(lists), part_count });
  }
  return tables;
}

/** Parts by table, without what is listed page by page. */
async function smallTables(run: PlannedRun, basis: string): Promise<Map<string, PartEntry[]>> {
  const tables = new Map<string, PartEntry[]>();
  for (const diagnostic of allDiagnostics.filter((one) => !SCORING.includes(one))) {
    const receipts = await run.many(itemsFrom(0, diagnostic.items(run.plan)), (item) =>
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

/** How many items of the diagnostics are there already; those that wait for a stage before are not. */
export async function cachedDiagnostics(run: PlannedRun, basis: string): Promise<number> {
  let cached = 0;
  for (const diagnostic of allDiagnostics) {
    const isThere = async (item: number) =>
      (await findItem(diagnostic, run, diagnosticTask(run, diagnostic.stage, basis, item))) !== undefined;
    const items = diagnostic.items(run.plan);
    // Items of the shards of one model stand together: where the first waits for a stage before, all do, and are not asked for one by one.
    const together = SCORING.includes(diagnostic) ? run.snapshot.shards : 1;
    const firsts = await run.many(itemsFrom(0, items, together), async (first) => {
      try {
        return { first, there: await isThere(first) };
      } catch (error) {
        if (error instanceof NotDone) return undefined;
        throw error;
      }
    });
    for (const known of firsts) {
      if (!known) continue;
      const others = await run.many(itemsFrom(known.first + 1, known.first + together), isThere);
      cached += [known.there, ...others].filter(Boolean).length;
      run.work.beat({ stage: diagnostic.stage, cached });
    }
  }
  return cached;
}

function itemsFrom(start: number, end: number, step = 1): number[] {
  return Array.from({ length: Math.max(0, Math.ceil((end - start) / step)) }, (_, i) => start + i * step);
}

function rowsOf(entries: readonly PartEntry[]): number {
  return entries.reduce((sum, { rows }) => sum + rows, 0);
}
