import { digestJson } from '../../datasets/digest.js';
import { putPartList, type PartEntry, type PartListEntry } from '../../datasets/manifest.js';
import { embeddedPage } from '../embed/embedded.js';
import { itemMade, type ItemStage } from '../run/itemStage.js';
import type { PlannedRun } from '../run/openRun.js';
import { anchorPart } from './anchorVectors.js';
import { projectStage } from './project.js';

/** The coordinates of one page of a model: the shards of the page in order. */
export interface ProjectedPage {
  /** Lists of parts, as the manifest takes them; nulls where the model embedded nothing of the page. */
  outputs: { coordinates: PartListEntry | null; structure_vectors: PartListEntry | null };
  parts: (PartEntry | null)[];
  /** Digest of the embeddings and coordinates: what is computed from the page depends on it. */
  digest: string;
}

/** Collects a page of coordinates, once all its shards are done. */
export const projectedStage: ItemStage<'projected', ProjectedPage> = {
  stage: 'projected',
  async key(run, { model, basis, item }) {
    const [{ digest: embedded }, anchors] = await Promise.all([
      embeddedPage(run, model, item),
      anchorPart(run, basis, model),
    ]);
    const { centre } = run.spec.coordinates;
    return digestJson({
      snapshot: run.snapshot.snapshot,
      page: item,
      model,
      basis,
      embedded,
      anchors: anchors.sha256,
      centre,
    });
  },
  async compute(run, { model, basis, item }) {
    const { start, shards } = run.page(item);
    const receipts = await run.many(
      Array.from({ length: shards }, (_, i) => start + i),
      (shard) => itemMade(projectStage, run, { stage: 'project', run: run.ref, model, basis, item: shard }),
    );
    const parts = receipts.map(({ outputs }) => outputs.coordinates);
    const list = async (table: string, entries: (PartEntry | null)[]) => {
      const there = entries.filter((part) => part !== null);
      return there.length > 0 ? putPartList(run.store, table, there, run.work) : null;
    };
    const [coordinates, structure_vectors] = await Promise.all([
      list('coordinates', parts),
      list(
        'structure_vectors',
        receipts.map(({ outputs }) => outputs.structure_vectors),
      ),
    ]);
    const embedded = await embeddedPage(run, model, item);
    const digest = digestJson([embedded.parts, parts].map((one) => one.map((part) => part && part.sha256)));
    return { made: { outputs: { coordinates, structure_vectors }, parts, digest } };
  },
};

/** A page of a model's coordinates. @throws {NotDone} */
export function projectedPage(run: PlannedRun, model: string, basis: string, page: number): Promise<ProjectedPage> {
  return run.once(`projected\n${basis}\n${model}\n${page}`, () =>
    itemMade(projectedStage, run, { stage: 'projected', run: run.ref, model, basis, item: page }),
  );
}

/** The parts of one shard of a model; nulls where it embedded nothing of it. @throws {NotDone} */
export async function shardParts(run: PlannedRun, model: string, basis: string, shard: number) {
  const page = run.pageOf(shard);
  const at = shard - run.page(page).start;
  const [embedded, projected] = await Promise.all([
    embeddedPage(run, model, page),
    projectedPage(run, model, basis, page),
  ]);
  return { embeddings: embedded.parts[at], coordinates: projected.parts[at] };
}

/** What a model has in this snapshot and basis as a whole: the digest that pairs and diagnostics depend on, and totals. @throws {NotDone} */
export function modelInBasis(run: PlannedRun, model: string, basis: string) {
  return run.once(`model\n${basis}\n${model}`, async () => {
    const pages = await run.many(run.snapshot.pages.keys(), async (page) => {
      const [embedded, projected] = await Promise.all([
        embeddedPage(run, model, page),
        projectedPage(run, model, basis, page),
      ]);
      return { embedded, digest: projected.digest };
    });
    return {
      model,
      digest: digestJson(pages.map(({ digest }) => digest)),
      structures: pages.reduce((sum, { embedded }) => sum + embedded.structures, 0),
      atoms: pages.reduce((sum, { embedded }) => sum + embedded.atoms, 0),
      quarantined: pages.reduce((sum, { embedded }) => sum + embedded.quarantine.length, 0),
    };
  });
}
