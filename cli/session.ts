import { EXIT } from '../config/names.js';
import { installRuntime, openSession, type Session } from '../workers/session.js';
import type { Context } from './context.js';
import { Refusal } from './refusal.js';

/**
 * Runs `work` on a connection to the engine and closes it after.
 * @param options `workers`: host workers here when embedded; `output`: what they work on
 * @param work what is long in it ends with the signal, which is given when a worker of this process fails
 * @throws Refusal when the engine cannot be reached
 */
export async function withSession<T>(
  context: Context,
  options: { workers: boolean; output?: string },
  work: (session: Session, stopped: AbortSignal) => Promise<T>,
): Promise<T> {
  const settings = context.settings();
  // The SDK's native runtime is for workers; without any it would keep the process from ending.
  if (options.workers && settings.embedded) installRuntime(settings);
  let session: Session;
  try {
    session = await openSession(settings, {
      output: options.output ?? '',
      workers: options.workers,
      onProgress: (line) => context.console.say(line),
    });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const mend = settings.embedded ? '' : '; start the cluster, correct TEMPORAL_ADDRESS, or unset it to run embedded';
    throw new Refusal(`Temporal cannot be reached: ${message}${mend}`, EXIT.failed, { cause: error });
  }
  const stop = new AbortController();
  const working = work(session, stop.signal);
  try {
    return await Promise.race([working, session.failed]);
  } finally {
    // A call that is in flight when its channel closes is retried by the SDK from a timer, where its failure ends the process.
    stop.abort();
    await Promise.allSettled([working]);
    await session.close();
  }
}
