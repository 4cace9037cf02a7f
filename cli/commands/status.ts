import { EXIT, STAGE_ITEMS } from '../../config/names.js';
import type { Session } from '../../workers/session.js';
import type { RunProgress } from '../../workflows/progress.js';
import type { Context } from '../context.js';
import { askProgress } from '../follow.js';
import { formatCount, formatSeconds, formatTable, formatTime } from '../format.js';
import { failureOf, type RunOutcome } from '../outcome.js';
import { findRun, listRuns, readRecord, type ListedRun, type RunHandle } from '../runs.js';
import { withSession } from '../session.js';
import { describeFailure, describeSummary } from '../summary.js';

/** `koine status [RUN]`: recent runs, or where one stands. */
export function status(context: Context, text: string | undefined, options: { json?: boolean }): Promise<number> {
  return withSession(context, { workers: false }, async (session, stopped) => {
    const lines = text === undefined ? await runs(session, options) : await oneRun(session, stopped, text, options);
    for (const line of lines) context.console.answer(line);
    return EXIT.done;
  });
}

async function runs({ client }: Session, { json }: { json?: boolean }): Promise<string[]> {
  const found = await listRuns(client);
  if (json) return [JSON.stringify(found)];
  if (found.length === 0) return ['no runs yet; start one with: koine run SPEC'];
  return formatTable(
    ['run', 'status', 'stage', 'started (UTC)', '>took', 'output'],
    found.map((run) => [run.run_id, run.status, run.stage, formatTime(run.started), took(run), run.output]),
  );
}

async function oneRun(
  session: Session,
  stopped: AbortSignal,
  text: string,
  { json }: { json?: boolean },
): Promise<string[]> {
  const { handle, run } = await findRun(session.client, text);
  const running = run.status === 'running';
  const progress = running ? await askProgress(session.client, handle, stopped) : null;
  const outcome = running ? null : await outcomeOf(handle);
  if (json) return [JSON.stringify({ ...run, ...(running ? { progress } : { outcome }) })];
  return [
    ...head(run),
    ...(running && !progress ? ['no worker answers; the run goes on as soon as one is up'] : []),
    ...(progress ? describeProgress(progress) : []),
    ...(outcome
      ? [
          '',
          ...(outcome.status === 'done' ? describeSummary(outcome) : describeFailure(outcome, await readRecord(run))),
        ]
      : []),
  ];
}

async function outcomeOf(handle: RunHandle): Promise<RunOutcome> {
  try {
    return await handle.result();
  } catch (error) {
    return failureOf(error);
  }
}

function head(run: ListedRun): string[] {
  return [
    `run       ${run.run_id}`,
    `workflow  ${run.workflow_id}`,
    `status    ${run.status}${run.status === 'running' ? `, stage ${run.stage}` : ''}`,
    `started   ${formatTime(run.started)} UTC${run.closed ? `, took ${took(run)}` : ''}`,
    `output    ${run.output}`,
  ];
}

/** A table of the stages of a run so far. */
export function describeProgress({ stages, paused }: RunProgress): string[] {
  return [
    ...(paused ? ['paused; `koine resume` goes on'] : []),
    '',
    ...formatTable(
      ['stage', 'model', '>done', '>of', 'unit', '>reused', '>structures', '>quarantined', 'state'],
      stages.map(({ stage, model, total, tally, state }) => [
        stage,
        model ?? '',
        formatCount(tally.done),
        formatCount(total),
        `${STAGE_ITEMS[stage]}s`,
        formatCount(tally.reused),
        tally.structures ? formatCount(tally.structures) : '',
        tally.quarantined ? formatCount(tally.quarantined) : '',
        state,
      ]),
    ),
  ];
}

function took({ started, closed }: ListedRun): string {
  return closed ? formatSeconds((closed.getTime() - started.getTime()) / 1000) : '';
}
