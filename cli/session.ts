import { EXIT } from '../config/names.js';
import { installRuntime, openSession, type Session } from '../workers/session.js';
import type { Context } from './context.js';
import { Refusal } from './refusal.js';

/**
 * Runs `work` on a connection to the engine and closes it after.
 * @param options `workers`: host workers here when embedded; `output`: what they work on
 * @throws Refusal when the engine cannot be reached
 */
export async function withSession<T>(
  context: Context,
  options: { workers: boolean; output?: string },
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const settings = context.settings();
  installRuntime(settings);
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
  try {
    return await Promise.race([work(session), session.failed]);
  } finally {
    await session.close();
  }
}
