import {
  ApplicationFailure,
  ChildWorkflowCancellationType,
  type ChildWorkflowHandle,
  condition,
  ParentClosePolicy,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  startChild,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities, PlanSummary, RunRef, RunSummary } from '../activities/index.js';
import { FAILURES, MERGE_FAN_IN, taskQueue } from '../config/names.js';
import { inWindow, obey, type Control } from './control.js';
import { fanOut } from './fanOut.js';
import { forBookkeeping, forComputation } from './policies.js';
import {
  emptyTally,
  progressQuery,
  renderDetails,
  tallySignal,
  type RunProgress,
  type StageProgress,
} from './progress.js';
import type { FanOutStage, StageName, Tally } from '../activities/index.js';
import { searchAttributes } from './searchAttributes.js';

/** Input of a run: ids and object keys only. */
export interface AlignInput {
  runId: string;
  name: string;
  /** URL of the object store that receives everything. */
  output: string;
  /** Key of the request: the checked spec with all defaults. */
  request: string;
  window: number;
  queueSuffix: string;
}

/** Models embedded or projected at the same time: the tail of one overlaps the start of the next. */
const MODELS_IN_FLIGHT = 2;
/** DIRECT lowers its threshold and repeats when it finds fewer clusters than anchors; it converges in a few steps. */
const MAX_REFITS = 12;

/**
 * One alignment run, stage by stage: snapshot, plan, embed, basis, anchor vectors, project, similarity, transport, publish.
 * History: a dozen events a stage and model; every fan-out is a child. Cancel: reaches children and activities, which end first.
 */
export async function alignDatabase(input: AlignInput): Promise<RunSummary> {
  const started = Date.now();
  const { output, queueSuffix } = input;
  const children = new Set<ChildWorkflowHandle<typeof fanOut>>();
  const control: Control = { paused: false, window: input.window };
  const progress: RunProgress = { stage: 'snapshot', paused: false, snapshot: null, stages: [] };
  const rows = new Map<string, StageProgress>();
  const show = () => {
    progress.paused = control.paused;
    setCurrentDetails(renderDetails(progress));
  };
  setHandler(progressQuery, () => ({ ...progress, paused: control.paused }));
  setHandler(tallySignal, (child, tally) => {
    const row = rows.get(child);
    if (row) row.tally = tally;
    show();
  });
  obey(control, children, show);

  const activities = proxyActivities<Activities>({ ...forBookkeeping, taskQueue: taskQueue('compute', queueSuffix) });
  const heavy = proxyActivities<Activities>({ ...forComputation, taskQueue: taskQueue('compute', queueSuffix) });

  const enter = async (stage: StageName) => {
    await condition(() => !control.paused);
    progress.stage = stage;
    upsertSearchAttributes(searchAttributes({ Stage: stage }));
    show();
  };

  /** Runs one stage over `items`, for one model where the stage has one. */
  const map = async (
    run: RunRef,
    stage: FanOutStage,
    model: string | null,
    items: number,
    argument = '',
  ): Promise<Tally> => {
    if (items === 0) return emptyTally();
    const workflowId = [workflowInfo().workflowId, input.runId, stage, model, argument && shortName(argument)]
      .filter(Boolean)
      .join('/');
    const row: StageProgress = { stage, model, total: items, tally: emptyTally(), state: 'running' };
    rows.set(workflowId, row);
    progress.stages.push(row);
    show();
    const child = await startChild(fanOut, {
      workflowId,
      args: [
        {
          run,
          stage,
          model,
          argument,
          queueSuffix,
          items,
          nextRange: 0,
          window: control.window,
          paused: control.paused,
          tally: emptyTally(),
        },
      ],
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
      staticSummary: `${stage}${model ? ` ${model}` : ''}: ${items} ${stage === 'read' ? 'source units' : stage === 'similarity' || stage === 'transport' ? 'pairs' : 'shards'}`,
      typedSearchAttributes: searchAttributes({
        RunName: input.name,
        Stage: stage,
        ...(model ? { ModelId: model } : {}),
        ...(progress.snapshot ? { SnapshotId: progress.snapshot } : {}),
      }),
    });
    children.add(child);
    try {
      row.tally = await child.result();
      row.state = 'done';
      return row.tally;
    } catch (error) {
      row.state = 'failed';
      throw error;
    } finally {
      children.delete(child);
      show();
    }
  };

  // --- snapshot ---------------------------------------------------------------------------------
  await enter('snapshot');
  const request: RunRef = { output, document: input.request };
  const { units } = await activities.listSources(request);
  await map(request, 'read', null, units);
  const snapshot = await heavy.assembleSnapshot(request);
  progress.snapshot = snapshot.snapshot;
  upsertSearchAttributes(searchAttributes({ SnapshotId: snapshot.snapshot, Quarantined: snapshot.quarantined }));
  refuseAbove(snapshot.limit, snapshot.quarantined, snapshot.structures + snapshot.quarantined, 'the sources');

  // --- plan -------------------------------------------------------------------------------------
  await enter('plan');
  const plan: PlanSummary = await activities.planRun(request, snapshot.snapshot);
  const run: RunRef = { output, document: plan.document };

  // --- embed ------------------------------------------------------------------------------------
  await enter('embed');
  const wall: Record<string, number> = {};
  const embedded: Record<string, Tally> = {};
  const eachModel = (work: (model: string) => Promise<void>) =>
    inWindow({ window: MODELS_IN_FLIGHT, paused: false }, 0, plan.models.length, (i) => work(plan.models[i] as string));
  await eachModel(async (model) => {
    const from = Date.now();
    const tally = await map(run, 'embed', model, plan.shards);
    embedded[model] = tally;
    wall[model] = (Date.now() - from) / 1000;
    refuseAbove(plan.limit, tally.quarantined, snapshot.structures, `model ${model}`);
  });

  // --- basis ------------------------------------------------------------------------------------
  await enter('basis');
  let basis = plan.pinnedBasis;
  if (!basis) {
    const reference = plan.referenceModel;
    let pass = '';
    if (plan.basisPasses) {
      let groups = plan.shards;
      for (let level = 0; groups > 1 || level === 0; level++) {
        groups = Math.ceil(groups / MERGE_FAN_IN);
        await map(run, 'statistics', reference, groups, String(level));
      }
      pass = (await heavy.fitProjection(run)).key;
      for (let refits = 0; ; refits++) {
        await map(run, 'summarise', reference, plan.shards, pass);
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
    for (let rounds = 0; !basis; rounds++) {
      if (plan.basisPasses) await map(run, 'nominate', reference, plan.shards, pass);
      const chosen = await heavy.chooseAnchors(run, pass);
      if (chosen.status === 'chosen') basis = chosen.basis;
      else if (rounds === plan.anchors)
        throw new Error('basis: nominations do not end'); // each round fills one centre or more
      else pass = chosen.key;
    }
  }

  // --- anchor vectors, projection ---------------------------------------------------------------
  await enter('project');
  const projected: Record<string, Tally> = {};
  await eachModel(async (model) => {
    const from = Date.now();
    await heavy.anchorVectors(run, basis, model);
    projected[model] = await map(run, 'project', model, plan.shards, basis);
    await heavy.collectModel(run, basis, model);
    wall[model] = (wall[model] ?? 0) + (Date.now() - from) / 1000;
  });

  // --- pairs ------------------------------------------------------------------------------------
  await enter('similarity');
  const similarity = await map(run, 'similarity', null, plan.pairs, basis);
  await enter('transport');
  const transport = await map(run, 'transport', null, plan.pairs, basis);

  // --- publish ----------------------------------------------------------------------------------
  await enter('publish');
  const published = await heavy.publish(run, basis);
  const total = emptyTally();
  for (const tally of Object.values(embedded)) {
    total.runSeconds += tally.runSeconds;
    total.threadSeconds += tally.threadSeconds;
  }
  const pairTasks = 2 * plan.pairs;
  const reusedTasks = similarity.reused + transport.reused;
  const summary: RunSummary = {
    run_id: input.runId,
    workflow_id: workflowInfo().workflowId,
    status: 'done',
    snapshot: snapshot.snapshot,
    structures: snapshot.structures,
    quarantined: snapshot.quarantined,
    basis,
    models: plan.models.map((id) => {
      const tally = embedded[id] ?? emptyTally();
      return {
        id,
        structures: tally.structures,
        atoms: tally.atoms,
        quarantined: tally.quarantined,
        shards: { total: plan.shards, computed: plan.shards - tally.reused, reused: tally.reused },
        inference_seconds: round(tally.runSeconds),
        wall_seconds: round(wall[id] ?? 0),
      };
    }),
    // A pair counts as reused only when neither of its two tables had to be computed.
    pairs: { computed: Math.ceil((pairTasks - reusedTasks) / 2), reused: Math.floor(reusedTasks / 2) },
    inference_share: total.threadSeconds > 0 ? round(total.runSeconds / total.threadSeconds) : null,
    manifest: published.manifest,
    output,
    wall_seconds: round((Date.now() - started) / 1000),
  };
  await activities.recordRun(run, summary);
  return summary;
}

function refuseAbove(limit: number, quarantined: number, of: number, what: string): void {
  if (of > 0 && quarantined / of > limit)
    throw ApplicationFailure.nonRetryable(
      `${quarantined} of ${of} structures of ${what} are quarantined, more than limits.quarantine_fraction ${limit} allows; ` +
        'see the quarantine rows, mend the sources or raise the limit',
      FAILURES.quarantineLimit,
      { what, quarantined, of, limit },
    );
}

/** The part of an object key that tells two passes of a stage apart. */
function shortName(key: string): string {
  return key
    .replace(/^.*\//, '')
    .replace(/\.[a-z]+$/, '')
    .slice(0, 16);
}

function round(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}
