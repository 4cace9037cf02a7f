import { croissant, datasetCard, type CardContent } from '../../datasets/card.js';
import type { PinnedBasis } from '../../datasets/catalog.js';
import { canonicalJsonBytes } from '../../datasets/canonicalJson.js';
import { commitRun } from '../../datasets/commit.js';
import { sha256Hex } from '../../datasets/digest.js';
import { putIfChanged, readJson } from '../../datasets/json.js';
import { similarityHeadline, type PairScore, type SimilarityHeadline } from '../../datasets/headline.js';
import * as keys from '../../datasets/keys.js';
import type { ObjectEntry, PartEntry, TableContent } from '../../datasets/manifest.js';
import { findReceipt } from '../../datasets/receipts.js';
import { schemaOf } from '../../datasets/tables/schemas.js';
import { quarantineTable, type QuarantineRow } from '../../datasets/tables/quarantine.js';
import { diagnosticFindings, publishedDiagnostics } from '../diagnostics/diagnostics.js';
import type { ModelParts, PlanDocument, RunFailure, RunRef, RunSummary } from '../run/documents.js';
import { embedReceipt } from '../embed/embed.js';
import type { Work } from '../engine/heartbeat.js';
import { pairKey, pairNames } from '../pairs/pairs.js';
import { modelParts } from '../project/project.js';
import type { Runs } from '../run/runs.js';
import { similarityParams, type SimilarityReceipt } from '../pairs/similarity.js';
import { transportParams, type TransportReceipt } from '../pairs/transport.js';

/** Quarantine rows that a failed run's record keeps; the counts keep all. */
const RECORDED_ROWS = 1000;

/** What a published run is told of. */
export interface Published {
  manifest: string;
  similarity: SimilarityHeadline;
  warnings: string[];
}

/** The publish stage: everything becomes visible at once, behind one manifest. */
export function publishStage(runs: Runs) {
  return {
    /** Writes the quarantine, the manifest, the marks of the leaves and the pointer. */
    async publish(run: RunRef, basis: string, work: Work): Promise<Published> {
      const plan = await runs.plan(run);
      const { spec, snapshot } = plan;
      const store = runs.store(run);
      const models: ModelParts[] = [];
      for (const { id } of plan.models) models.push(await modelParts(runs, run, basis, id, work));
      const document = await runs.basis(run, basis);
      const pairs = await publishedPairs(runs, run, plan, basis, models, work);
      const similarity = similarityHeadline(pairs.scores, plan.models);
      const diagnostics = await publishedDiagnostics(runs, { run, plan, basis, work });

      const quarantined =
        (await readJson<QuarantineRow[]>(store, keys.snapshotRejections(snapshot.snapshot), work)) ?? [];
      const quarantine = [
        await putQuarantine(runs, run, snapshot.snapshot, 'snapshot', snapshot.snapshot, quarantined, work),
      ];
      for (const { model, quarantine: rows } of models)
        if (rows.length > 0)
          quarantine.push(await putQuarantine(runs, run, snapshot.snapshot, 'embed', model, rows, work));

      const all = (pick: (model: ModelParts) => PartEntry | PartEntry[]) => models.flatMap(pick);
      const tables = [
        tableOf('structures', await shardParts(runs, run, plan)),
        tableOf(
          'embeddings',
          all((model) => model.embeddings),
        ),
        tableOf('anchors', [await entryOf(runs, run, keys.anchors(basis), document.anchors.length, work)]),
        tableOf(
          'anchor_vectors',
          all((model) => model.anchor_vectors),
        ),
        tableOf(
          'coordinates',
          all((model) => model.coordinates),
        ),
        tableOf(
          'structure_vectors',
          all((model) => model.structure_vectors),
        ),
        tableOf('quarantine', quarantine),
        ...pairs.tables,
        ...diagnostics.map(({ table, parts }) => tableOf(table, parts)),
      ];
      const record = await documentEntry(runs, run, keys.basisRecord(basis), work);
      const pinned: PinnedBasis = {
        digest: basis,
        method: document.method,
        anchors: document.anchors.length,
        reference_model: document.reference_model,
      };
      const manifest = await commitRun(
        store,
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
          counts: snapshotCounts(plan),
          documents: [record],
          tables,
        },
        { basis: pinned, signal: work.signal },
      );
      const findings = await diagnosticFindings(runs, run, plan, diagnostics, work);
      const content: CardContent = {
        name: spec.name,
        snapshot: snapshot.snapshot,
        manifest,
        basis: pinned,
        structures: snapshot.structures,
        atoms: snapshot.atoms,
        quarantined: countCodes(quarantined),
        similarity,
        diagnostics: findings,
        models: models.map(({ model, structures, atoms, quarantine: rows }) => {
          const { licence, dim } = runs.planned(plan, model);
          return { id: model, license: licence, dim, structures, atoms, quarantined: countCodes(rows) };
        }),
        tables: Object.fromEntries(
          tables.map(({ table, parts }) => [table, parts.reduce((sum, { rows }) => sum + rows, 0)]),
        ),
      };
      await putIfChanged(store, keys.CARD, Buffer.from(datasetCard(content), 'utf8'), work);
      await putIfChanged(store, keys.CROISSANT, croissant(content), work);
      const warnings = [...pairs.notes, ...findings.warnings];
      return { manifest, similarity, warnings };
    },

    /** Keeps how a run went: times, versions and costs, which are no content and so in no manifest. */
    async recordRun(run: RunRef, outcome: RunSummary | RunFailure, work: Work): Promise<void> {
      const record = { ...outcome, ended: new Date().toISOString(), node: process.version };
      await runs.store(run).put(keys.runRecord(outcome.run_id), canonicalJsonBytes(record), work);
    },

    /** The quarantine of a run that goes no further, for its record: counts by code and the first rows. */
    async quarantineReport(run: RunRef, snapshot: string, model: string | null, work: Work) {
      const store = runs.store(run);
      let rows = (await readJson<QuarantineRow[]>(store, keys.snapshotRejections(snapshot), work)) ?? [];
      if (model !== null) {
        const plan = await runs.plan(run);
        for (let item = 0; item < plan.snapshot.shards; item++)
          rows = rows.concat((await embedReceipt(runs, run, plan, model, item, work)).quarantine);
      }
      return { codes: countCodes(rows), rows: rows.slice(0, RECORDED_ROWS) };
    },
  };
}

function snapshotCounts({ snapshot }: PlanDocument) {
  const { structures, atoms, quarantined, duplicates, shards } = snapshot;
  return { structures, atoms, quarantined, duplicates, shards };
}

async function shardParts(runs: Runs, run: RunRef, { snapshot }: PlanDocument): Promise<PartEntry[]> {
  const parts: PartEntry[] = [];
  for (let item = 0; item < snapshot.shards; item++) {
    const { key, bytes, rows, sha256 } = await runs.shard(run, snapshot.snapshot, item);
    parts.push({ key, bytes, rows, sha256 });
  }
  return parts;
}

function tableOf(table: string, parts: PartEntry[]): TableContent & { parts: PartEntry[] } {
  return { table, schema: schemaOf(table), parts };
}

function countCodes(rows: readonly QuarantineRow[]): Record<string, number> {
  const codes: Record<string, number> = {};
  for (const { code } of rows) codes[code] = (codes[code] ?? 0) + 1;
  return codes;
}

async function putQuarantine(
  runs: Runs,
  run: RunRef,
  snapshot: string,
  stage: string,
  of: string,
  rows: readonly QuarantineRow[],
  work: Work,
): Promise<PartEntry> {
  const bytes = await quarantineTable.encode(rows);
  return runs.putPart(run, (sha) => keys.quarantinePart(snapshot, stage, of, 0, sha), bytes, rows.length, work);
}

/** Tables and headline scores of all pairs, and why values are missing. */
async function publishedPairs(
  runs: Runs,
  run: RunRef,
  plan: PlanDocument,
  basis: string,
  models: readonly ModelParts[],
  work: Work,
) {
  const store = runs.store(run);
  const byName = new Map(models.map((model) => [model.model, model]));
  const similarity: SimilarityReceipt['outputs'][] = [];
  const transport: TransportReceipt['outputs'][] = [];
  const scores: PairScore[] = [];
  const notes: string[] = [];
  const receiptOf = async <R extends SimilarityReceipt | TransportReceipt>(
    stage: string,
    params: string,
    item: number,
  ) => {
    const [a, b] = pairNames(plan, item).map((name) => byName.get(name)!);
    const receipt = await findReceipt<R>(store, stage, pairKey(plan, basis, params, a, b), work);
    if (!receipt) throw new Error(`activities: ${stage} of ${a.model} and ${b.model} is missing`);
    return receipt;
  };
  for (let item = 0; item < (models.length * (models.length - 1)) / 2; item++) {
    const compared = await receiptOf<SimilarityReceipt>('similarity', similarityParams(plan), item);
    similarity.push(compared.outputs);
    if (compared.headline) scores.push(compared.headline);
    const [a, b] = pairNames(plan, item);
    notes.push(...compared.notes.map((note) => `similarity of ${a} and ${b}: ${note}`));
    transport.push((await receiptOf<TransportReceipt>('transport', transportParams(plan), item)).outputs);
    work.beat({ pair: item });
  }
  const tables = (outputs: Record<string, PartEntry>[]) =>
    Object.keys(outputs[0] ?? {}).map((table) =>
      tableOf(
        table,
        outputs.map((parts) => parts[table]),
      ),
    );
  return { tables: [...tables(similarity), ...tables(transport)], scores, notes };
}

async function documentEntry(runs: Runs, run: RunRef, key: string, work: Work): Promise<ObjectEntry> {
  const bytes = await runs.store(run).get(key, work);
  return { key, bytes: bytes.length, sha256: sha256Hex(bytes) };
}

async function entryOf(runs: Runs, run: RunRef, key: string, rows: number, work: Work): Promise<PartEntry> {
  return { ...(await documentEntry(runs, run, key, work)), rows };
}
