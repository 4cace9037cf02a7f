import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { FAILURES } from '../../config/names.js';

/** Input that no retry can mend; the message names the thing, the value and the remedy. */
export function invalidInput(message: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(message, FAILURES.invalidInput);
}

/** Error classes of the rooms below that mean "no retry can mend this", by name: rooms do not know Temporal. */
const FINAL: Record<string, string> = {
  InvalidSpec: FAILURES.invalidInput,
  ModelRefused: FAILURES.invalidInput,
  ProviderUnavailable: FAILURES.invalidInput,
  StoreRefused: FAILURES.invalidInput,
  ModelConflict: FAILURES.modelConflict,
};

/** Turns an error of a room into the failure that the engine should see. */
export function asFailure(error: unknown): unknown {
  if (error instanceof CancelledFailure || !(error instanceof Error)) return error;
  const type = FINAL[error.name];
  return type ? ApplicationFailure.create({ message: error.message, type, nonRetryable: true, cause: error }) : error;
}
