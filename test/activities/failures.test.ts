import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { asFailure, invalidInput } from '../../activities/engine/failures.js';
import { FAILURES } from '../../config/names.js';
import { InvalidSpec } from '../../config/runSpec.js';
import { ModelConflict } from '../../datasets/claim.js';
import { ObjectNotFound, StoreRefused } from '../../datasets/store/objectStore.js';
import { ModelRefused } from '../../models/card.js';
import { ProviderUnavailable } from '../../models/session.js';
import { ThreadCrashed, ThreadTaskFailed } from '../../threads/pool.js';

const identity = {
  onnx_sha256: 'a',
  contract_sha256: 'b',
  encoder_version: '1',
  provider: 'cpu',
  batch_budget: { atoms: 1, edges: 1 },
};

describe('asFailure', () => {
  test.each([
    ['InvalidSpec', new InvalidSpec('why'), FAILURES.invalidInput],
    ['ModelRefused', new ModelRefused('why'), FAILURES.invalidInput],
    ['ProviderUnavailable', new ProviderUnavailable('why'), FAILURES.invalidInput],
    ['StoreRefused', new StoreRefused('why'), FAILURES.invalidInput],
    [
      'ModelConflict',
      new ModelConflict('m', '0123456789abcdef', identity, { ...identity, provider: 'cuda' }),
      FAILURES.modelConflict,
    ],
  ])('%s is final: message and cause stay, the type is named', (_, error, type) => {
    const failure = asFailure(error);
    expect(failure).toBeInstanceOf(ApplicationFailure);
    expect(failure).toMatchObject({ message: error.message, type, nonRetryable: true, cause: error });
  });

  test.each<[string, unknown]>([
    ['a missing object', new ObjectNotFound('file:///x', 'key')],
    ['a thread that crashed', new ThreadCrashed('why')],
    ['a handler that threw', new ThreadTaskFailed('why', 'Error')],
    ['any other error', new TypeError('why')],
    ['a cancellation', new CancelledFailure('stop')],
    ['a failure already made', invalidInput('why')],
    ['what is no error', 'text'],
    ['nothing', undefined],
  ])('%s goes on as it is, for the engine to retry or not', (_, error) => {
    expect(asFailure(error)).toBe(error);
  });

  test('invalid input is no retryable matter', () => {
    expect(invalidInput('why')).toMatchObject({ message: 'why', type: FAILURES.invalidInput, nonRetryable: true });
  });
});
