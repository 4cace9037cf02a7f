import { croissant, datasetCard, type CardContent } from '../../datasets/card.js';
import type { PinnedBasis } from '../../datasets/catalog.js';
import { commitRun } from '../../datasets/commit.js';
import { sha256Hex } from '../../datasets/digest.js';
import { similarityHeadline, type PairScore, type SimilarityHeadline } from '../../datasets/headline.js';
import { putIfChanged } from '../../datasets/json.js';
import * as keys from '../../datasets/keys.js';
import type { ObjectEntry, PartEntry, PartListEntry } from '../../datasets/manifest.js';
import { schemaOf } from '../../datasets/tables/schemas.js';
import { publishedDiagnostics } from '../diagnostics/diagnostics.js';
import { diagnosticFindings } from '../diagnostics/findings.js';
import { embeddedPage } from '../embed/embedded.js';
import type { Work } from '../engine/heartbeat.js';
import { pairCount, pairNames } from '../pairs/pairs.js';
import { similarityStage } from '../pairs/similarity.js';
import { transportStage } from '../pairs/transport.js';
import { anchorPart } from '../project/anchorVectors.js';
import { modelInBasis, projectedPage } from '../project/projected.js';
import type { PlanRef, RequestRef } from '../run/documents.js';
import { itemMade } from '../run/itemStage.js';
import type { PlannedRun, RunMemory } from '../run/openRun.js';
import { structureLists } from '../snapshot/placing.js';
import { snapshotQuarantine } from '../snapshot/snapshot.js';
import { publishQuarantine, refusedByModel } from './quarantine.js';

/** What a published run is told of. */
export interface Published {
  manifest: string;
  similarity: SimilarityHeadline;
  warnings: string[];
}

/** The publish stage: everything becomes visible at once, behind one manifest. */
export function publishStage(memory: RunMemory) {
  return {
    /** Writes the quarantine, the manifest, the marks of the leaves and the pointer. */
    async publish(request: RequestRef, ref: PlanRef, basis: string, work: Work): Promise<Published> {
      const requested = await memory.requested(request, work);
      const run = await memory.planned(ref, work);
      const { spec, snapshot, plan } = run;
      const document = await run.basis(basis);
      const pairs = await publishedPairs(run, basis);
      const similarity = similarityHeadline(pairs.scores, plan.models);
      const diagnostics = await publishedDiagnostics(run, basis);
      const ofSources = await publishQuarantine(
        run,
        'snapshot',
        snapshot.snapshot,
        snapshotQuarantine(requested, plan.seal),
      );
      const models = await run.many(plan.models, async ({ id, licence, dim }) => {
        const { structures, atoms, quarantined } = await modelInBasis(run, id, basis);
        const refused =
          quarantined > 0 ? await publishQuarantine(run, 'embed', id, refusedByModel(run, id)) : undefined;
        const card = { id, license: licence, dim, structures, atoms, quarantined: refused?.codes ?? {} };
        return { card, refused: refused?.parts ?? [], anchors: await anchorPart(run, basis, id) };
      });

      const lists = await modelLists(run, basis);
      const tables = [
        tableOf('structures', { lists: await structureLists(run, requested) }),
        tableOf('embeddings', { lists: lists.embeddings }),
        tableOf('anchors', { parts: [await entryOf(run, keys.anchors(basis), document.anchors.length)] }),
        tableOf('anchor_vectors', { parts: models.map(({ anchors }) => anchors) }),
        tableOf('coordinates', { lists: lists.coordinates }),
        tableOf('structure_vectors', { lists: lists.structure_vectors }),
        tableOf('quarantine', { parts: [...ofSources.parts, ...models.flatMap(({ refused }) => refused)] }),
        ...pairs.tables,
        ...diagnostics.map(({ table, parts, lists: scored }) => tableOf(table, { parts, lists: scored })),
      ];
      const pinned: PinnedBasis = {
        digest: basis,
        method: document.method,
        anchors: document.anchors.length,
        reference_model: document.reference_model,
      };
      const { structures, atoms, quarantined, duplicates, shards } = snapshot;
      const manifest = await commitRun(
        run.store,
        {
          name: spec.name,
          snapshot: snapshot.snapshot,
          basis: { ...pinned, centre: document.centre },
          inputs: { models: plan.models.map(({ id, card_sha256, identity }) => ({ id, card_sha256, ...identity })) },
          params: {
            shards: spec.shards,
            similarity: spec.similarity,
            transport: spec.transport,
            diagnostics: spec.diagnostics,
          },
          counts: { structures, atoms, quarantined, duplicates, shards },
          documents: [await documentEntry(run, keys.basisRecord(basis))],
          tables,
        },
        { basis: pinned, signal: work.signal },
      );
      const findings = await diagnosticFindings(run, diagnostics);
      const content: CardContent = {
        name: spec.name,
        snapshot: snapshot.snapshot,
        manifest,
        basis: pinned,
        structures,
        atoms,
        quarantined: ofSources.codes,
        similarity,
        diagnostics: findings,
        models: models.map(({ card }) => card),
        tables: Object.fromEntries(tables.map((table) => [table.table, rowsOf(table)])),
      };
      await putIfChanged(run.store, keys.CARD, Buffer.from(datasetCard(content), 'utf8'), work);
      await putIfChanged(run.store, keys.CROISSANT, croissant(content), work);
      return { manifest, similarity, warnings: [...pairs.notes, ...findings.warnings] };
    },
  };
}

interface Content {
  parts?: readonly PartEntry[];
  lists?: readonly PartListEntry[];
}

function tableOf(table: string, { parts = [], lists = [] }: Content) {
  return { table, schema: schemaOf(table), parts, lists };
}

function rowsOf({ parts = [], lists = [] }: Content): number {
  return [...parts, ...lists].reduce((sum, { rows }) => sum + rows, 0);
}

/** Lists of the tables that have a part a shard and model, page by page, models in the order of their ids. */
async function modelLists(run: PlannedRun, basis: string) {
  const lists: Record<'embeddings' | 'coordinates' | 'structure_vectors', PartListEntry[]> = {
    embeddings: [],
    coordinates: [],
    structure_vectors: [],
  };
  for (const { id } of run.plan.models) {
    const pages = await run.many(run.snapshot.pages.keys(), async (page) => {
      const [embedded, projected] = await Promise.all([
        embeddedPage(run, id, page),
        projectedPage(run, id, basis, page),
      ]);
      return { embeddings: embedded.outputs.list, ...projected.outputs };
    });
    for (const page of pages)
      for (const table of Object.keys(lists) as (keyof typeof lists)[]) {
        const list = page[table];
        if (list) lists[table].push(list);
      }
    run.work.beat({ model: id });
  }
  return lists;
}

/** Tables and headline scores of all pairs, and why values are missing. */
async function publishedPairs(run: PlannedRun, basis: string) {
  const pairs = await run.many(
    Array.from({ length: pairCount(run.plan) }, (_, item) => item),
    async (item) => {
      const [compared, transported] = await Promise.all([
        itemMade(similarityStage, run, { stage: 'similarity', run: run.ref, basis, item }),
        itemMade(transportStage, run, { stage: 'transport', run: run.ref, basis, item }),
      ]);
      const [a, b] = pairNames(run.plan, item);
      run.work.beat({ pair: item });
      return {
        outputs: { ...compared.outputs, ...transported.outputs },
        score: compared.headline,
        notes: compared.notes.map((note) => `similarity of ${a} and ${b}: ${note}`),
      };
    },
  );
  const tables = Object.keys(pairs[0]?.outputs ?? {}) as (keyof (typeof pairs)[number]['outputs'])[];
  return {
    tables: tables.map((table) => tableOf(table, { parts: pairs.map(({ outputs }) => outputs[table]) })),
    scores: pairs.map(({ score }) => score).filter((score): score is PairScore => score !== null),
    notes: pairs.flatMap(({ notes }) => notes),
  };
}

async function documentEntry(run: PlannedRun, key: string): Promise<ObjectEntry> {
  const bytes = await run.get(key);
  return { key, bytes: bytes.length, sha256: sha256Hex(bytes) };
}

async function entryOf(run: PlannedRun, key: string, rows: number): Promise<PartEntry> {
  return { ...(await documentEntry(run, key)), rows };
}
