import { EXIT } from '../../config/names.js';
import { loadRunSpec, parseRunSpec, type RunSpec } from '../../config/runSpec.js';
import { openModels } from '../../workers/dependencies.js';
import type { Session } from '../../workers/session.js';
import type { Context } from '../context.js';
import { followRun } from '../follow.js';
import { interruptible } from '../interrupt.js';
import { exitCode, type RunOutcome, type RunSummary } from '../outcome.js';
import { checkSpec } from '../preflight.js';
import { progressDisplay } from '../progress.js';
import { Refusal } from '../refusal.js';
import { newRunId, readRecord, startRun, workflowIdOf, writeRequest, type RunHandle, type RunIds } from '../runs.js';
import { withSession } from '../session.js';
import { describeFailure, describeSummary } from '../summary.js';

/** Options of `koine run`. */
export interface RunOptions {
  detach?: boolean;
  json?: boolean;
  replace?: boolean;
  window?: number;
  name?: string;
}

/** `koine run SPEC`: checks the spec, starts the run or joins the one that does the same, and follows it. */
export async function run(context: Context, specFile: string, options: RunOptions): Promise<number> {
  const settings = context.settings();
  if (options.detach && settings.embedded)
    throw new Refusal(
      '--detach needs a cluster (TEMPORAL_ADDRESS): without one the workers live in this process and end with it',
    );
  const spec = await readSpec(context, specFile, options.name);
  return runSpec(context, spec, options, describeSummary);
}

/**
 * Starts a checked spec, or joins the run that does the same, and follows it.
 * @param describe a run that ended well, in words
 * @returns the exit code
 */
export async function runSpec(
  context: Context,
  spec: RunSpec,
  options: RunOptions,
  describe: (summary: RunSummary) => string[] | Promise<string[]>,
): Promise<number> {
  const { console } = context;
  const request = await writeRequest(spec, options.replace ?? false);

  return withSession(context, { output: spec.output, workers: true }, async (session, stopped) => {
    const { handle, runId, joined } = await startRun(
      session.client,
      workflowIdOf(spec.name, request.digest),
      {
        runId: newRunId(spec.name),
        name: spec.name,
        output: spec.output,
        request: request.key,
        window: options.window ?? spec.inference.window,
        queueSuffix: session.queueSuffix,
      },
      spec.models,
    );
    console.say(joined ? `resuming run ${runId}, which does the same` : `run ${runId}`);
    console.say(`workflow ${handle.workflowId}${session.uiUrl ? `, ${uiLink(session, handle)}` : ''}`);
    const ids = { run_id: runId, workflow_id: handle.workflowId, output: spec.output };
    if (options.detach) {
      if (options.json) console.answer(JSON.stringify({ ...ids, status: 'running' }));
      else console.say(`follow it with: koine watch ${runId}`);
      return EXIT.done;
    }
    const outcome = await followAndCancel(context, session, handle, stopped);
    await report(context, ids, outcome, options.json ?? false, describe);
    return exitCode(outcome.status);
  });
}

/**
 * The spec of a file under the name given on the command line, checked as far as that can be done here in a moment.
 * @throws InvalidSpec, Refusal
 */
export async function readSpec(context: Context, specFile: string, name?: string): Promise<RunSpec> {
  const settings = context.settings();
  const loaded = await loadRunSpec(specFile);
  const spec = name === undefined ? loaded : parseRunSpec({ ...loaded, name }, '--name');
  await checkSpec(spec, openModels(settings, spec.model_store), specFile, settings.embedded);
  return spec;
}

/** Prints how a run ended: words on stderr and, if asked for, one JSON object on stdout. */
export async function report(
  { console }: Context,
  run: RunIds,
  outcome: RunOutcome,
  json: boolean,
  describe: (summary: RunSummary) => string[] | Promise<string[]> = describeSummary,
): Promise<void> {
  const ids = { run_id: run.run_id, workflow_id: run.workflow_id };
  if (outcome.status === 'done') {
    for (const line of ['', ...(await describe(outcome))]) console.say(line);
    if (json) console.answer(JSON.stringify(outcome));
    return;
  }
  const record = await readRecord(run);
  console.say(`${run.run_id}: ${describeFailure(outcome, record).join('\n  ')}`);
  if (json) {
    const { stage = null, snapshot = null, quarantine = null } = record ?? {};
    console.answer(JSON.stringify({ ...ids, ...outcome, stage, snapshot, quarantine, output: run.output }));
  }
}

/** Follows a run; the first Ctrl-C cancels it and waits for its end, the second leaves at once. */
async function followAndCancel(
  { console }: Context,
  { client }: Session,
  handle: RunHandle,
  stopped: AbortSignal,
): Promise<RunOutcome> {
  const display = progressDisplay(console);
  const cancel = () => {
    display.say('cancelling: work in flight is stopped first (Ctrl-C again leaves at once)');
    handle.cancel().catch((error: unknown) => display.say(`the run cannot be cancelled: ${String(error)}`));
  };
  try {
    return await interruptible(cancel, EXIT.cancelled, () => followRun(client, handle, display, stopped));
  } finally {
    display.end();
  }
}

function uiLink({ uiUrl, namespace }: Session, { workflowId }: RunHandle): string {
  return `${uiUrl}/namespaces/${namespace}/workflows/${encodeURIComponent(workflowId)}`;
}
