import { digestJson } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import { putPartList, type PartEntry, type PartListEntry } from '../../datasets/manifest.js';
import type { QuarantineRow } from '../../datasets/tables/quarantine.js';
import { itemMade, type ItemStage } from '../run/itemStage.js';
import type { PlannedRun } from '../run/openRun.js';
import { embedStage } from './embed.js';

/** What a model has of one page of the snapshot: the shards of the page in order. */
export interface EmbeddedPage {
  outputs: {
    /** The list of its parts, as the manifest takes it; null where the model embedded nothing of the page. */
    list: PartListEntry | null;
    /** Moments of all its embeddings, merged in shard order. */
    moments: PartEntry | null;
  };
  parts: (PartEntry | null)[];
  structures: number;
  atoms: number;
  quarantine: QuarantineRow[];
  /** Digest of the parts. */
  digest: string;
}

/** Collects a page of embeddings, once all its shards are done: later stages read one document a page instead of one a shard. */
export const embeddedStage: ItemStage<'embedded', EmbeddedPage> = {
  stage: 'embedded',
  async key(run, { model, item }) {
    const { snapshot } = run.snapshot;
    return digestJson({ snapshot, page: item, content: run.page(item).digest, model, ...run.planned(model).identity });
  },
  tally: ({ structures, atoms, quarantine }) => ({ structures, atoms, quarantined: quarantine.length }),
  async compute(run, { model, item }) {
    const { start, shards } = run.page(item);
    const receipts = await run.many(
      Array.from({ length: shards }, (_, i) => start + i),
      (shard) => itemMade(embedStage, run, { stage: 'embed', run: run.ref, model, item: shard }),
    );
    const parts = receipts.map(({ outputs }) => outputs.embeddings);
    const there = parts.filter((part) => part !== null);
    const partial = receipts.flatMap(({ outputs }) => outputs.moments ?? []);
    const moments = await mergedMoments(run, partial);
    const made: EmbeddedPage = {
      outputs: {
        list: there.length > 0 ? await putPartList(run.store, 'embeddings', there, run.work) : null,
        moments: moments && (await run.putPart(keys.moments, moments, 1)),
      },
      parts,
      structures: receipts.reduce((sum, { structures }) => sum + structures, 0),
      atoms: receipts.reduce((sum, { atoms }) => sum + atoms, 0),
      quarantine: receipts.flatMap(({ quarantine }) => quarantine),
      digest: digestJson(parts.map((part) => part && part.sha256)),
    };
    return { made };
  },
};

/** Encoded moments of the union, merged in the order given; null of none. */
export async function mergedMoments(run: PlannedRun, partial: readonly PartEntry[]): Promise<Uint8Array | null> {
  if (partial.length === 0) return null;
  const parts = await run.many(partial, ({ key }) => run.get(key));
  return run.compute('mergeMoments', parts);
}

/** A page of a model's embeddings. @throws {NotDone} */
export function embeddedPage(run: PlannedRun, model: string, page: number): Promise<EmbeddedPage> {
  return run.once(`embedded\n${model}\n${page}`, () =>
    itemMade(embeddedStage, run, { stage: 'embedded', run: run.ref, model, item: page }),
  );
}

/** The embedding part of one shard, and the structures of it that the model refused. @throws {NotDone} */
export async function embeddedShard(run: PlannedRun, model: string, shard: number) {
  const page = run.pageOf(shard);
  const { parts } = await embeddedPage(run, model, page);
  return parts[shard - run.page(page).start];
}
