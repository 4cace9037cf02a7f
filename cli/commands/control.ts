import { WorkflowUpdateFailedError } from '@temporalio/client';
import { EXIT } from '../../config/names.js';
import { pauseSignal, resumeSignal, setWindowUpdate } from '../../workflows/progress.js';
import type { Context } from '../context.js';
import { followRun } from '../follow.js';
import { exitCode } from '../outcome.js';
import { progressDisplay } from '../progress.js';
import { Refusal } from '../refusal.js';
import { findRun, type ListedRun, type RunHandle } from '../runs.js';
import { withSession } from '../session.js';
import { report } from './run.js';

/** `koine watch RUN`: follows a run to its end; Ctrl-C leaves it running. */
export function watch(context: Context, text: string, options: { json?: boolean }): Promise<number> {
  return withSession(context, { workers: false }, async ({ client }, stopped) => {
    const { handle, run } = await findRun(client, text);
    const display = progressDisplay(context.console);
    try {
      const outcome = await followRun(client, handle, display, stopped);
      display.end();
      await report(context, run, outcome, options.json ?? false);
      return exitCode(outcome.status);
    } finally {
      display.end();
    }
  });
}

/** `koine pause RUN`: nothing new starts; what runs ends. */
export function pause(context: Context, text: string): Promise<number> {
  return withRunning(context, text, async (handle, run) => {
    await handle.signal(pauseSignal);
    return `${run.run_id} pauses: work in flight ends, nothing new starts; go on with: koine resume ${text}`;
  });
}

/** `koine resume RUN`: goes on after a pause. */
export function resume(context: Context, text: string): Promise<number> {
  return withRunning(context, text, async (handle, run) => {
    await handle.signal(resumeSignal);
    return `${run.run_id} goes on`;
  });
}

/** `koine cancel RUN`: stops a run; what it has computed stays and is reused. */
export function cancel(context: Context, text: string): Promise<number> {
  return withRunning(context, text, async (handle, run) => {
    await handle.cancel();
    return `${run.run_id} is being cancelled; what it has computed stays and is reused`;
  });
}

/** `koine window RUN N`: how many items of a stage are in flight. */
export function window(context: Context, text: string, size: number): Promise<number> {
  return withRunning(context, text, async (handle, run) => {
    try {
      await handle.executeUpdate(setWindowUpdate, { args: [size] });
    } catch (error) {
      if (error instanceof WorkflowUpdateFailedError) throw new Refusal(error.cause?.message ?? error.message);
      throw error;
    }
    return `${run.run_id}: ${size} in flight from now on`;
  });
}

function withRunning(
  context: Context,
  text: string,
  work: (handle: RunHandle, run: ListedRun) => Promise<string>,
): Promise<number> {
  return withSession(context, { workers: false }, async ({ client }) => {
    const { handle, run } = await findRun(client, text);
    if (run.status !== 'running') throw new Refusal(`${run.run_id} is not running: ${run.status}`);
    context.console.say(await work(handle, run));
    return EXIT.done;
  });
}
