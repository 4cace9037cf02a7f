import {
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  defineSignal,
  setHandler,
} from '@temporalio/workflow';
import { pauseSignal, resumeSignal, setWindowUpdate } from './progress.js';

/** What an operator can change while a run goes, passed down to its stages and their ranges. */
export interface Control {
  paused: boolean;
  /** Items in flight of every range. */
  window: number;
  /** Counts the changes, since signals may overtake each other. */
  revision: number;
}

/** Parent to child: this is how things stand now. */
const controlSignal = defineSignal<[Control]>('control');

/** A child that obeys its parent. */
export interface Controlled {
  signal(definition: typeof controlSignal, control: Control): Promise<void>;
}

/** Largest window an update may set: pending activities stay far below the server's 2,000. */
const MAX_WINDOW = 500;

/**
 * Installs the operator's pause, resume and window on the `control` of a run, which passes each change on to its children.
 * Call before the first await of a workflow.
 */
export function obeyOperator(control: Control, children: ReadonlySet<Controlled>, changed: () => void): void {
  const change = async (fields: Partial<Control>) => {
    Object.assign(control, fields);
    control.revision++;
    changed();
    await tellAll(children, control);
  };
  setHandler(pauseSignal, () => change({ paused: true }));
  setHandler(resumeSignal, () => change({ paused: false }));
  setHandler(
    setWindowUpdate,
    async (window) => {
      await change({ window });
      return window;
    },
    {
      validator: (size) => {
        if (!Number.isInteger(size) || size < 1 || size > MAX_WINDOW)
          throw ApplicationFailure.nonRetryable(`window ${size}: must be a whole number from 1 to ${MAX_WINDOW}`);
      },
    },
  );
}

/** Lets the parent's control reach that of a stage or range, and its children. Call before the first await of a workflow. */
export function obeyParent(control: Control, children: ReadonlySet<Controlled> = new Set()): void {
  setHandler(controlSignal, async (now) => {
    if (now.revision <= control.revision) return;
    Object.assign(control, now);
    await tellAll(children, control);
  });
}

/**
 * Adds a child that was just started to those that are told of changes. What changed after its arguments were made (`told`)
 * and before it was there to be told is told now; otherwise it would stay paused for ever, or run on.
 */
export async function enlist<Child extends Controlled>(
  child: Child,
  children: Set<Child>,
  control: Readonly<Control>,
  told: Pick<Control, 'revision'>,
): Promise<void> {
  children.add(child);
  if (control.revision !== told.revision) await tellAll([child], control);
}

async function tellAll(children: Iterable<Controlled>, { paused, window, revision }: Readonly<Control>): Promise<void> {
  // A child that ends while it is being told needs no telling.
  await Promise.allSettled(Array.from(children, (child) => child.signal(controlSignal, { paused, window, revision })));
}

/**
 * Starts `item(i)` for i = `from`, `from` + 1, ... with at most `control.window` in flight, until `end`, a failure, or `stop()`;
 * then waits for those in flight (activities and children do not survive continue-as-new).
 * @returns the first index not started
 * @throws the first failure, after the drain
 */
export async function inWindow(
  control: Pick<Control, 'paused' | 'window'>,
  from: number,
  end: number,
  item: (index: number) => Promise<void>,
  stop: () => boolean = () => false,
): Promise<number> {
  let next = from;
  let inFlight = 0;
  let failure: { error: unknown } | undefined;
  const drain = () => condition(() => inFlight === 0 && allHandlersFinished());
  try {
    while (next < end && !failure && !stop()) {
      await condition(() => failure !== undefined || (!control.paused && inFlight < control.window));
      if (failure) break;
      inFlight++;
      item(next++)
        .catch((error: unknown) => (failure ??= { error }))
        .finally(() => inFlight--);
    }
  } catch (error) {
    failure ??= { error }; // cancellation reaches condition() first
  }
  await CancellationScope.nonCancellable(drain);
  if (failure) throw failure.error;
  return next;
}
