import {
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  proxyActivities,
  rootCause,
  workflowInfo,
} from '@temporalio/workflow';
import type {
  Activities,
  PlanSummary,
  RunFailure,
  RunRef,
  RunSummary,
  SnapshotDocument,
  Tally,
} from '../activities/index.js';
import { FAILURES, MERGE_FAN_IN, taskQueue } from '../config/names.js';
import { forBookkeeping, forComputation } from './policies.js';
import { addTally, emptyTally } from '../config/tally.js';
import { RunStages } from './runStages.js';

/** Input of a run: ids and object keys only. */
export interface AlignInput {
  /** Names the run record; made here when empty (scheduled runs). */
  runId: string;
  name: string;
  /** URL of the object store that receives everything. */
  output: string;
  /** Key of the request: the checked spec with all defaults. */
  request: string;
  window: number;
  queueSuffix: string;
}

/** DIRECT lowers its threshold and repeats when it finds fewer clusters than anchors; it converges in a few steps. */
const MAX_REFITS = 12;

/** What one model cost. */
interface ModelCost {
  embed: Tally;
  wallMilliseconds: number;
}

/**
 * One alignment run, stage by stage: snapshot, plan, embed, basis, anchor vectors and projection, similarity, transport,
 * diagnostics, publish.
 * History: a dozen events a stage and model; every fan-out is a child. Cancel: reaches children and activities, which end
 * first. However a run ends, its record says so.
 */
export async function alignDatabase(input: AlignInput): Promise<RunSummary> {
  const runId = input.runId || `${input.name}-${workflowInfo().runId}`;
  const stages = new RunStages(input.name, runId, input.queueSuffix, input.window);
  const compute = taskQueue('compute', input.queueSuffix);
  const quick = proxyActivities<Activities>({ ...forBookkeeping, taskQueue: compute });
  const heavy = proxyActivities<Activities>({ ...forComputation, taskQueue: compute });
  const request: RunRef = { output: input.output, document: input.request };
  const started = Date.now();
  /** The plan once there is one; what a failure is explained with. */
  let run = request;
  try {
    // --- snapshot
    await stages.enter('snapshot');
    const { units } = await quick.listSources(request);
    await stages.map(request, 'read', null, units);
    const snapshot = await heavy.assembleSnapshot(request);
    stages.snapshotIs(snapshot.snapshot, snapshot.quarantined);
    const read = snapshot.structures + snapshot.quarantined;
    refuseAbove(snapshot.limit, snapshot.quarantined, read, 'the sources', null);

    // --- plan
    await stages.enter('plan');
    const plan = await quick.planRun(request, snapshot.snapshot);
    run = { output: input.output, document: plan.document };

    // --- embed
    await stages.enter('embed');
    const costs = new Map<string, ModelCost>();
    await stages.eachModel(plan.models, async (model) => {
      const from = Date.now();
      const embed = await stages.map(run, 'embed', model, plan.shards);
      costs.set(model, { embed, wallMilliseconds: Date.now() - from });
      refuseAbove(plan.limit, embed.quarantined, snapshot.structures, `model ${model}`, model);
    });

    // --- basis
    await stages.enter('basis');
    const basis = plan.pinnedBasis ?? (await fitBasis(stages, heavy, run, plan));

    // --- anchor vectors and projection
    await stages.enter('project');
    await stages.eachModel(plan.models, async (model) => {
      const from = Date.now();
      await heavy.anchorVectors(run, basis, model);
      await stages.map(run, 'project', model, plan.shards, basis);
      await heavy.collectModel(run, basis, model);
      costs.get(model)!.wallMilliseconds += Date.now() - from;
    });

    // --- pairs
    await stages.enter('similarity');
    const similarity = await stages.map(run, 'similarity', null, plan.pairs, basis);
    await stages.enter('transport');
    const transport = await stages.map(run, 'transport', null, plan.pairs, basis);

    // --- diagnostics
    const diagnostics = { computed: 0, reused: 0 };
    for (const { stage, items } of plan.diagnostics) {
      await stages.enter(stage);
      const { done, reused } = await stages.map(run, stage, null, items, basis);
      if (stage === 'pool') continue; // gathers for the others; no table comes of it
      diagnostics.computed += done - reused;
      diagnostics.reused += reused;
    }

    // --- publish
    await stages.enter('publish');
    const { manifest, similarity: headline, warnings } = await heavy.publish(run, basis);
    const reused = Math.min(similarity.reused, transport.reused);
    const summary: RunSummary = {
      ...summarise(snapshot, plan, costs),
      run_id: runId,
      workflow_id: workflowInfo().workflowId,
      status: 'done',
      basis,
      pairs: { computed: plan.pairs - reused, reused },
      diagnostics,
      similarity: headline,
      warnings,
      manifest,
      output: input.output,
      wall_seconds: seconds(Date.now() - started),
    };
    await quick.recordRun(run, summary);
    return summary;
  } catch (error) {
    await CancellationScope.nonCancellable(async () => {
      const { stage, snapshot } = stages.progress;
      const failure = await explain(error, quick, run, snapshot);
      const workflow_id = workflowInfo().workflowId;
      await quick.recordRun(run, { ...failure, run_id: runId, workflow_id, stage, snapshot });
    });
    throw error;
  }
}

/** From merged statistics to anchors: see `activities/basis/basis.ts`. @returns the digest of the basis */
async function fitBasis(stages: RunStages, heavy: Activities, run: RunRef, plan: PlanSummary): Promise<string> {
  const { referenceModel: model, shards } = plan;
  let pass = '';
  if (plan.basisPasses) {
    for (let level = 0, groups = shards; groups > 1 || level === 0; level++) {
      groups = Math.ceil(groups / MERGE_FAN_IN);
      await stages.map(run, 'statistics', model, groups, String(level));
    }
    pass = (await heavy.fitProjection(run)).key;
    for (let refits = 0; ; refits++) {
      await stages.map(run, 'summarise', model, shards, pass);
      const clusters = await heavy.clusterLeaves(run, pass);
      pass = clusters.key;
      if (clusters.status === 'clustered') break;
      if (refits === MAX_REFITS)
        throw ApplicationFailure.nonRetryable(
          `basis: DIRECT found fewer than ${plan.anchors} clusters after ${MAX_REFITS} refits; lower basis.anchors`,
          FAILURES.invalidInput,
        );
    }
  }
  // Each round fills one centre at least, or fails.
  for (let round = 0; round < plan.anchors; round++) {
    if (plan.basisPasses) await stages.map(run, 'nominate', model, shards, pass);
    const chosen = await heavy.chooseAnchors(run, pass);
    if (chosen.status === 'chosen') return chosen.basis;
    pass = chosen.key;
  }
  throw ApplicationFailure.nonRetryable(`basis: ${plan.anchors} rounds of nominations filled no basis`);
}

function summarise(snapshot: SnapshotDocument, plan: PlanSummary, costs: ReadonlyMap<string, ModelCost>) {
  const total = emptyTally();
  for (const { embed } of costs.values()) addTally(total, embed);
  return {
    snapshot: snapshot.snapshot,
    structures: snapshot.structures,
    quarantined: snapshot.quarantined,
    models: plan.models.map((id) => {
      const { embed, wallMilliseconds } = costs.get(id)!;
      return {
        id,
        structures: embed.structures,
        atoms: embed.atoms,
        quarantined: embed.quarantined,
        shards: { total: plan.shards, computed: plan.shards - embed.reused, reused: embed.reused },
        inference_seconds: seconds(1000 * embed.runSeconds),
        wall_seconds: seconds(wallMilliseconds),
      };
    }),
    inference_share: total.threadSeconds > 0 ? seconds((1000 * total.runSeconds) / total.threadSeconds) : null,
  };
}

function refuseAbove(limit: number, quarantined: number, of: number, what: string, model: string | null): void {
  if (of > 0 && quarantined / of > limit)
    throw ApplicationFailure.nonRetryable(
      `${quarantined} of ${of} structures of ${what} are quarantined, more than limits.quarantine_fraction ${limit} allows; ` +
        'see the quarantine rows in the run record, mend the sources or raise the limit',
      FAILURES.quarantineLimit,
      { model },
    );
}

/** What the record of a run that did not end well says. */
async function explain(
  error: unknown,
  activities: Activities,
  run: RunRef,
  snapshot: string | null,
): Promise<Pick<RunFailure, 'status' | 'message' | 'quarantine'>> {
  if (isCancellation(error)) return { status: 'cancelled', message: 'cancelled', quarantine: null };
  const message = rootCause(error) ?? String(error);
  if (!(error instanceof ApplicationFailure && error.type === FAILURES.quarantineLimit && snapshot))
    return { status: 'failed', message, quarantine: null };
  const [{ model }] = error.details as [{ model: string | null }];
  return { status: 'quarantine_limit', message, quarantine: await activities.quarantineReport(run, snapshot, model) };
}

/** Seconds from milliseconds, to the millisecond. */
function seconds(milliseconds: number): number {
  return Math.round(milliseconds) / 1000;
}
