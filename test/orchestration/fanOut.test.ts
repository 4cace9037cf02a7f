import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client, Connection, type WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import {
  bundleWorkflowCode,
  DefaultLogger,
  NativeConnection,
  Runtime,
  Worker,
  type WorkflowBundle,
} from '@temporalio/worker';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HISTORY_EVENT_BUDGET, SEARCH_ATTRIBUTES, SHARDS_PER_RANGE } from '../../config/names.js';
import { emptyTally } from '../../config/tally.js';
import type { fanOut, FanOutState } from '../../workflows/fanOut.js';
import { temporalAddress, uniqueName } from '../support/temporalServer.js';
import { endedExecutions } from './executions.js';

const ITEMS = 100_000;

let native: NativeConnection;
let connection: Connection;
let client: Client;
let workflowBundle: WorkflowBundle;

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('WARN') });
  const address = await temporalAddress(SEARCH_ATTRIBUTES);
  workflowBundle = await bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL('instantRanges.ts', import.meta.url)),
    logger: new DefaultLogger('WARN'),
  });
  native = await NativeConnection.connect({ address });
  connection = await Connection.connect({ address });
  client = new Client({ connection });
});
afterAll(async () => {
  await connection.close();
  await native.close();
});

/** Starts a fan-out of {@link ITEMS}, does `meanwhile` with it, and waits for its end. */
async function fanOutOver(meanwhile: (handle: WorkflowHandleWithFirstExecutionRunId<typeof fanOut>) => Promise<void>) {
  const [taskQueue, workflowId] = [uniqueName('fan-out'), uniqueName('fan-out')];
  const worker = await Worker.create({ connection: native, taskQueue, workflowBundle });
  const state: FanOutState = {
    run: { output: 'file:///nowhere', document: 'plans/none.json' },
    stage: 'embed',
    model: 'none',
    argument: '',
    queueSuffix: '',
    items: ITEMS,
    nextRange: 0,
    tally: emptyTally(),
    paused: false,
    window: 10,
    revision: 0,
  };
  const tally = await worker.runUntil(async () => {
    const handle = await client.workflow.start<typeof fanOut>('fanOut', { taskQueue, workflowId, args: [state] });
    await meanwhile(handle);
    return handle.result();
  });
  return { workflowId, tally };
}

test('100,000 items: the fan-out drains its ranges, continues as new on its budget and counts every item once', async () => {
  const { workflowId, tally } = await fanOutOver(() => Promise.resolve());
  expect(tally).toEqual({ ...emptyTally(), done: ITEMS });
  const parts = await endedExecutions(client, `WorkflowId = '${workflowId}'`);
  const continued = parts.filter(({ status }) => status === 'CONTINUED_AS_NEW');
  expect(continued.length).toBeGreaterThan(0);
  for (const { events } of continued) {
    expect(events).toBeGreaterThanOrEqual(HISTORY_EVENT_BUDGET);
    expect(events).toBeLessThan(2 * HISTORY_EVENT_BUDGET);
  }
  const ranges = await endedExecutions(client, `WorkflowId STARTS_WITH '${workflowId}/'`);
  expect(new Set(ranges.map((range) => range.workflowId)).size).toBe(ITEMS / SHARDS_PER_RANGE);
  expect(ranges).toHaveLength(ITEMS / SHARDS_PER_RANGE);
});

test('a storm of pauses and resumes that ends with a resume loses no range: also one that was starting hears of it', async () => {
  const { tally } = await fanOutOver(async (handle) => {
    for (let revision = 1; revision <= 40; revision++) {
      await handle.signal('control', { paused: revision % 2 === 1, window: 10, revision });
      await sleep(20);
    }
  });
  expect(tally).toEqual({ ...emptyTally(), done: ITEMS });
});
