import { canonicalJsonBytes } from '../../datasets/canonicalJson.js';
import { digestJson } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import type { QuarantineRow } from '../../datasets/tables/quarantine.js';
import { compareCodePoints } from '../../text/codePoints.js';
import { invalidInput } from '../engine/failures.js';
import type { Work } from '../engine/heartbeat.js';
import type {
  MergePlan,
  PageEntry,
  RequestRef,
  SealDocument,
  SealedSnapshot,
  SnapshotDocument,
  SourceListing,
} from '../run/documents.js';
import { itemMade } from '../run/itemStage.js';
import type { OpenRun, RequestedRun, RunMemory } from '../run/openRun.js';
import type { ChunkIndex } from './chunk.js';
import { listFiles, listParts } from './listing.js';
import { mergeStage, shardsInOrder } from './merging.js';
import { mergedPage } from './placing.js';
import { readingOf, type ReadReceipt } from './reading.js';
import { addSums, sumOfRows } from './rejections.js';
import { endsPage } from './sharding.js';

/** Raise it when equal structures may get another snapshot id. */
const SNAPSHOT_VERSION = 2;

/** The snapshot stages that decide something, between those that fan out: from source files to content-addressed shards. */
export function snapshotStage(memory: RunMemory) {
  return {
    /** Enumerates the source files: units of small ones, and large ones to be scanned. */
    async listSources(ref: RequestRef, work: Work): Promise<{ listing: string; large: number }> {
      return listFiles(await memory.requested(ref, work));
    },

    /** The units of a listing whose large files are scanned. */
    async listUnits(ref: RequestRef, listing: string, work: Work): Promise<{ listing: string; units: number }> {
      return listParts(await memory.requested(ref, work), listing);
    },

    /** Finds where pages end: at ids that end one in every snapshot that holds them. */
    async planMerge(ref: RequestRef, listing: string, work: Work): Promise<{ merge: string; pages: number }> {
      const run = await memory.requested(ref, work);
      const { units } = await run.document<SourceListing>(listing);
      const readings = await run.many(
        Array.from({ length: units }, (_, item) => item),
        async (item) => {
          const { key, receipt } = await readingOf(run, { listing, item });
          const { chunks, source, rejections, duplicates } = receipt;
          const indices = await run.many(chunks, ({ index }) => run.document<ChunkIndex>(index));
          work.beat({ unit: item });
          return {
            key,
            chunks: chunks.map((chunk) => ({ ...chunk, source })),
            borders: indices.flatMap(({ borders }) => borders.filter((id) => endsPage(id, run.spec.shards.structures))),
            rejected: rejections.length,
            rejections: sumOfRows(rejections),
            duplicates,
            first: rejections[0],
          };
        },
      );
      const plan: MergePlan = {
        chunks: readings.flatMap(({ chunks }) => chunks),
        borders: [...new Set(readings.flatMap(({ borders }) => borders))].sort(compareCodePoints),
        rejected: readings.reduce((sum, { rejected }) => sum + rejected, 0),
        duplicates: readings.reduce((sum, { duplicates }) => sum + duplicates, 0),
        rejections: addSums(readings.map(({ rejections }) => rejections)),
        refusing: readings.filter(({ rejected }) => rejected > 0).map(({ key }) => key),
      };
      if (plan.chunks.length === 0) {
        const first = readings.find((reading) => reading.first)?.first;
        throw invalidInput(
          `the sources hold no usable structure (${plan.rejected} quarantined` +
            `${first ? `, the first: ${first.source}: ${first.message}` : ''})`,
        );
      }
      return { merge: await run.write('merges', plan), pages: plan.borders.length + 1 };
    },

    /**
     * Names a merged snapshot by its content: the digests of its pages in order, and what was refused. Equal structures in other files, units or
     * orders of reading make the same one.
     */
    async sealSnapshot(ref: RequestRef, merge: string, work: Work): Promise<SealedSnapshot> {
      const run = await memory.requested(ref, work);
      const plan = await run.document<MergePlan>(merge);
      const numbers = Array.from({ length: plan.borders.length + 1 }, (_, page) => page);
      const merged = await run.many(numbers, async (item) => {
        const made = await itemMade(mergeStage, run, { stage: 'merge', run: ref, merge, item });
        work.beat({ page: item });
        return { item, made, shards: shardsInOrder(made) };
      });
      const pages: PageEntry[] = [];
      let start = 0;
      for (const { shards } of merged) {
        if (shards.length === 0) continue;
        pages.push({
          start,
          shards: shards.length,
          structures: shards.reduce((sum, { rows }) => sum + rows, 0),
          atoms: shards.reduce((sum, { atoms }) => sum + atoms, 0),
          first: shards[0].first,
          last: shards[shards.length - 1].last,
          digest: digestJson(shards.map(({ content }) => content)),
        });
        start += shards.length;
      }
      const conflicts = merged.map(({ made }) => made.conflicts);
      const quarantined = plan.rejected + conflicts.reduce((sum, { length }) => sum + length, 0);
      const snapshot = digestJson({
        version: SNAPSHOT_VERSION,
        sharding: run.spec.shards,
        pages: pages.map(({ digest }) => digest),
        rejections: { count: quarantined, sum: addSums([plan.rejections, ...conflicts.map(sumOfRows)]) },
      }).slice(0, 16);
      const document: SealDocument = {
        snapshot,
        shards: start,
        structures: pages.reduce((sum, { structures }) => sum + structures, 0),
        atoms: pages.reduce((sum, { atoms }) => sum + atoms, 0),
        quarantined,
        duplicates: plan.duplicates + merged.reduce((sum, { made }) => sum + made.repetitions, 0),
        pages,
        merge,
        merged: merged.filter(({ shards }) => shards.length > 0).map(({ item }) => item),
        refusing: plan.refusing,
      };
      return {
        seal: await run.write('seals', document),
        snapshot,
        pages: pages.length,
        structures: document.structures,
        quarantined,
        limit: run.spec.limits.quarantine_fraction,
      };
    },

    /** Shows a snapshot whose pages are in their place: whoever sees its document sees all of it. */
    async openSnapshot(ref: RequestRef, seal: string, work: Work): Promise<void> {
      const run = await memory.requested(ref, work);
      const document = snapshotOf(await run.document<SealDocument>(seal));
      await run.store.putIfAbsent(keys.snapshotDocument(document.snapshot), canonicalJsonBytes(document), work);
    },
  };
}

/** A sealed snapshot without what only this run knows of it. */
export function snapshotOf({
  merge: _merge,
  merged: _merged,
  refusing: _refusing,
  ...document
}: SealDocument): SnapshotDocument {
  return document;
}

/** What the sources of a sealed snapshot held that is not in it: refused by readers in the order of the sources, then in conflict with others. */
export async function* snapshotQuarantine(run: RequestedRun, seal: string): AsyncGenerator<QuarantineRow> {
  const document = await run.document<SealDocument>(seal);
  for await (const rows of run.ahead(document.refusing, (key) => refusedBy(run, key))) yield* rows;
  for await (const { conflicts } of run.ahead(document.pages.keys(), (page) => mergedPage(run, document, page)))
    yield* conflicts;
}

async function refusedBy(run: OpenRun, key: string): Promise<QuarantineRow[]> {
  return (JSON.parse(Buffer.from(await run.get(key)).toString('utf8')) as ReadReceipt).rejections;
}
