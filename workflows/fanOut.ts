import {
  type ChildWorkflowHandle,
  ChildWorkflowCancellationType,
  getExternalWorkflowHandle,
  makeContinueAsNewFunc,
  ParentClosePolicy,
  setCurrentDetails,
  setHandler,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import { HISTORY_EVENT_BUDGET, SHARDS_PER_RANGE } from '../config/names.js';
import { enlist, inWindow, obeyParent, type Control } from './control.js';
import { progressQuery, renderDetails, tallySignal } from './progress.js';
import { addTally, emptyTally } from '../config/tally.js';
import type { StageInput, Tally } from '../activities/index.js';
import { range } from './range.js';

/** Ranges of one fan-out that run at the same time. */
const RANGES_IN_FLIGHT = 20;
/** Up to this many ranges, each tells its parent how far it is; beyond, a finished range is progress enough. */
const REPORTING_RANGES = 20;

/** Where a fan-out stands; it travels through continue-as-new. */
export interface FanOutState extends Control {
  /** What the items share beside their number. */
  input: StageInput;
  queueSuffix: string;
  /** Number of items: shards, pages, source units, models or pairs. */
  items: number;
  nextRange: number;
  /** Of the ranges that are done. */
  tally: Tally;
}

/**
 * One stage over all its items: a child range for every {@link SHARDS_PER_RANGE} items, {@link RANGES_IN_FLIGHT} at a time.
 * `window` is per range. History: about 12 events a range plus its reports; drains and continues as new on budget.
 */
export async function fanOut(state: FanOutState): Promise<Tally> {
  const { input, queueSuffix, items } = state;
  const { stage } = input;
  const model = 'model' in input ? input.model : null;
  const info = workflowInfo();
  const ranges = Math.ceil(items / SHARDS_PER_RANGE);
  const children = new Set<ChildWorkflowHandle<typeof range>>();
  const partial = new Map<string, Tally>();
  const tally = () => {
    const sum = { ...state.tally };
    for (const part of partial.values()) addTally(sum, part);
    return sum;
  };
  const progress = () => ({
    stage,
    paused: state.paused,
    snapshot: null,
    stages: [{ stage, model, total: items, tally: tally(), state: 'running' as const }],
  });
  const tellParent = async () => {
    setCurrentDetails(renderDetails(progress()));
    if (!info.parent) return;
    await getExternalWorkflowHandle(info.parent.workflowId)
      .signal(tallySignal, info.workflowId, tally())
      .catch(() => undefined);
  };
  setHandler(progressQuery, progress);
  setHandler(tallySignal, async (child, part) => {
    if (part.done < (partial.get(child)?.done ?? 0)) return; // overtaken by a later one
    partial.set(child, part);
    if (ranges <= REPORTING_RANGES) await tellParent();
  });
  obeyParent(state, children);

  state.nextRange = await inWindow(
    { paused: false, window: RANGES_IN_FLIGHT }, // while the run is paused, ranges start and wait
    state.nextRange,
    ranges,
    async (index) => {
      const start = index * SHARDS_PER_RANGE;
      const workflowId = `${info.workflowId}/r${String(index).padStart(4, '0')}`;
      const end = Math.min(items, start + SHARDS_PER_RANGE);
      const { paused, window, revision } = state;
      const child = await startChild(range, {
        workflowId,
        args: [
          {
            input,
            queueSuffix,
            paused,
            window,
            revision,
            start,
            end,
            todo: null,
            next: 0,
            tally: emptyTally(),
            reports: ranges <= REPORTING_RANGES ? 0 : Number.MAX_SAFE_INTEGER,
          },
        ],
        parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
        cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
        staticSummary: `${stage}${model ? ` ${model}` : ''}: ${start} to ${end - 1} of ${items}`,
        typedSearchAttributes: info.typedSearchAttributes,
      });
      await enlist(child, children, state, { revision });
      try {
        const done = await child.result();
        partial.delete(workflowId);
        addTally(state.tally, done);
      } finally {
        children.delete(child);
      }
      await tellParent();
    },
    () => workflowInfo().continueAsNewSuggested || workflowInfo().historyLength >= HISTORY_EVENT_BUDGET,
  );
  if (state.nextRange < ranges) await makeContinueAsNewFunc<typeof fanOut>()(state);
  return state.tally;
}
