import {
  getExternalWorkflowHandle,
  makeContinueAsNewFunc,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities, FanOutStage, ItemTask, StageInput, Tally } from '../activities/index.js';
import { HISTORY_EVENT_BUDGET, INFERENCE_STAGES, taskQueue } from '../config/names.js';
import { inWindow, obeyParent, type Control } from './control.js';
import { forComputation, forInference } from './policies.js';
import { progressQuery, renderDetails, tallySignal } from './progress.js';
import { addTally } from '../config/tally.js';

/** Where a range stands; it travels through continue-as-new. */
export interface RangeState extends Control {
  /** What the items share beside their number. */
  input: StageInput;
  queueSuffix: string;
  start: number;
  end: number;
  /** Items still to do when the range started; null before that was looked up. */
  todo: number[] | null;
  /** Position in `todo`. */
  next: number;
  tally: Tally;
  /** Tally signals to the parent so far, of at most {@link REPORTS}. */
  reports: number;
}

const REPORTS = 10;

/**
 * Runs one activity for each item of a range (shards, source units or pairs) that is not there already, in a bounded window;
 * one activity looks up the whole range first, so that a rerun over cached work costs a few events whatever its size.
 * History: about 6 events an item; drains and continues as new at {@link HISTORY_EVENT_BUDGET} events.
 * Cancel: items in flight are cancelled and awaited. A failed item stops the feed; the others end first.
 */
export async function range(state: RangeState): Promise<Tally> {
  const { input } = state;
  const { stage } = input;
  const model = 'model' in input ? input.model : null;
  const parent = workflowInfo().parent;
  const compute = proxyActivities<Activities>({
    ...forComputation,
    taskQueue: taskQueue('compute', state.queueSuffix),
  });
  const activities = (INFERENCE_STAGES as readonly string[]).includes(stage)
    ? proxyActivities<Activities>({ ...forInference, taskQueue: taskQueue('inference', state.queueSuffix) })
    : compute;
  const total = state.end - state.start;
  const progress = () => ({
    stage,
    paused: state.paused,
    snapshot: null,
    stages: [{ stage, model, total, tally: state.tally, state: 'running' as const }],
  });
  setHandler(progressQuery, progress);
  obeyParent(state);

  const report = async () => {
    const due = Math.ceil((total * (state.reports + 1)) / REPORTS);
    if (!parent || state.tally.done < due) return;
    state.reports = Math.floor((state.tally.done * REPORTS) / total);
    // The parent may be closing; its own end tells the story then.
    await getExternalWorkflowHandle(parent.workflowId)
      .signal(tallySignal, workflowInfo().workflowId, state.tally)
      .catch(() => undefined);
  };
  if (state.todo === null) {
    const { start, end } = state;
    const { tally, missing, requests } = await compute.reuse({ input, start, end });
    addTally(state.tally, { ...tally, requests });
    state.todo = missing;
  }
  const { todo } = state;
  state.next = await inWindow(
    state,
    state.next,
    todo.length,
    async (position) => {
      const doItem = activities[stage] as (task: ItemTask<FanOutStage>) => Promise<Tally>;
      addTally(state.tally, await doItem({ ...input, item: todo[position] }));
      setCurrentDetails(renderDetails(progress()));
      await report();
    },
    () => workflowInfo().continueAsNewSuggested || workflowInfo().historyLength >= HISTORY_EVENT_BUDGET,
  );
  if (state.next < todo.length) await makeContinueAsNewFunc<typeof range>()(state);
  return state.tally;
}
