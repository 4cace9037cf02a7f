import { ActivityCancellationType, type ActivityOptions } from '@temporalio/workflow';
import { FAILURES } from '../config/names.js';

const nonRetryableErrorTypes = Object.values(FAILURES);

/** A cancelled activity is awaited: what it was writing is whole or not there before its workflow closes. */
const cancellationType = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED;

/**
 * After a worker was killed its work is taken up again once this has passed, plus a second of back-off. Workers tell of themselves every two
 * seconds (`workers/host.ts`), a request to the server each: four of these have to fail before work is done twice.
 */
const heartbeatTimeout = '8 seconds';

/** Reading or writing a few objects, deciding something: seconds. */
export const forBookkeeping: ActivityOptions = {
  startToCloseTimeout: '15 minutes',
  heartbeatTimeout,
  cancellationType,
  retry: { initialInterval: '1 second', maximumInterval: '1 minute', maximumAttempts: 10, nonRetryableErrorTypes },
};

/** One shard through one network: minutes at most, heartbeats while it runs; a poison structure is a row, not a failure. */
export const forInference: ActivityOptions = {
  startToCloseTimeout: '60 minutes',
  heartbeatTimeout,
  cancellationType,
  retry: { initialInterval: '1 second', maximumInterval: '1 minute', maximumAttempts: 10, nonRetryableErrorTypes },
};

/** Numerics over one shard, one model or one pair; the work runs in a thread, so heartbeats keep coming. */
export const forComputation: ActivityOptions = {
  startToCloseTimeout: '2 hours',
  heartbeatTimeout,
  cancellationType,
  retry: { initialInterval: '1 second', maximumInterval: '1 minute', maximumAttempts: 6, nonRetryableErrorTypes },
};
