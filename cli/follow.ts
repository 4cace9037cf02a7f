import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  isGrpcServiceError,
  QueryNotRegisteredError,
  QueryRejectedError,
  ServiceError,
  type Client,
} from '@temporalio/client';
import { EXIT } from '../config/names.js';
import { progressQuery, type RunProgress } from '../workflows/progress.js';
import { failureOf, type RunOutcome } from './outcome.js';
import type { ProgressDisplay } from './progress.js';
import { Refusal } from './refusal.js';
import type { RunHandle } from './runs.js';

/** Milliseconds between two progress queries. */
const POLL_MILLISECONDS = 1000;
/** A busy worker answers within a second or two. */
const QUERY_MILLISECONDS = 10_000;
/** Seconds without any answer of the server after which waiting is given up; the run itself is safe in its database. */
const PATIENCE_SECONDS = 120;
/** A wait for the result that held this long was being answered: the server's long poll is 20 s. */
const ANSWERED_SECONDS = 60;

/**
 * Shows the progress of a run until it ends.
 * @param stopped ends the following, not the run
 * @throws Refusal when the server stays away for two minutes; the signal's reason
 */
export async function followRun(
  client: Client,
  handle: RunHandle,
  display: ProgressDisplay,
  stopped: AbortSignal,
): Promise<RunOutcome> {
  const ended = outcomeOf(client, handle, display, stopped);
  for (let silent = false; ;) {
    const outcome = await Promise.race([ended, sleep(POLL_MILLISECONDS, undefined)]);
    const progress = await askProgress(client, handle, stopped);
    if (progress) display.update(progress);
    if (outcome) return outcome;
    if (progress === null && !silent) display.say('no worker answers; the run goes on as soon as one is up');
    silent = progress === null;
  }
}

/** Where a run stands; null when no worker answers. */
export async function askProgress(
  client: Client,
  handle: RunHandle,
  stopped: AbortSignal,
): Promise<RunProgress | null> {
  const signal = AbortSignal.any([stopped, AbortSignal.timeout(QUERY_MILLISECONDS)]);
  try {
    return await client.withAbortSignal(signal, () => handle.query(progressQuery));
  } catch (error) {
    stopped.throwIfAborted();
    const unanswered =
      ofServer(error) || error instanceof QueryNotRegisteredError || error instanceof QueryRejectedError;
    // A query is a courtesy: workers that are down or busy, or a server that restarts, must not end the waiting.
    if (unanswered) return null;
    throw error;
  }
}

/** Waits for the result through restarts of the server. */
async function outcomeOf(
  client: Client,
  handle: RunHandle,
  display: ProgressDisplay,
  stopped: AbortSignal,
): Promise<RunOutcome> {
  for (let silentSince: number | undefined; ;) {
    const asked = performance.now();
    // The client adds a listener for every long poll and never removes it; a signal of its own lets them go with the wait.
    const signal = AbortSignal.any([stopped]);
    setMaxListeners(0, signal);
    try {
      return await client.withAbortSignal(signal, () => handle.result());
    } catch (error) {
      stopped.throwIfAborted();
      const server = ofServer(error);
      if (!server) return failureOf(error);
      const now = performance.now();
      if (now - asked > 1000 * ANSWERED_SECONDS) silentSince = undefined;
      if (silentSince === undefined) display.say(`the Temporal server does not answer (${server.message}); waiting`);
      silentSince ??= now;
      if (now - silentSince > 1000 * PATIENCE_SECONDS)
        throw new Refusal(
          `the Temporal server has not answered for ${PATIENCE_SECONDS} s (${server.message}); ` +
            'the run is kept: start it again to go on',
          EXIT.failed,
          { cause: error },
        );
      await sleep(POLL_MILLISECONDS);
    }
  }
}

/** The gRPC error behind an error of the client, where the server (or the way to it) is the trouble and not the run. */
function ofServer(error: unknown): Error | undefined {
  if (error instanceof ServiceError) return error.cause instanceof Error ? error.cause : error;
  return isGrpcServiceError(error) ? error : undefined;
}
