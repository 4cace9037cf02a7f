import { WorkflowFailedError } from '@temporalio/client';
import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  TerminatedFailure,
} from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { exitCode, failureOf } from '../../cli/outcome.js';
import { FAILURES } from '../../config/names.js';

const failed = (cause: Error) => new WorkflowFailedError('Workflow execution failed', cause, 'NON_RETRYABLE_FAILURE');
const inActivity = (activityType: string, cause: Error) =>
  new ActivityFailure('Activity task failed', activityType, '1', 'RETRY_POLICY_NOT_SET', 'worker', cause);
const inChild = (workflowId: string, cause: Error) =>
  new ChildWorkflowFailure('default', { workflowId, runId: 'r' }, 'fanOut', 'NON_RETRYABLE_FAILURE', cause);

describe('failureOf', () => {
  test('the quarantine limit keeps its message and has exit code 3', () => {
    const message = '30 of 100 structures of model a are quarantined';
    const failure = failureOf(failed(ApplicationFailure.nonRetryable(message, FAILURES.quarantineLimit)));
    expect(failure).toEqual({ status: 'quarantine_limit', message });
    expect(exitCode(failure.status)).toBe(3);
  });

  test('input that the user can mend is told plainly, however deep it lies', () => {
    const cause = ApplicationFailure.nonRetryable("no model 'x'", FAILURES.invalidInput);
    const failure = failureOf(failed(inChild('align/x/0/run/embed/a', inActivity('embed', cause))));
    expect(failure).toEqual({ status: 'failed', message: "no model 'x'" });
    expect(exitCode(failure.status)).toBe(1);
  });

  test('any other failure says where it happened', () => {
    const cause = ApplicationFailure.create({ message: 'disk full', type: 'Error' });
    const failure = failureOf(failed(inChild('align/x/0/run/embed/a/r0000', inActivity('embed', cause))));
    expect(failure.message).toBe('disk full (embed a r0000, activity embed)');
  });

  test('a cancelled run has exit code 130', () => {
    const failure = failureOf(failed(new CancelledFailure('Workflow canceled')));
    expect(failure.status).toBe('cancelled');
    expect(exitCode(failure.status)).toBe(130);
  });

  test('a child that somebody else cancelled makes the run fail', () => {
    expect(failureOf(failed(inChild('a/b/c/d/embed', new CancelledFailure('x')))).status).toBe('failed');
  });

  test('a terminated run fails and says so', () => {
    expect(failureOf(failed(new TerminatedFailure('by hand')))).toEqual({
      status: 'failed',
      message: 'the run was terminated from outside: by hand',
    });
  });

  test("an error that is not the run's is passed on", () => {
    expect(() => failureOf(new TypeError('x'))).toThrow(TypeError);
  });
});
