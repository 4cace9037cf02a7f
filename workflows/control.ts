import {
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  defineSignal,
  setHandler,
} from '@temporalio/workflow';
import { pauseSignal, resumeSignal, setWindowUpdate } from './progress.js';

/** Parent to child: the window is now this. */
export const windowSignal = defineSignal<[number]>('window');

/** What an operator can change while a workflow runs, and what its children must be told. */
export interface Control {
  paused: boolean;
  window: number;
}

/** A child that obeys the same control. */
export interface Controlled {
  signal(definition: typeof pauseSignal | typeof resumeSignal): Promise<void>;
  signal(definition: typeof windowSignal, size: number): Promise<void>;
}

/** Largest window an update may set: pending activities stay far below the server's 2,000. */
const MAX_WINDOW = 500;

/**
 * Installs pause, resume and window handlers on `control`, and passes each change on to the running children.
 * Call before the first await of a workflow.
 */
export function obey(control: Control, children: ReadonlySet<Controlled>, changed: () => void = () => {}): void {
  const tellAll = async (tell: (child: Controlled) => Promise<void>) => {
    // A child that ends while it is being told needs no telling.
    await Promise.allSettled([...children].map(tell));
  };
  setHandler(pauseSignal, async () => {
    control.paused = true;
    changed();
    await tellAll((child) => child.signal(pauseSignal));
  });
  setHandler(resumeSignal, async () => {
    control.paused = false;
    changed();
    await tellAll((child) => child.signal(resumeSignal));
  });
  const resize = async (size: number) => {
    control.window = size;
    await tellAll((child) => child.signal(windowSignal, size));
  };
  setHandler(windowSignal, resize);
  setHandler(
    setWindowUpdate,
    async (size) => {
      await resize(size);
      return size;
    },
    {
      validator: (size) => {
        if (!Number.isInteger(size) || size < 1 || size > MAX_WINDOW)
          throw ApplicationFailure.nonRetryable(`window ${size}: must be a whole number from 1 to ${MAX_WINDOW}`);
      },
    },
  );
}

/**
 * Starts `item(i)` for i = `from`, `from` + 1, ... with at most `control.window` in flight, until `end`, a failure, or `stop()`;
 * then waits for those in flight (activities and children do not survive continue-as-new).
 * @returns the first index not started
 * @throws the first failure, after the drain
 */
export async function inWindow(
  control: Control,
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
