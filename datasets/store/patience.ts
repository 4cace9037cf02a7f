import { setTimeout as sleep } from 'node:timers/promises';
import type { StoreOptions } from './objectStore.js';

/** A store is being waited for, or answers again. */
export interface StoreWait {
  /** URL of the store. */
  store: string;
  /** What went wrong last, in words. */
  cause: string;
  /** How long it has been waited for. */
  seconds: number;
  /** Whether it has answered at last. */
  over: boolean;
}

/** How long a store is waited for. */
export interface PatienceLimits {
  /** A request that fails for a passing reason is repeated for this long, from its beginning or its last progress. */
  totalMs: number;
  /** The same where the store has not answered this process once: a wrong address is more likely than an outage. */
  firstAnswerMs: number;
  /** A wait is said once it has lasted this long. */
  sayAfterMs: number;
}

/** Outages of ten minutes are waited out. */
export const PATIENCE: PatienceLimits = { totalMs: 600_000, firstAnswerMs: 30_000, sayAfterMs: 10_000 };

/** Pauses between attempts double up to the longest. A pause is shortened at random, so that clients do not come back at once. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
/** The longest pause while other requests come through: connections are lost, but the server is there. */
const LONGEST_PAUSE_AMONG_OTHERS_MS = 1_000;
/** A server that asks to be called later is believed up to this. */
const LONGEST_ASKED_PAUSE_MS = 30_000;

/** A store did not answer for as long as it is waited for. A later attempt may find it again. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable';
}

/** What the requests to one server know of each other. */
export class ServerState {
  /** Whether it ever answered, be it with an error. */
  answered = false;
  /** When a request last came through. */
  cameThrough = -Infinity;
  /** Since when it is waited for, where that was said. */
  waitedForSince: number | undefined;
}

/** The patience of one request: its attempts, its pauses, and when to give up. */
export class Patience {
  /** Attempts that failed. */
  failures = 0;
  private since = performance.now();
  private failedAt = this.since;
  private pauses = 0;
  private said = false;
  private cause = '';

  constructor(
    private readonly store: string,
    private readonly server: ServerState,
    private readonly limits: PatienceLimits,
    private readonly onWait: (wait: StoreWait) => void,
    private readonly options: StoreOptions,
  ) {}

  /** The server is there, whatever it said. */
  answered(): void {
    this.server.answered = true;
  }

  /** Something came through: time and pauses begin anew. */
  renew(): void {
    const { waitedForSince } = this.server;
    this.server.answered = true;
    this.server.waitedForSince = undefined;
    this.since = performance.now();
    this.server.cameThrough = this.since;
    this.pauses = 0;
    if (waitedForSince !== undefined) this.say(waitedForSince, true);
  }

  /**
   * Waits before the next attempt.
   * @param error why the last one failed
   * @param asked the server asked to be left alone: for how long, where it said that
   * @throws {StoreUnavailable} where there was no progress for too long; the reason of the signal
   */
  async pause(error: unknown, asked?: { milliseconds: number }): Promise<void> {
    const { signal } = this.options;
    signal?.throwIfAborted();
    this.failures++;
    this.cause = describe(error);
    const now = performance.now();
    const amongOthers = !asked && this.server.cameThrough > this.failedAt;
    this.failedAt = now;
    const longest = amongOthers ? LONGEST_PAUSE_AMONG_OTHERS_MS : LONGEST_PAUSE_MS;
    const ownMs = Math.min(longest, FIRST_PAUSE_MS * 2 ** this.pauses++) * (0.5 + Math.random() / 2);
    const pauseMs = Math.max(ownMs, Math.min(asked?.milliseconds ?? 0, LONGEST_ASKED_PAUSE_MS));
    const waitedMs = now - this.since;
    const { totalMs, firstAnswerMs, sayAfterMs } = this.limits;
    if (waitedMs + pauseMs > (this.server.answered ? totalMs : Math.min(totalMs, firstAnswerMs))) {
      const never = this.server.answered ? '' : '; it has never answered: check the endpoint and the network';
      throw new StoreUnavailable(
        `datasets: ${this.store} has not answered for ${Math.round(waitedMs / 1000)} s (${this.cause})${never}`,
        { cause: error },
      );
    }
    // Said by the first of the requests that wait, and by each once at most: one request may fail while others come through.
    if (waitedMs >= sayAfterMs && !this.said && this.server.waitedForSince === undefined) {
      this.said = true;
      this.server.waitedForSince = this.since;
      this.say(this.since, false);
    }
    await sleep(pauseMs, undefined, { signal }).catch((reason: unknown) => {
      signal?.throwIfAborted();
      throw reason;
    });
  }

  private say(since: number, over: boolean): void {
    this.onWait({ store: this.store, cause: this.cause, seconds: (performance.now() - since) / 1000, over });
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const label = (error as NodeJS.ErrnoException).code ?? error.name;
  return label === 'Error' || error.message.includes(label) ? error.message : `${label}: ${error.message}`;
}
