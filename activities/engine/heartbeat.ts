import { setMaxListeners } from 'node:events';
import { activityInfo, cancellationSignal, heartbeat } from '@temporalio/activity';

/** What a long piece of work is given: when to stop, and whom to tell how far it is. */
export interface Work {
  /** Aborted on cancellation, worker shutdown or timeout; reaches store requests, threads and inference. */
  signal: AbortSignal;
  /** Position to resume from, if this is a retry of an attempt that had reached one. Only a hint: parts are the truth. */
  cursor: unknown;
  /** Records a position. */
  beat(cursor: unknown): void;
}

const BEAT_MILLISECONDS = 2_000;

/** Runs `work` as an activity body with a steady heartbeat that carries its latest cursor. */
export async function withHeartbeat<T>(work: (work: Work) => Promise<T>): Promise<T> {
  const signal = cancellationSignal();
  setMaxListeners(0, signal); // every batch and request in flight listens
  let cursor: unknown = activityInfo().heartbeatDetails;
  const timer = setInterval(() => heartbeat(cursor), BEAT_MILLISECONDS);
  try {
    return await work({
      signal,
      cursor,
      beat(next) {
        cursor = next;
        heartbeat(next); // throttled by the SDK
      },
    });
  } finally {
    clearInterval(timer);
  }
}
