import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { beforeAll, expect, test } from 'vitest';
import { HISTORY_EVENT_BUDGET, SEARCH_ATTRIBUTES, SHARDS_PER_RANGE } from '../../config/names.js';
import { emptyTally } from '../../config/tally.js';
import { temporalAddress } from '../support/temporalServer.js';
import { endedExecutions } from './executions.js';
import { fanOutOver } from './instantFanOut.js';

const ITEMS = 250_000;

let address: string;

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('WARN') });
  address = await temporalAddress(SEARCH_ATTRIBUTES);
});

test('250,000 items: the fan-out drains its ranges, continues as new on its budget and counts every item once', async () => {
  const { workflowId, tally } = await fanOutOver(address, ITEMS);
  expect(tally).toEqual({ ...emptyTally(), done: ITEMS });
  const connection = await Connection.connect({ address });
  const client = new Client({ connection });
  const parts = await endedExecutions(client, `WorkflowId = '${workflowId}'`);
  const ranges = await endedExecutions(client, `WorkflowId STARTS_WITH '${workflowId}/'`);
  await connection.close();
  const continued = parts.filter(({ status }) => status === 'CONTINUED_AS_NEW');
  expect(continued.length).toBeGreaterThan(0);
  for (const { events } of continued) {
    expect(events).toBeGreaterThanOrEqual(HISTORY_EVENT_BUDGET);
    expect(events).toBeLessThan(2 * HISTORY_EVENT_BUDGET);
  }
  expect(new Set(ranges.map((range) => range.workflowId)).size).toBe(ITEMS / SHARDS_PER_RANGE);
  expect(ranges).toHaveLength(ITEMS / SHARDS_PER_RANGE);
});

test('a storm of pauses and resumes that ends with a resume loses no range: also one that was starting hears of it', async () => {
  const { tally } = await fanOutOver(address, ITEMS, async (handle) => {
    for (let revision = 1; revision <= 40; revision++) {
      await handle.signal('control', { paused: revision % 2 === 1, window: 10, revision });
      await sleep(20);
    }
  });
  expect(tally).toEqual({ ...emptyTally(), done: ITEMS });
});
