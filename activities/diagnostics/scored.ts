import { compareCodePoints } from '../../text/codePoints.js';
import { digestJson } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import { putPartList, type PartListEntry } from '../../datasets/manifest.js';
import { atypicalTable } from '../../datasets/tables/atypical.js';
import { itemMade, type ItemStage } from '../run/itemStage.js';
import type { PlannedRun } from '../run/openRun.js';
import { atypicalStage, atypicalTask } from './atypical.js';
import type { DiagnosticItemStage } from './diagnostic.js';
import { noveltyStage, noveltyTask } from './novelty.js';

/** The parts of table `atypical` in one page of the snapshot. */
export interface ScoredPage {
  /** Their lists by model folder, {@link keys.ALL_MODELS} among them, as the manifest takes them. */
  outputs: Record<string, PartListEntry>;
  /** The leaf of each list. */
  leaves: Record<string, string>;
}

/** Diagnostics that have items for every shard: what they publish is listed page by page. */
export const SCORING: readonly DiagnosticItemStage[] = [noveltyStage, atypicalStage];

/** Lists what was scored in a page, once all its shards are done: publishing loops over pages and not over shards. */
export const scoredStage: ItemStage<'scored', ScoredPage> = {
  stage: 'scored',
  async key(run, { basis, item }) {
    const scores = Object.values(scoresOf(run, basis, item)).flat();
    return digestJson({ items: await Promise.all(scores.map(({ stage, task }) => stage.key(run, task))) });
  },
  async compute(run, { basis, item }) {
    const made: ScoredPage = { outputs: {}, leaves: {} };
    for (const [folder, scores] of Object.entries(scoresOf(run, basis, item))) {
      const parts = await run.many(
        scores,
        async ({ stage, task }) => (await itemMade(stage, run, task)).outputs[atypicalTable.name],
      );
      made.outputs[folder] = await putPartList(run.store, atypicalTable.name, parts, run.work);
      made.leaves[folder] = keys.leafOf(parts[0].key);
      run.work.beat({ folder });
    }
    return { made };
  },
};

/** Items of {@link SCORING} in the shards of a page by model folder. */
function scoresOf(run: PlannedRun, basis: string, page: number) {
  const { start, shards } = run.page(page);
  const numbers = Array.from({ length: shards }, (_, i) => start + i);
  const folders = run.plan.models.map(({ id }) => [
    id,
    numbers.map((shard) => ({ stage: noveltyStage, task: noveltyTask(run, basis, id, shard) })),
  ]);
  const all = numbers.map((shard) => ({ stage: atypicalStage, task: atypicalTask(run, basis, shard) }));
  return Object.fromEntries([...folders, [keys.ALL_MODELS, all]]) as Record<string, typeof all>;
}

/** The lists of all pages in the order of the keys of their parts. @throws {NotDone} */
export async function scoredLists(run: PlannedRun, basis: string): Promise<PartListEntry[]> {
  const pages = await run.many(run.snapshot.pages.keys(), (item) =>
    itemMade(scoredStage, run, { stage: 'scored', run: run.ref, basis, item }),
  );
  return pages
    .flatMap(({ outputs, leaves }, page) =>
      Object.entries(outputs).map(([folder, list]) => ({ list, leaf: leaves[folder], page })),
    )
    .sort((a, b) => compareCodePoints(a.leaf, b.leaf) || a.page - b.page)
    .map(({ list }) => list);
}
