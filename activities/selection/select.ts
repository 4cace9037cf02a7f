import { digestJson } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import type { PartEntry } from '../../datasets/manifest.js';
import { findReceipt, writeReceipt } from '../../datasets/receipts.js';
import { compareCodePoints } from '../../text/codePoints.js';
import type { PageSelection, RowRequest, SelectedRecord, SelectionRequest } from '../compute/selectionTasks.js';
import type { PlanDocument } from '../run/documents.js';
import type { Computed, ItemStage } from '../run/itemStage.js';
import type { PlannedRun } from '../run/openRun.js';
import { lowestRanked, type RankedRows, type Ranked } from './ranked.js';

/** Raise it when the same page may give another selection. */
const SELECTION_VERSION = 1;
/** Candidates of a draw, in units of the rows that a pair takes: some fall out with the structures that one of its models refuses. */
const MARGIN = 1.25;

/** What selecting from one page left behind. */
interface SelectReceipt {
  outputs: { selection: PartEntry };
  selection: PageSelection;
}

/** The select stage: of one page, the rows and structures of lowest place; the lowest of all pages are the lowest of all. */
export const selectStage: ItemStage<'select', SelectReceipt> = {
  stage: 'select',
  key: (run, { item }) => selectKey(run, item, selectionRequest(run.plan)),
  compute: (run, { item }) => select(run, item, selectionRequest(run.plan)),
};

/** Draws of a run, each once, with the rows that are asked of it; those of disjoint transport come after those of the same atoms. */
export function selectionRequest({ spec }: PlanDocument, factor = 1): SelectionRequest {
  const { similarity, transport, diagnostics } = spec;
  const asked = new Map<string, RowRequest>();
  const ask = (seed: number, draws: readonly number[], rows: number) => {
    for (const draw of draws) {
      const reach = Math.max(Math.ceil(MARGIN * rows) * factor, asked.get(drawName(seed, draw))?.reach ?? 0);
      asked.set(drawName(seed, draw), { seed, draw, reach });
    }
  };
  ask(similarity.seed, [...Array(similarity.draws).keys()], similarity.sample);
  ask(transport.seed, transportDraws(transport, 'same'), transport.sample);
  // Floors and ceilings of every run come from disjoint draws, whether those are published or not.
  ask(transport.seed, transportDraws(transport, 'disjoint'), 2 * transport.sample);
  return { rows: [...asked.values()], structures: { seed: diagnostics.seed, most: diagnostics.structures } };
}

/** Numbers of the draws of a design of transport: those of `disjoint` come after those of `same`, whether that is asked for or not. */
export function transportDraws({ draws }: { draws: number }, design: 'same' | 'disjoint'): number[] {
  return Array.from({ length: draws }, (_, draw) => (design === 'same' ? draw : draws + draw));
}

/** Name of a draw: its rows depend on nothing else. */
export function drawName(seed: number, draw: number): string {
  return `${seed}:${draw}`;
}

/** The rows of lowest place of each draw of a request, with the page and the number of rows that there are in all where that is fewer. */
export async function lowestRows<Row>(run: PlannedRun, request: SelectionRequest) {
  const pages = await selectedPages(run, request);
  return Promise.all(
    request.rows.map(async ({ reach }, at) => lowest<Row>(run, pages, ({ selection }) => selection.rows[at], reach)),
  );
}

/** A structure that diagnostics look at. */
export interface SelectedStructure {
  materialId: string;
  formula: string;
  /** Number of its shard in the snapshot. */
  shard: number;
  spaceGroup: number;
  atomicNumbers: Uint8Array;
  orbits: Int32Array;
  source: string;
}

/** The `diagnostics.structures` structures of lowest hash, sorted by id. */
export function selectedStructures(run: PlannedRun): Promise<SelectedStructure[]> {
  return run.once('selected structures', async () => {
    const request = selectionRequest(run.plan);
    const pages = await selectedPages(run, request);
    const chosen = await lowest<SelectedRecord>(
      run,
      pages,
      ({ selection }) => selection.structures,
      request.structures.most,
    );
    return chosen
      .map(({ row, page }) => ({
        ...row,
        shard: run.page(page).start + row.shard,
        atomicNumbers: Uint8Array.from(row.atomicNumbers),
        orbits: Int32Array.from(row.orbits),
      }))
      .sort((a, b) => compareCodePoints(a.materialId, b.materialId));
  });
}

function lowest<Row>(
  run: PlannedRun,
  pages: readonly SelectReceipt[],
  section: (receipt: SelectReceipt) => RankedRows,
  n: number,
): Promise<(Ranked<Row> & { page: number })[]> {
  const read = (page: number, start: number, end: number) =>
    run.store.getRange(pages[page].outputs.selection.key, start, end, run.work);
  return lowestRanked<Row>(pages.map(section), n, read, (items, action) => run.many(items, action));
}

/** The selections of all pages: found where the stage left them, made here where more is asked for than it made. */
function selectedPages(run: PlannedRun, request: SelectionRequest): Promise<SelectReceipt[]> {
  return run.many(run.snapshot.pages.keys(), async (page) => {
    const key = await selectKey(run, page, request);
    const known = await findReceipt<SelectReceipt>(run.store, 'select', key, run.work);
    if (known) return known;
    const { made } = await select(run, page, request);
    await writeReceipt(run.store, 'select', key, made, run.work);
    return made;
  });
}

async function selectKey(run: PlannedRun, page: number, request: SelectionRequest): Promise<string> {
  const shards = await run.shardsOf(page);
  return digestJson({ version: SELECTION_VERSION, shards: shards.map(({ sha256 }) => sha256), ...request });
}

async function select(run: PlannedRun, page: number, request: SelectionRequest): Promise<Computed<SelectReceipt>> {
  const shards = await run.many(await run.shardsOf(page), ({ key }) => run.get(key));
  const { selection, bytes } = await run.compute('select', { shards, request });
  const part = await run.putPart(keys.selection, bytes, 1);
  return { made: { outputs: { selection: part }, selection } };
}
