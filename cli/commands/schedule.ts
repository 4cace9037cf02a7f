import { ScheduleAlreadyRunning, ScheduleNotFoundError, type Client, type ScheduleOptions } from '@temporalio/client';
import { EXIT } from '../../config/names.js';
import type { Context } from '../context.js';
import { formatTable, formatTime } from '../format.js';
import { Refusal } from '../refusal.js';
import { RUN_WORKFLOW, runOptions, writeRequest } from '../runs.js';
import { withSession } from '../session.js';
import { readSpec } from './run.js';

/** Options of `koine schedule create`. */
export interface ScheduleCreateOptions {
  cron?: string[];
  every?: string;
  paused?: boolean;
  name?: string;
}

/**
 * `koine schedule create NAME SPEC`: runs the spec again and again; a second `create` of a name changes the schedule. A run that is
 * still going when the next is due makes that one be skipped; a failed run pauses the schedule.
 */
export async function create(
  context: Context,
  id: string,
  specFile: string,
  options: ScheduleCreateOptions,
): Promise<number> {
  refuseEmbedded(context);
  if (!options.cron === !options.every)
    throw new Refusal('give either --cron "0 3 * * *" or --every 6h, to say when it runs');
  const spec = await readSpec(context, specFile, options.name);
  const request = await writeRequest(spec, false);
  return withSession(context, { workers: false }, async ({ client, queueSuffix }) => {
    const { args, ...action } = runOptions(
      {
        runId: '', // the workflow makes one of each start
        name: spec.name,
        output: spec.output,
        request: request.key,
        window: spec.inference.window,
        queueSuffix,
      },
      spec.models,
    );
    const schedule: Omit<ScheduleOptions, 'scheduleId'> = {
      spec: options.cron
        ? { cronExpressions: options.cron }
        : { intervals: [{ every: options.every as `${number} h` }] },
      action: {
        type: 'startWorkflow',
        workflowType: RUN_WORKFLOW,
        workflowId: `align/${spec.name}/${id}`,
        args,
        ...action,
      },
      policies: { overlap: 'SKIP', catchupWindow: '1 hour', pauseOnFailure: true },
      state: { paused: options.paused ?? false, note: `koine run ${specFile}` },
    };
    try {
      await client.schedule.create({ ...schedule, scheduleId: id });
      context.console.say(`schedule ${id} is set`);
    } catch (error) {
      if (!(error instanceof ScheduleAlreadyRunning)) throw error;
      await client.schedule.getHandle(id).update((previous) => ({
        ...schedule,
        state: { ...previous.state, ...schedule.state, paused: options.paused ?? previous.state.paused },
      }));
      context.console.say(`schedule ${id} is changed`);
    }
    return EXIT.done;
  });
}

/** `koine schedule list`. */
export function list(context: Context, options: { json?: boolean }): Promise<number> {
  return withSchedules(context, async (client) => {
    const found = [];
    for await (const { scheduleId, state, info, action } of client.schedule.list()) {
      if (action?.workflowType !== RUN_WORKFLOW) continue;
      found.push({
        id: scheduleId,
        paused: state.paused,
        note: state.note ?? '',
        last: info.recentActions.at(-1)?.takenAt ?? null,
        next: info.nextActionTimes[0] ?? null,
      });
    }
    if (options.json) return [JSON.stringify(found)];
    if (found.length === 0) return ['no schedules; set one with: koine schedule create NAME SPEC --cron "0 3 * * *"'];
    return formatTable(
      ['schedule', 'state', 'last (UTC)', 'next (UTC)', 'note'],
      found.map(({ id, paused, note, last, next }) => [
        id,
        paused ? 'paused' : 'on',
        last ? formatTime(last) : '',
        next && !paused ? formatTime(next) : '',
        note,
      ]),
    );
  });
}

/** `koine schedule pause NAME`. */
export function pause(context: Context, id: string): Promise<number> {
  return withSchedules(
    context,
    async (client) => {
      await client.schedule.getHandle(id).pause('koine schedule pause');
      return [`schedule ${id} is paused`];
    },
    id,
  );
}

/** `koine schedule resume NAME`. */
export function resume(context: Context, id: string): Promise<number> {
  return withSchedules(
    context,
    async (client) => {
      await client.schedule.getHandle(id).unpause('koine schedule resume');
      return [`schedule ${id} is on`];
    },
    id,
  );
}

/** `koine schedule trigger NAME`: one run now, unless one is going. */
export function trigger(context: Context, id: string): Promise<number> {
  return withSchedules(
    context,
    async (client) => {
      await client.schedule.getHandle(id).trigger('SKIP');
      return [`schedule ${id} is triggered; see koine status`];
    },
    id,
  );
}

/** `koine schedule backfill NAME`: the runs that were due between two moments, one after the other. */
export function backfill(context: Context, id: string, range: { from: Date; to: Date }): Promise<number> {
  if (range.from >= range.to)
    throw new Refusal(`--from ${range.from.toISOString()} must be before --to ${range.to.toISOString()}`);
  return withSchedules(
    context,
    async (client) => {
      await client.schedule.getHandle(id).backfill({ start: range.from, end: range.to, overlap: 'BUFFER_ALL' });
      return [
        `schedule ${id}: what was due from ${formatTime(range.from)} to ${formatTime(range.to)} UTC runs now, in turn`,
      ];
    },
    id,
  );
}

/** `koine schedule delete NAME`: its runs and their data stay. */
export function remove(context: Context, id: string): Promise<number> {
  return withSchedules(
    context,
    async (client) => {
      await client.schedule.getHandle(id).delete();
      return [`schedule ${id} is deleted; its runs and their data stay`];
    },
    id,
  );
}

function withSchedules(context: Context, work: (client: Client) => Promise<string[]>, id?: string): Promise<number> {
  refuseEmbedded(context);
  return withSession(context, { workers: false }, async ({ client }) => {
    try {
      for (const line of await work(client)) context.console.answer(line);
      return EXIT.done;
    } catch (error) {
      if (error instanceof ScheduleNotFoundError)
        throw new Refusal(`no schedule '${id}'; koine schedule list shows those there are`);
      throw error;
    }
  });
}

function refuseEmbedded(context: Context): void {
  if (context.settings().embedded)
    throw new Refusal(
      'schedules need a cluster that is always up: set TEMPORAL_ADDRESS (the embedded server lives only while a run does)',
    );
}
