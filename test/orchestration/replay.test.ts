// Histories of released code, replayed on this code: a workflow that runs while koine is upgraded must go on as it began.
//
// The fixtures in histories/ come from released code, never from the branch under test: a fixture recorded anew with the
// change that broke it proves nothing. So when a test here fails, keep the fixture and guard the change with `patched`. At a
// release, record its own on its commit (the old ones stay, under a folder of their version):
//
//   npm run build && KOINE_RECORD_HISTORIES=all npx vitest run test/orchestration/replay.test.ts
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { DeterminismViolationError } from '@temporalio/workflow';
import { temporal } from '@temporalio/proto';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, test } from 'vitest';
import { HISTORIES, MAX_FIXTURE_BYTES, recordHistories, type RecordedHistory } from './recordHistories.js';

const codePath = fileURLToPath(new URL('../../dist/workflows/bundle.js', import.meta.url));

beforeAll(async () => {
  Runtime.install({
    logger: new DefaultLogger('ERROR'),
    telemetryOptions: { logging: { forward: {}, filter: { core: 'ERROR', other: 'ERROR' } } },
  });
  const record = process.env.KOINE_RECORD_HISTORIES;
  if (record) await recordHistories(record);
}, 1_800_000);

function fixture(scenario: string): RecordedHistory[] {
  const file = join(HISTORIES, `${scenario}.json.gz`);
  expect(statSync(file).size).toBeLessThan(MAX_FIXTURE_BYTES);
  return JSON.parse(gunzipSync(readFileSync(file)).toString('utf8')) as RecordedHistory[];
}

/** Replays histories on the built workflows. @returns the error of each, by workflow id */
async function replay(recorded: RecordedHistory[]): Promise<{ workflowId: string; error: unknown }[]> {
  const histories = recorded.map(({ workflowId, history }) => ({
    workflowId,
    history: temporal.api.history.v1.History.fromObject(history),
  }));
  const results = [];
  for await (const { workflowId, error } of Worker.runReplayHistories({ workflowBundle: { codePath } }, histories))
    results.push({ workflowId, error });
  return results;
}

/** Events of one type in a history, with their attributes. */
function events({ history }: RecordedHistory, type: string): Record<string, unknown>[] {
  return history.events.filter(({ eventType }) => eventType === `EVENT_TYPE_${type}`);
}

/** A scenario, the event types that make it what it is, and in which workflow types they happened. */
const SCENARIOS: [scenario: string, holds: [eventType: string, workflowType: string][]][] = [
  ['done', [['WORKFLOW_EXECUTION_COMPLETED', 'alignDatabase'], ['WORKFLOW_EXECUTION_COMPLETED', 'range']]], // prettier-ignore
  ['continue-as-new', [['WORKFLOW_EXECUTION_CONTINUED_AS_NEW', 'range'], ['WORKFLOW_EXECUTION_CONTINUED_AS_NEW', 'fanOut']]], // prettier-ignore
  ['retry', [['ACTIVITY_TASK_STARTED', 'range']]],
  ['cancel', [['WORKFLOW_EXECUTION_CANCELED', 'alignDatabase'], ['WORKFLOW_EXECUTION_CANCELED', 'range'], ['ACTIVITY_TASK_CANCEL_REQUESTED', 'range']]], // prettier-ignore
  ['quarantine-limit', [['WORKFLOW_EXECUTION_FAILED', 'alignDatabase']]],
  ['pause-resume', [['WORKFLOW_EXECUTION_SIGNALED', 'alignDatabase'], ['WORKFLOW_EXECUTION_UPDATE_COMPLETED', 'alignDatabase'], ['WORKFLOW_EXECUTION_SIGNALED', 'range']]], // prettier-ignore
];

describe.each(SCENARIOS)('histories of %s', (scenario, holds) => {
  test('replay on the present workflows', async () => {
    const histories = fixture(scenario);
    const results = await replay(histories);
    expect(results).toHaveLength(histories.length);
    for (const { workflowId, error } of results) expect([workflowId, error]).toEqual([workflowId, undefined]);
  });

  test('hold what the scenario is about', () => {
    const histories = fixture(scenario);
    for (const [type, workflow] of holds) {
      const found = histories.filter(
        (history) => workflowType(history) === workflow && events(history, type).length > 0,
      );
      expect([type, workflow, found.length > 0]).toEqual([type, workflow, true]);
    }
    if (scenario === 'retry') {
      const started = histories.flatMap((history) => events(history, 'ACTIVITY_TASK_STARTED'));
      const attempts = started.map(
        (event) => (event.activityTaskStartedEventAttributes as { attempt: number }).attempt,
      );
      expect(Math.max(...attempts)).toBeGreaterThan(1);
    }
  });
});

test('a history that the present workflows would not write is reported as nondeterministic', async () => {
  const histories = fixture('done');
  const ranges = histories.filter((history) => workflowType(history) === 'range');
  const renamed = structuredClone(ranges[0]);
  for (const event of events(renamed, 'ACTIVITY_TASK_SCHEDULED')) {
    const attributes = event.activityTaskScheduledEventAttributes as { activityType: { name: string } };
    attributes.activityType.name = 'anotherActivity';
  }
  const missing = structuredClone(ranges[0]);
  const [started] = missing.history.events;
  (started.workflowExecutionStartedEventAttributes as { workflowType: { name: string } }).workflowType.name = 'fanOut';
  for (const { error } of await replay([renamed, missing])) expect(error).toBeInstanceOf(DeterminismViolationError);
});

function workflowType({ history }: RecordedHistory): string {
  const started = history.events[0].workflowExecutionStartedEventAttributes as { workflowType: { name: string } };
  return started.workflowType.name;
}
