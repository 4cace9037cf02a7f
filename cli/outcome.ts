import { WorkflowFailedError } from '@temporalio/client';
import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  TerminatedFailure,
  TimeoutFailure,
} from '@temporalio/common';
import { EXIT, FAILURES } from '../config/names.js';
import type { alignDatabase } from '../workflows/alignDatabase.js';

/** What a run returns, and what `koine run --json` prints. */
export type RunSummary = Awaited<ReturnType<typeof alignDatabase>>;

/** A run that did not end well. */
export interface RunFailure {
  status: 'failed' | 'cancelled' | 'quarantine_limit';
  /** What happened and what would mend it. */
  message: string;
}

/** What a run that did not end well leaves in its output. */
export interface RunRecord {
  stage: string;
  snapshot: string | null;
  /** Counts by reason code and the first rows, when the quarantine limit ended the run. */
  quarantine: { codes: Record<string, number>; rows: { source: string; code: string; message: string }[] } | null;
}

/** How a run ended. */
export type RunOutcome = RunSummary | RunFailure;

/** Exit code of an outcome. */
export function exitCode(status: RunOutcome['status']): number {
  switch (status) {
    case 'done':
      return EXIT.done;
    case 'cancelled':
      return EXIT.cancelled;
    case 'quarantine_limit':
      return EXIT.quarantineLimit;
    case 'failed':
      return EXIT.failed;
  }
}

/**
 * Reads the outcome of a run from what waiting for it threw.
 * @throws the error itself when it is about the way there (the server, the network) and not about the run
 */
export function failureOf(error: unknown): RunFailure {
  if (!(error instanceof WorkflowFailedError)) throw error;
  const chain = causes(error.cause);
  if (chain[0] instanceof CancelledFailure) return { status: 'cancelled', message: 'the run was cancelled' };
  if (chain[0] instanceof TerminatedFailure)
    return { status: 'failed', message: `the run was terminated from outside: ${chain[0].message}` };
  const where = chain.flatMap((failure) =>
    failure instanceof ActivityFailure
      ? [`activity ${failure.activityType}`]
      : failure instanceof ChildWorkflowFailure
        ? [failure.execution.workflowId?.split('/').slice(4).join(' ') || failure.workflowType]
        : [],
  );
  const root = chain.at(-1);
  const application = chain.find((failure) => failure instanceof ApplicationFailure);
  const known = Object.values<string>(FAILURES).includes(application?.type ?? '');
  const type = application?.type;
  const message = (known ? application?.message : describe(root)) ?? error.message;
  return {
    status: type === FAILURES.quarantineLimit ? 'quarantine_limit' : 'failed',
    // Input that the user can mend speaks for itself; anything else needs to say where it happened.
    message: known || where.length === 0 ? message : `${message} (${where.join(', ')})`,
  };
}

function describe(failure: Error | undefined): string | undefined {
  if (failure instanceof TimeoutFailure) return `timed out: ${failure.message} (${failure.timeoutType})`;
  return failure?.message;
}

function causes(error: unknown): Error[] {
  const chain: Error[] = [];
  for (let at = error; at instanceof Error; at = at.cause) chain.push(at);
  return chain;
}
