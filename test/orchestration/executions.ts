import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';

/** One execution of a workflow as the server lists it; continue-as-new makes several of one id. */
export interface Execution {
  workflowId: string;
  runId: string;
  type: string;
  /** `COMPLETED`, `CONTINUED_AS_NEW`, `CANCELLED`, ... */
  status: string;
  events: number;
  stage: string | undefined;
  model: string | undefined;
  snapshot: string | undefined;
  runName: string | undefined;
}

/** All executions that `query` selects, once the list holds no running one (it follows the truth by moments). */
export async function endedExecutions(client: Client, query?: string): Promise<Execution[]> {
  for (;;) {
    const found = await executions(client, query);
    if (found.length > 0 && found.every(({ status }) => status !== 'RUNNING')) return found;
    await sleep(200);
  }
}

/** All executions that `query` selects. */
export async function executions(client: Client, query?: string): Promise<Execution[]> {
  const found: Execution[] = [];
  for await (const info of client.workflow.list(query === undefined ? {} : { query })) {
    const attribute = (name: string) => info.typedSearchAttributes.get(defineSearchAttributeKey(name, 'KEYWORD'));
    found.push({
      workflowId: info.workflowId,
      runId: info.runId,
      type: info.type,
      status: info.status.name,
      events: info.historyLength ?? 0,
      stage: attribute('Stage'),
      model: attribute('ModelId'),
      snapshot: attribute('SnapshotId'),
      runName: attribute('RunName'),
    });
  }
  return found;
}
