import { setTimeout as sleep } from 'node:timers/promises';
import {
  isGrpcDeadlineError,
  isGrpcServiceError,
  QueryNotRegisteredError,
  QueryRejectedError,
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
 * @throws Refusal when the server stays away for two minutes
 */
export async function followRun(client: Client, handle: RunHandle, display: ProgressDisplay): Promise<RunOutcome> {
  const ended = outcomeOf(handle, display);
  for (let silent = false; ;) {
    const outcome = await Promise.race([ended, sleep(POLL_MILLISECONDS, undefined)]);
    const progress = await Promise.race([askProgress(client, handle), ended.then(() => undefined)]);
    if (progress) display.update(progress);
    if (outcome) return outcome;
    if (progress === null && !silent) display.say('no worker answers; the run goes on as soon as one is up');
    silent = progress === null;
  }
}

/** Where a run stands; null when no worker answers. */
export async function askProgress(client: Client, handle: RunHandle): Promise<RunProgress | null> {
  try {
    return await client.withDeadline(Date.now() + QUERY_MILLISECONDS, () => handle.query(progressQuery));
  } catch (error) {
    const unanswered =
      isGrpcServiceError(error) ||
      isGrpcDeadlineError(error) ||
      error instanceof QueryNotRegisteredError ||
      error instanceof QueryRejectedError;
    // A query is a courtesy: workers that are down or busy, or a server that restarts, must not end the waiting.
    if (unanswered) return null;
    throw error;
  }
}

/** Waits for the result through restarts of the server. */
async function outcomeOf(handle: RunHandle, display: ProgressDisplay): Promise<RunOutcome> {
  for (let silentSince: number | undefined; ;) {
    const asked = performance.now();
    try {
      return await handle.result();
    } catch (error) {
      if (!isGrpcServiceError(error)) return failureOf(error);
      const now = performance.now();
      if (now - asked > 1000 * ANSWERED_SECONDS) silentSince = undefined;
      if (silentSince === undefined) display.say(`the Temporal server does not answer (${error.message}); waiting`);
      silentSince ??= now;
      if (now - silentSince > 1000 * PATIENCE_SECONDS)
        throw new Refusal(
          `the Temporal server has not answered for ${PATIENCE_SECONDS} s (${error.message}); ` +
            'the run is kept: start it again to go on',
          EXIT.failed,
          { cause: error },
        );
      await sleep(POLL_MILLISECONDS);
    }
  }
}
