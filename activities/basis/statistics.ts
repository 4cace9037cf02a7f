import { digestJson } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import type { PartEntry } from '../../datasets/manifest.js';
import { embeddedPage, mergedMoments } from '../embed/embedded.js';
import { invalidInput } from '../engine/failures.js';
import { itemMade, type ItemStage } from '../run/itemStage.js';
import type { PlannedRun } from '../run/openRun.js';
import { referenceRows } from './anchorRows.js';
import { referenceModel } from './namedBasis.js';

/** Moments of a page of the reference model, of the rows that a basis is fitted on. */
interface StatisticsReceipt {
  outputs: { moments: PartEntry | null };
}

/** The statistics stage, of the reference model: moments of one page, merged in shard order. */
export const statisticsStage: ItemStage<'statistics', StatisticsReceipt> = {
  stage: 'statistics',
  async key(run, { model, item }) {
    const { digest } = await embeddedPage(run, model, item);
    const { sources } = run.spec.basis;
    return digestJson({
      embeddings: digest,
      ...(sources.length > 0 && { sources, structures: run.page(item).digest }),
    });
  },
  async compute(run, { model, item }) {
    // Embedding left the moments of all rows; those of some sources are taken anew.
    if (run.spec.basis.sources.length === 0)
      return { made: { outputs: { moments: (await embeddedPage(run, model, item)).outputs.moments } } };
    const { start, shards } = run.page(item);
    const partial: PartEntry[] = [];
    const read = (shard: number) => referenceRows(run, shard);
    for await (const rows of run.ahead(
      Array.from({ length: shards }, (_, i) => start + i),
      read,
    )) {
      if (!rows) continue;
      const moments = await run.compute('moments', { x: rows.vectors, dim: rows.dim });
      partial.push(await run.putPart(keys.moments, moments, 1));
      run.work.beat({ partial: partial.length });
    }
    const merged = await mergedMoments(run, partial);
    return { made: { outputs: { moments: merged && (await run.putPart(keys.moments, merged, 1)) } } };
  },
};

/** The moments of all rows of the reference model that a basis is fitted on. @throws when there are none: a final failure where `basis.sources` is why */
export async function allMoments(run: PlannedRun): Promise<Uint8Array> {
  const model = referenceModel(run.spec);
  const pages = await run.many(run.snapshot.pages.keys(), (item) =>
    itemMade(statisticsStage, run, { stage: 'statistics', run: run.ref, model, item }),
  );
  const merged = await mergedMoments(
    run,
    pages.flatMap(({ outputs }) => outputs.moments ?? []),
  );
  if (merged) return merged;
  const { sources } = run.spec.basis;
  if (sources.length > 0)
    throw invalidInput(
      `basis.sources: no structure that '${model}' embedded is from ${sources.join(' or ')}; table structures has their sources`,
    );
  throw new Error(`activities: model ${model} embedded no structure; there is nothing to fit a basis on`);
}
