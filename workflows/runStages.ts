import {
  CancellationScope,
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
import type { Activities, Counted, StageInput, StageName, Tally } from '../activities/index.js';
import { SHARDS_PER_RANGE, STAGE_ITEMS } from '../config/names.js';
import { enlist, inWindow, obeyOperator, type Control } from './control.js';
import { fanOut } from './fanOut.js';
import { progressQuery, renderDetails, tallySignal, type RunProgress, type StageProgress } from './progress.js';
import { addRequests, emptyTally, noRequests } from '../config/tally.js';
import { range } from './range.js';
import { searchAttributes } from './searchAttributes.js';

/** Models embedded or projected at the same time: the tail of one overlaps the start of the next. */
const MODELS_IN_FLIGHT = 2;

type Child = ChildWorkflowHandle<typeof fanOut> | ChildWorkflowHandle<typeof range>;

/** The fan-outs of one run, with what an operator sees of them and can do to them. Make one before the first await. */
export class RunStages {
  readonly progress: RunProgress = { stage: 'snapshot', paused: false, snapshot: null, stages: [] };
  private readonly children = new Set<Child>();
  private readonly rows = new Map<string, StageProgress>();
  private readonly control: Control;
  /** Requests to stores of everything that is done. */
  readonly requests = noRequests();
  private readonly entered: { stage: StageName; at: number }[] = [];

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

  /** Activities whose requests to stores are counted for the run. */
  counted(activities: Activities): Activities {
    const add = <R extends Counted>(result: R): R => {
      addRequests(this.requests, result.requests);
      return result;
    };
    return new Proxy(activities, {
      get: (target, name) => {
        const activity = target[name as keyof Activities] as (...args: unknown[]) => Promise<Counted>;
        return async (...args: unknown[]) => add(await activity(...args));
      },
    });
  }

  /** Goes on to a stage, once the run is not paused. */
  async enter(stage: StageName): Promise<void> {
    await condition(() => !this.control.paused);
    this.progress.stage = stage;
    this.entered.push({ stage, at: Date.now() });
    upsertSearchAttributes(searchAttributes({ Stage: stage }));
    this.show();
  }

  /** Seconds from entering each stage to entering the next, or to now. */
  get seconds(): { stage: StageName; seconds: number }[] {
    return this.entered.map(({ stage, at }, i) => ({
      stage,
      seconds: ((this.entered[i + 1]?.at ?? Date.now()) - at) / 1000,
    }));
  }

  /** Names the snapshot, from when it is known. */
  snapshotIs(snapshot: string, quarantined: number): void {
    this.progress.snapshot = snapshot;
    upsertSearchAttributes(searchAttributes({ SnapshotId: snapshot, Quarantined: quarantined }));
  }

  /**
   * Runs one stage over `items` as a child workflow: a single range where one is enough, else a fan-out of ranges. Both report, obey and end
   * alike.
   * @param refuse looks at the tally whenever the child reports; what it returns ends the child, and the run with it, before the rest is done
   */
  async map(input: StageInput, items: number, refuse?: (tally: Tally) => Error | null): Promise<Tally> {
    if (items === 0) return emptyTally();
    const { control, queueSuffix } = this;
    const { stage } = input;
    const model = 'model' in input ? input.model : null;
    const workflowId = [workflowInfo().workflowId, this.runId, stage, model, passOf(input)].filter(Boolean).join('/');
    const row: StageProgress = { stage, model, total: items, tally: emptyTally(), state: 'running' };
    this.rows.set(workflowId, row);
    this.progress.stages.push(row);
    this.show();
    const { revision } = control;
    const common = { input, queueSuffix, ...control, tally: emptyTally() };
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
    const scope = new CancellationScope();
    const child = await scope.run<Child>(async () =>
      items <= SHARDS_PER_RANGE
        ? startChild(range, {
            ...options,
            args: [{ ...common, start: 0, end: items, todo: null, next: 0, reports: 0 }],
          })
        : startChild(fanOut, { ...options, args: [{ ...common, items, nextRange: 0 }] }),
    );
    await enlist(child, this.children, control, { revision });
    try {
      row.tally = await this.result(child, row, scope, refuse);
      addRequests(this.requests, row.tally.requests);
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

  /** The tally of a child, unless a report of it is refused: then it is cancelled, awaited, and the refusal thrown. */
  private async result(
    child: { result(): Promise<Tally> },
    row: StageProgress,
    scope: CancellationScope,
    refuse: (tally: Tally) => Error | null = () => null,
  ): Promise<Tally> {
    let settled = false;
    const outcome = child.result().finally(() => (settled = true));
    outcome.catch(() => undefined); // it is awaited below, after the condition
    await condition(() => settled || refuse(row.tally) !== null);
    const refused = refuse(row.tally);
    if (!settled && refused) {
      scope.cancel();
      await CancellationScope.nonCancellable(() => outcome.catch(() => undefined));
      throw refused;
    }
    return outcome;
  }

  /** Does `work` for each model, a few at a time, in order. The first failure cancels what is under way for the others. */
  async eachModel(models: readonly string[], work: (model: string) => Promise<void>): Promise<void> {
    let first: { error: unknown } | undefined;
    const scope = new CancellationScope();
    try {
      await scope.run(() =>
        inWindow({ window: MODELS_IN_FLIGHT, paused: false }, 0, models.length, async (i) => {
          try {
            await work(models[i]);
          } catch (error) {
            first ??= { error };
            scope.cancel();
            throw error;
          }
        }),
      );
    } catch (error) {
      throw first ? first.error : error;
    }
  }

  private show(): void {
    this.progress.paused = this.control.paused;
    setCurrentDetails(renderDetails(this.progress));
  }
}

/** What tells two fan-outs of one stage and model apart: the end of the key of a pass. */
function passOf(input: StageInput): string {
  const key = 'pass' in input ? input.pass : 'basis' in input ? input.basis : '';
  return key
    .replace(/^.*\//, '')
    .replace(/\.[a-z]+$/, '')
    .slice(0, 16);
}
