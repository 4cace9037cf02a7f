import { randomBytes } from 'node:crypto';
import type { Client, WorkflowExecutionInfo, WorkflowHandle } from '@temporalio/client';
import type { TypedSearchAttributes } from '@temporalio/common';
import { defineSearchAttributeKey, WorkflowNotFoundError } from '@temporalio/common';
import { EXIT, taskQueue } from '../config/names.js';
import type { RunSpec } from '../config/runSpec.js';
import { canonicalJsonBytes } from '../datasets/canonicalJson.js';
import { digestJson } from '../datasets/digest.js';
import * as keys from '../datasets/keys.js';
import { ObjectNotFound, StoreRefused } from '../datasets/store/objectStore.js';
import { openStore } from '../datasets/store/open.js';
import { probeConditionalWrites } from '../datasets/store/probe.js';
import type { alignDatabase, AlignInput } from '../workflows/alignDatabase.js';
import { searchAttributes } from '../workflows/searchAttributes.js';
import type { RunRecord } from './outcome.js';
import { Refusal } from './refusal.js';

/** Handle of an alignment run. */
export type RunHandle = WorkflowHandle<typeof alignDatabase>;

/** Name of the workflow type of a run. */
export const RUN_WORKFLOW = 'alignDatabase';

/** What `koine` notes on a run when it starts one, to find it again without asking a worker. */
type RunMemo = { runId: string; output: string };

/** A run as the server lists it. */
export interface ListedRun {
  run_id: string;
  name: string;
  workflow_id: string;
  /** Temporal's id of this execution: a workflow id is used again when the same request runs again. */
  execution: string;
  /** `running`, `completed`, `failed`, `cancelled`, `terminated`, `timed_out`. */
  status: string;
  stage: string;
  started: Date;
  closed: Date | null;
  output: string;
}

/** What names a run, and where its data are. */
export type RunIds = Pick<ListedRun, 'run_id' | 'workflow_id' | 'output'>;

/** `<name>-<UTC yyyymmddThhmmss>-<4 hex>`: sorts by time, unique for two starts in one second. */
export function newRunId(name: string, now = new Date()): string {
  const stamp = now.toISOString().slice(0, 19).replace(/[-:]/g, '');
  return `${name}-${stamp}-${randomBytes(2).toString('hex')}`;
}

/** The id that equal requests share, so that starting one twice joins the first. */
export function workflowIdOf(name: string, requestDigest: string): string {
  return `align/${name}/${requestDigest.slice(0, 12)}`;
}

/**
 * Writes what a run is asked to do into its output, under its own digest: workflows carry only the key.
 * @throws Refusal when the output is no store, cannot be written, or ignores conditions of writes
 */
export async function writeRequest(spec: RunSpec, replace: boolean): Promise<{ key: string; digest: string }> {
  const document = { spec, replace };
  const digest = digestJson(document);
  const key = keys.document('requests', digest);
  try {
    const store = openStore(spec.output);
    const wrong = spec.output.startsWith('s3://') ? await probeConditionalWrites(store) : undefined;
    if (wrong)
      throw new StoreRefused(`${store.url}: ${wrong}; choose a server, or a version of it, with conditional writes`);
    await store.putIfAbsent(key, canonicalJsonBytes(document));
  } catch (error) {
    if (error instanceof RangeError || error instanceof StoreRefused)
      throw new Refusal(`output: ${error.message}`, EXIT.usage, { cause: error });
    throw error;
  }
  return { key, digest };
}

/** What a run that did not end well left in its output; undefined if it did not come to that. */
export async function readRecord({ run_id, output }: RunIds): Promise<RunRecord | undefined> {
  try {
    const bytes = await openStore(output).get(keys.runRecord(run_id));
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as RunRecord;
  } catch (error) {
    if (error instanceof ObjectNotFound) return undefined;
    throw error;
  }
}

/** What Temporal needs to start a run besides its id. */
export function runOptions(input: AlignInput, models: readonly string[]) {
  const memo: RunMemo = { runId: input.runId, output: input.output };
  return {
    taskQueue: taskQueue('control', input.queueSuffix),
    args: [input] as [AlignInput],
    memo,
    typedSearchAttributes: searchAttributes({ RunName: input.name, Stage: 'snapshot' }),
    staticSummary: `${input.name}: ${models.length} models`,
    staticDetails: [
      `Aligns ${models.map((id) => `\`${id}\``).join(', ')}.`,
      '',
      `Output: \`${input.output}\``,
      `Request: \`${input.request}\``,
    ].join('\n'),
  };
}

/**
 * Starts a run, or joins the one that already does the same.
 * @returns its handle and run id, and whether it was there
 */
export async function startRun(
  client: Client,
  workflowId: string,
  input: AlignInput,
  models: readonly string[],
): Promise<{ handle: RunHandle; runId: string; joined: boolean }> {
  const handle = await client.workflow.start<typeof alignDatabase>(RUN_WORKFLOW, {
    ...runOptions(input, models),
    workflowId,
    workflowIdConflictPolicy: 'USE_EXISTING',
    workflowIdReusePolicy: 'ALLOW_DUPLICATE',
  });
  const { memo } = await handle.describe();
  const runId = typeof memo?.runId === 'string' && memo.runId ? memo.runId : input.runId;
  return { handle, runId, joined: runId !== input.runId };
}

/** Runs by time of start, newest first. */
export async function listRuns(client: Client, filter = '', limit = 20): Promise<ListedRun[]> {
  const query = `WorkflowType = '${RUN_WORKFLOW}'${filter ? ` AND ${filter}` : ''}`;
  const runs: ListedRun[] = [];
  for await (const execution of client.workflow.list({ query, pageSize: limit })) {
    runs.push(listed(execution));
    if (runs.length === limit) break;
  }
  return runs;
}

/** How many of the newest runs of a name are searched for a run id. */
const SEARCHED = 1000;

/**
 * The run that `text` names: a workflow id, a run id, or the name of a run (then the newest of that name).
 * @throws Refusal when there is none
 */
export async function findRun(client: Client, text: string): Promise<{ handle: RunHandle; run: ListedRun }> {
  const run = (await byWorkflowId(client, text)) ?? (await byRunId(client, text)) ?? (await byName(client, text));
  if (!run) {
    const known = [...new Set((await listRuns(client)).map(({ name }) => name))];
    throw new Refusal(
      `no run '${text}'; give a run's name, run id or workflow id` +
        (known.length > 0 ? ` (recent names: ${known.join(', ')})` : ' (this server has no runs yet)'),
    );
  }
  return { handle: client.workflow.getHandle<typeof alignDatabase>(run.workflow_id, run.execution), run };
}

async function byWorkflowId(client: Client, text: string): Promise<ListedRun | undefined> {
  if (!text.includes('/')) return undefined;
  try {
    return listed(await client.workflow.getHandle(text).describe());
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}

async function byRunId(client: Client, text: string): Promise<ListedRun | undefined> {
  const name = /^(.+)-(\d{8}T\d{6}-[0-9a-f]{4}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.exec(text)?.[1];
  if (!name) return undefined;
  const runs = await listRuns(client, `RunName = ${quoted(name)}`, SEARCHED);
  return runs.find((run) => run.run_id === text);
}

async function byName(client: Client, text: string): Promise<ListedRun | undefined> {
  return (await listRuns(client, `RunName = ${quoted(text)}`, 1))[0];
}

/** A value in a visibility query. */
function quoted(text: string): string {
  return `'${text.replace(/['\\]/g, '\\$&')}'`;
}

function listed(
  execution: Pick<
    WorkflowExecutionInfo,
    'workflowId' | 'runId' | 'memo' | 'status' | 'typedSearchAttributes' | 'startTime' | 'closeTime'
  >,
): ListedRun {
  const memo = (execution.memo ?? {}) as Partial<RunMemo>;
  const name = keyword(execution.typedSearchAttributes, 'RunName');
  return {
    // A scheduled run names itself after its execution.
    run_id: memo.runId || `${name}-${execution.runId}`,
    name,
    workflow_id: execution.workflowId,
    execution: execution.runId,
    status: execution.status.name.toLowerCase(),
    stage: keyword(execution.typedSearchAttributes, 'Stage'),
    started: execution.startTime,
    closed: execution.closeTime ?? null,
    output: memo.output ?? '',
  };
}

function keyword(attributes: TypedSearchAttributes, name: string): string {
  return attributes.get(defineSearchAttributeKey(name, 'KEYWORD')) ?? '';
}
