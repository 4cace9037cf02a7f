import type { RunSpec } from '../../config/runSpec.js';
import { findReceipt } from '../../datasets/receipts.js';
import { findEmbedding } from '../embed/embed.js';
import type { Work } from '../engine/heartbeat.js';
import { planStage } from './plan.js';
import { cachedDiagnostics } from '../diagnostics/diagnostics.js';
import { collectParts, projectedShards, projectStage } from '../project/project.js';
import { pairKey, pairNames } from '../pairs/pairs.js';
import type { ModelParts, PlanDocument, RunRef } from '../run/documents.js';
import type { Runs } from '../run/runs.js';
import { similarityParams } from '../pairs/similarity.js';
import { snapshotStage } from '../snapshot/snapshot.js';
import { transportParams } from '../pairs/transport.js';

/** How much of something there is already. */
export interface Cached {
  total: number;
  cached: number;
}

/** What a run would do, found without doing it. */
export interface RunPreview {
  snapshot: string;
  structures: number;
  quarantined: number;
  shards: number;
  models: { id: string; embed: Cached & { because: string }; project: Cached }[];
  pairs: Cached;
  /** Items of the diagnostics: models, pairs, shards. */
  diagnostics: Cached;
  basis: { digest: string | null; why: string };
}

/**
 * Reads the sources and looks up every receipt. Give it a store that keeps writes to itself (`DryRunStore`): the snapshot stage
 * runs for real, since nothing less tells what the snapshot will be.
 */
export async function previewRun(
  runs: Runs,
  output: string,
  spec: RunSpec,
  replace: boolean,
  work: Work,
): Promise<RunPreview> {
  const request: RunRef = { output, document: '' };
  request.document = await runs.write(request, 'requests', { spec, replace });
  const snapshotting = snapshotStage(runs);
  const { units } = await snapshotting.listSources(request, work);
  for (let item = 0; item < units; item++)
    await snapshotting.read({ run: request, model: null, item, argument: '' }, work);
  const snapshot = await snapshotting.assembleSnapshot(request, work);
  const summary = await planStage(runs).planRun(request, snapshot.snapshot, work);
  const run: RunRef = { output, document: summary.document };
  const plan = await runs.plan(run);
  const basis = summary.pinnedBasis;
  const collected = new Map<string, ModelParts>();
  const models: RunPreview['models'] = [];
  for (const { id } of plan.models) {
    const embed = await embedded(runs, run, plan, id, work);
    const project = {
      total: summary.shards,
      cached: basis ? await projectedShards(runs, run, plan, basis, id, work) : 0,
    };
    models.push({ id, embed, project });
    if (basis && project.cached === summary.shards) collected.set(id, await collectParts(runs, run, basis, id, work));
  }
  const pairs = { total: summary.pairs, cached: 0 };
  for (let item = 0; basis && item < pairs.total; item++) {
    const [a, b] = pairNames(plan, item).map((name) => collected.get(name));
    if (!a || !b) continue;
    const tables = [
      ['similarity', similarityParams(plan)],
      ['transport', transportParams(plan)],
    ] as const;
    const found = await Promise.all(
      tables.map(([stage, params]) => findReceipt(runs.store(run), stage, pairKey(plan, basis, params, a, b), work)),
    );
    if (found.every(Boolean)) pairs.cached++;
  }
  const items = summary.diagnostics.filter(({ stage }) => stage !== 'pool');
  const diagnostics = {
    total: items.reduce((sum, { items: count }) => sum + count, 0),
    cached: 0,
  };
  if (basis) {
    for (const id of collected.keys()) await projectStage(runs).collectModel(run, basis, id, work);
    diagnostics.cached = await cachedDiagnostics(runs, { run, plan, basis, work });
  }
  return {
    snapshot: snapshot.snapshot,
    structures: snapshot.structures,
    quarantined: snapshot.quarantined,
    shards: summary.shards,
    models,
    pairs,
    diagnostics,
    basis: { digest: basis, why: whyBasis(spec, basis) },
  };
}

async function embedded(
  runs: Runs,
  run: RunRef,
  plan: PlanDocument,
  model: string,
  work: Work,
): Promise<Cached & { because: string }> {
  const total = plan.snapshot.shards;
  let cached = 0;
  for (let item = 0; item < total; item++) if (await findEmbedding(runs, run, plan, model, item, work)) cached++;
  const because =
    cached === total
      ? 'every shard is there'
      : cached === 0
        ? 'this model was never run on these structures with this provider and batch budget'
        : `${total - cached} shards hold structures that are new or changed`;
  return { total, cached, because };
}

function whyBasis({ name, basis }: RunSpec, digest: string | null): string {
  if (basis.from) return 'basis.from names it';
  if (digest) return `pinned by earlier runs of '${name}'`;
  if (basis.refit) return 'basis.refit is set';
  if (basis.extend) return `it begins with the anchors of '${basis.extend}'`;
  return `no run of '${name}' pinned one with this method, number of anchors, reference model, seed, sources and centre`;
}
