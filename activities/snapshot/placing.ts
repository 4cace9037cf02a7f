import { canonicalJsonBytes } from '../../datasets/canonicalJson.js';
import { digestJson, sha256Hex } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import { putPartList, type PartEntry, type PartListEntry } from '../../datasets/manifest.js';
import { placePart, type Receipt } from '../../datasets/receipts.js';
import type { SealDocument, ShardEntry } from '../run/documents.js';
import { itemMade, type ItemStage } from '../run/itemStage.js';
import type { PlannedRun, RequestedRun } from '../run/openRun.js';
import { mergeStage, shardsInOrder } from './merging.js';

/** A page of a snapshot in its place: the object that lists its shards, the list that a manifest takes, and the shards by number. */
export interface PlaceReceipt extends Receipt {
  outputs: { page: PartEntry; list: PartListEntry; [shard: number]: PartEntry };
}

/** The place stage: the shards of one page where readers look for them. */
export const placeStage: ItemStage<'place', PlaceReceipt> = {
  stage: 'place',
  async key(run, { seal, item }) {
    const { snapshot, pages } = await run.document<SealDocument>(seal);
    return placeKey(snapshot, item, pages[item]);
  },
  tally: ({ outputs }) => ({ structures: outputs.list.rows }),
  async compute(run, { seal, item }) {
    const document = await run.document<SealDocument>(seal);
    const { snapshot, pages } = document;
    const merged = shardsInOrder(await mergedPage(run, document, item));
    const shards = await run.many(merged.entries(), async ([at, shard]): Promise<ShardEntry> => {
      const key = keys.structuresPart(snapshot, pages[item].start + at, shard.sha256);
      await placePart(run.store, shard, key, run.work);
      return { ...shard, key };
    });
    const bytes = canonicalJsonBytes(shards.map((shard) => ({ ...shard })));
    const page = {
      key: keys.shardPage(snapshot, item),
      bytes: bytes.length,
      rows: shards.length,
      sha256: sha256Hex(bytes),
    };
    await run.store.put(page.key, bytes, run.work);
    const list = await putPartList(run.store, 'structures', shards, run.work);
    return { made: { outputs: { ...shards, page, list } } };
  },
};

/** What merging left of a page of a sealed snapshot. @throws {NotDone} */
export function mergedPage(run: RequestedRun, { merge, merged }: SealDocument, page: number) {
  return itemMade(mergeStage, run, { stage: 'merge', run: run.ref, merge, item: merged[page] });
}

/** The lists of table `structures`, a page each. @throws {NotDone} */
export function structureLists(run: PlannedRun, requested: RequestedRun): Promise<PartListEntry[]> {
  return run.many(run.snapshot.pages.keys(), async (item) => {
    const task = { stage: 'place', run: requested.ref, seal: run.plan.seal, item } as const;
    return (await itemMade(placeStage, requested, task)).outputs.list;
  });
}

function placeKey(snapshot: string, item: number, page: object): string {
  return digestJson({ snapshot, item, page: { ...page } });
}
