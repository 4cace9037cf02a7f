import {
  ChildWorkflowCancellationType,
  type ChildWorkflowHandle,
  condition,
  ParentClosePolicy,
  setCurrentDetails,
  setHandler,
  startChild,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { FanOutStage, RunRef, StageName, Tally } from '../activities/index.js';
import { SHARDS_PER_RANGE, STAGE_ITEMS } from '../config/names.js';
import { enlist, inWindow, obeyOperator, type Control } from './control.js';
import { fanOut } from './fanOut.js';
import { progressQuery, renderDetails, tallySignal, type RunProgress, type StageProgress } from './progress.js';
import { emptyTally } from '../config/tally.js';
import { range } from './range.js';
import { searchAttributes } from './searchAttributes.js';

/** Models embedded or projected at the same time: the tail of one overlaps the start of the next. */
const MODELS_IN_FLIGHT = 2;

/** The fan-outs of one run, with what an operator sees of them and can do to them. Make one before the first await. */
export class RunStages {
  readonly progress: RunProgress = { stage: 'snapshot', paused: false, snapshot: null, stages: [] };
  private readonly children = new Set<ChildWorkflowHandle<typeof fanOut> | ChildWorkflowHandle<typeof range>>();
  private readonly rows = new Map<string, StageProgress>();
  private readonly control: Control;

  constructor(
    private readonly runName: string,
    private readonly runId: string,
    private readonly queueSuffix: string,
    window: number,
  ) {
    this.control = { paused: false, window, revision: 0 };
    setHandler(progressQuery, () => ({ ...this.progress, paused: this.control.paused }));
    setHandler(tallySignal, (child, tally) => {
      const row = this.rows.get(child);
      if (!row || tally.done < row.tally.done) return; // overtaken by a later one
      row.tally = tally;
      this.show();
    });
    obeyOperator(this.control, this.children, () => this.show());
  }

  /** Goes on to a stage, once the run is not paused. */
  async enter(stage: StageName): Promise<void> {
    await condition(() => !this.control.paused);
    this.progress.stage = stage;
    upsertSearchAttributes(searchAttributes({ Stage: stage }));
    this.show();
  }

  /** Names the snapshot, from when it is known. */
  snapshotIs(snapshot: string, quarantined: number): void {
    this.progress.snapshot = snapshot;
    upsertSearchAttributes(searchAttributes({ SnapshotId: snapshot, Quarantined: quarantined }));
  }

  /**
   * Runs one stage over `items`, for one model where the stage has one, as a child workflow: a single range where one is
   * enough, else a fan-out of ranges. Both report, obey and end alike.
   */
  async map(run: RunRef, stage: FanOutStage, model: string | null, items: number, argument = ''): Promise<Tally> {
    if (items === 0) return emptyTally();
    const { control, queueSuffix } = this;
    const workflowId = [workflowInfo().workflowId, this.runId, stage, model, lastSegment(argument)]
      .filter(Boolean)
      .join('/');
    const row: StageProgress = { stage, model, total: items, tally: emptyTally(), state: 'running' };
    this.rows.set(workflowId, row);
    this.progress.stages.push(row);
    this.show();
    const { revision } = control;
    const common = { run, stage, model, argument, queueSuffix, ...control, tally: emptyTally() };
    const options = {
      workflowId,
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
      staticSummary: `${stage}${model ? ` ${model}` : ''}: ${items} ${STAGE_ITEMS[stage]}s`,
      typedSearchAttributes: searchAttributes({
        RunName: this.runName,
        Stage: stage,
        ...(model ? { ModelId: model } : {}),
        ...(this.progress.snapshot ? { SnapshotId: this.progress.snapshot } : {}),
      }),
    };
    const child =
      items <= SHARDS_PER_RANGE
        ? await startChild(range, {
            ...options,
            args: [{ ...common, start: 0, end: items, todo: null, next: 0, reports: 0 }],
          })
        : await startChild(fanOut, { ...options, args: [{ ...common, items, nextRange: 0 }] });
    await enlist(child, this.children, control, { revision });
    try {
      row.tally = await child.result();
      row.state = 'done';
      return row.tally;
    } catch (error) {
      row.state = 'failed';
      throw error;
    } finally {
      this.children.delete(child);
      this.show();
    }
  }

  /** Does `work` for each model, a few at a time, in order. */
  async eachModel(models: readonly string[], work: (model: string) => Promise<void>): Promise<void> {
    await inWindow({ window: MODELS_IN_FLIGHT, paused: false }, 0, models.length, (i) => work(models[i]));
  }

  private show(): void {
    this.progress.paused = this.control.paused;
    setCurrentDetails(renderDetails(this.progress));
  }
}

/** The end of an object key, which tells two passes of a stage apart. */
function lastSegment(key: string): string {
  return key
    .replace(/^.*\//, '')
    .replace(/\.[a-z]+$/, '')
    .slice(0, 16);
}
