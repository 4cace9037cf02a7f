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
  PlanRef,
  PlanSummary,
  RequestRef,
  RunFailure,
  RunSummary,
  SealedSnapshot,
  Tally,
} from '../activities/index.js';
import { FAILURES, taskQueue } from '../config/names.js';
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
  const quick = stages.counted(proxyActivities<Activities>({ ...forBookkeeping, taskQueue: compute }));
  const heavy = stages.counted(proxyActivities<Activities>({ ...forComputation, taskQueue: compute }));
  const request: RequestRef = { output: input.output, request: input.request };
  const started = Date.now();
  /** What is known when a run fails. */
  const known: { plan: PlanRef | null; seal: string | null } = { plan: null, seal: null };
  try {
    // --- snapshot
    await stages.enter('snapshot');
    const snapshot = await readSources(stages, quick, heavy, request);
    known.seal = snapshot.seal;
    stages.snapshotIs(snapshot.snapshot, snapshot.quarantined);
    const read = snapshot.structures + snapshot.quarantined;
    const tooMany = quarantineLimit(snapshot.limit, snapshot.quarantined, read, 'the sources', null);
    if (tooMany) throw tooMany;
    await stages.map({ stage: 'place', run: request, seal: snapshot.seal }, snapshot.pages);
    await quick.openSnapshot(request, snapshot.seal);

    // --- plan
    await stages.enter('plan');
    const plan = await heavy.planRun(request, snapshot.seal);
    const run: PlanRef = { output: input.output, plan: plan.document };
    known.plan = run;

    // --- embed
    await stages.enter('embed');
    const costs = new Map<string, ModelCost>();
    await stages.eachModel(plan.models, async (model) => {
      const from = Date.now();
      const refuse = ({ quarantined }: Tally) =>
        quarantineLimit(plan.limit, quarantined, snapshot.structures, `model ${model}`, model);
      const embed = await stages.map({ stage: 'embed', run, model }, plan.shards, refuse);
      const refused = refuse(embed);
      if (refused) throw refused;
      await stages.map({ stage: 'embedded', run, model }, plan.pages);
      costs.set(model, { embed, wallMilliseconds: Date.now() - from });
    });

    // --- basis
    await stages.enter('basis');
    const basis = plan.pinnedBasis ?? (await fitBasis(stages, heavy, run, plan));

    // --- anchor vectors and projection
    await stages.enter('project');
    await stages.eachModel(plan.models, async (model) => {
      const from = Date.now();
      await heavy.anchorVectors(run, basis, model);
      await stages.map({ stage: 'project', run, model, basis }, plan.shards);
      await stages.map({ stage: 'projected', run, model, basis }, plan.pages);
      costs.get(model)!.wallMilliseconds += Date.now() - from;
    });

    // --- rows that pairs and diagnostics look at
    await stages.enter('select');
    await stages.map({ stage: 'select', run }, plan.pages);
    await stages.eachModel(plan.models, async (model) => {
      await stages.map({ stage: 'gather', run, model, basis }, plan.pages);
    });

    // --- pairs
    await stages.enter('similarity');
    const similarity = await stages.map({ stage: 'similarity', run, basis }, plan.pairs);
    await stages.enter('transport');
    const transport = await stages.map({ stage: 'transport', run, basis }, plan.pairs);

    // --- diagnostics
    const diagnostics = { computed: 0, reused: 0 };
    for (const { stage, items } of plan.diagnostics) {
      await stages.enter(stage);
      const { done, reused } = await stages.map({ stage, run, basis }, items);
      if (stage === 'pool' || stage === 'scored') continue; // gather and list for the others; no rows come of them
      diagnostics.computed += done - reused;
      diagnostics.reused += reused;
    }

    // --- publish
    await stages.enter('publish');
    const { manifest, similarity: headline, warnings } = await heavy.publish(request, run, basis);
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
      stages: stages.seconds,
      requests: stages.requests,
      wall_seconds: seconds(Date.now() - started),
    };
    await quick.recordRun(request, summary);
    return summary;
  } catch (error) {
    await CancellationScope.nonCancellable(async () => {
      const { stage, snapshot } = stages.progress;
      const failure = await explain(error, heavy, request, known);
      const workflow_id = workflowInfo().workflowId;
      await quick.recordRun(request, { ...failure, run_id: runId, workflow_id, stage, snapshot });
    });
    throw error;
  }
}

/** From source files to a merged snapshot, not yet in its place. */
async function readSources(
  stages: RunStages,
  quick: Activities,
  heavy: Activities,
  run: RequestRef,
): Promise<SealedSnapshot> {
  const listed = await heavy.listSources(run);
  await stages.map({ stage: 'scan', run, listing: listed.listing }, listed.large);
  const { listing, units } = await quick.listUnits(run, listed.listing);
  await stages.map({ stage: 'read', run, listing }, units);
  const { merge, pages } = await heavy.planMerge(run, listing);
  await stages.map({ stage: 'merge', run, merge }, pages);
  return heavy.sealSnapshot(run, merge);
}

/** From merged statistics to anchors: see `activities/basis/basis.ts`. @returns the digest of the basis */
async function fitBasis(stages: RunStages, heavy: Activities, run: PlanRef, plan: PlanSummary): Promise<string> {
  const { referenceModel: model, shards } = plan;
  const clusters = plan.anchorChoice === 'clusters';
  let pass = '';
  if (plan.anchorChoice === 'ranks') await stages.map({ stage: 'rankAtoms', run, model }, plan.pages);
  if (clusters) {
    await stages.map({ stage: 'statistics', run, model }, plan.pages);
    pass = (await heavy.fitProjection(run)).key;
    for (let refits = 0; ; refits++) {
      await stages.map({ stage: 'summarise', run, model, pass }, shards);
      const found = await heavy.clusterLeaves(run, pass);
      pass = found.key;
      if (found.status === 'clustered') break;
      if (refits === MAX_REFITS)
        throw ApplicationFailure.nonRetryable(
          `basis: DIRECT found fewer than ${plan.anchors} clusters after ${MAX_REFITS} refits; lower basis.anchors`,
          FAILURES.invalidInput,
        );
    }
  }
  // Each round fills one centre at least, or fails.
  for (let round = 0; round < plan.anchors; round++) {
    if (clusters) await stages.map({ stage: 'nominate', run, model, pass }, shards);
    const chosen = await heavy.chooseAnchors(run, pass);
    if (chosen.status === 'chosen') return chosen.basis;
    pass = chosen.key;
  }
  throw ApplicationFailure.nonRetryable(`basis: ${plan.anchors} rounds of nominations filled no basis`);
}

function summarise(snapshot: SealedSnapshot, plan: PlanSummary, costs: ReadonlyMap<string, ModelCost>) {
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

/** The failure of a run that quarantines more than its spec allows; null where it does not. */
function quarantineLimit(
  limit: number,
  quarantined: number,
  of: number,
  what: string,
  model: string | null,
): ApplicationFailure | null {
  if (of === 0 || quarantined / of <= limit) return null;
  return ApplicationFailure.nonRetryable(
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
  request: RequestRef,
  { plan, seal }: { plan: PlanRef | null; seal: string | null },
): Promise<Pick<RunFailure, 'status' | 'message' | 'quarantine'>> {
  if (isCancellation(error)) return { status: 'cancelled', message: 'cancelled', quarantine: null };
  const message = rootCause(error) ?? String(error);
  if (!(error instanceof ApplicationFailure && error.type === FAILURES.quarantineLimit && seal))
    return { status: 'failed', message, quarantine: null };
  const [{ model }] = error.details as [{ model: string | null }];
  const quarantine = await activities.quarantineReport(request, seal, plan && model ? { plan, model } : null);
  return { status: 'quarantine_limit', message, quarantine };
}

/** Seconds from milliseconds, to the millisecond. */
function seconds(milliseconds: number): number {
  return Math.round(milliseconds) / 1000;
}
