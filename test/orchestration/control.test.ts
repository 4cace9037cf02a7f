import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunFailure } from '../../activities/run/documents.js';
import { DIAGNOSTIC_STAGES, SEARCH_ATTRIBUTES } from '../../config/names.js';
import { findDevServer, startDevServer, type DevServer } from '../../infra/devServer.js';
import { setWindowUpdate, progressQuery, type RunProgress } from '../../workflows/progress.js';
import { describeShared } from '../support/shared.js';
import { endedExecutions, executions, type Execution } from './executions.js';
import { crystals, extendedXyz, Workplace, type RunningCommand } from './koine.js';

const MODELS = ['mace-random-tiny', 'mace-random-tiny-all'];
const STARTED = temporal.api.enums.v1.PendingActivityState.PENDING_ACTIVITY_STATE_STARTED;
const SNAPSHOT = expect.stringMatching(/^[0-9a-f]{16}$/) as string;

describeShared('steering a run', () => {
  const place = new Workplace();
  const spec = (name: string) =>
    place.spec(name, {
      source: [{ path: place.path('source.extxyz') }],
      models: MODELS,
      basis: { method: 'random', anchors: 12 },
      shards: { structures: 1 },
    });

  beforeAll(() => writeFileSync(place.path('source.extxyz'), extendedXyz(crystals(60))));
  afterAll(() => place.close());

  /** Waits until a run has embedded a few of its shards. */
  async function untilMidEmbed(name: string, run: RunningCommand): Promise<void> {
    while (embedded(place.path(`out-${name}`)) < 3) {
      if (run.child.exitCode !== null) throw new Error(`the run ended before anything was done: ${run.output.stderr}`);
      await sleep(20);
    }
  }

  describe('by another process', () => {
    let server: DevServer;
    let connection: Connection;
    let client: Client;
    const command = (...args: string[]) => place.start(args).ended;

    beforeAll(async () => {
      server = await startDevServer({ stateDir: place.path('state'), searchAttributes: SEARCH_ATTRIBUTES });
      connection = await Connection.connect({ address: server.address });
      client = new Client({ connection });
    });
    afterAll(async () => {
      await connection.close();
      await server.release();
    });

    async function only(query: string): Promise<Execution> {
      for (;;) {
        const [found] = await executions(client, query);
        if (found) return found;
        await sleep(50);
      }
    }

    test('pause stops the feed and not what runs, the window changes, resume goes on to the end', async () => {
      const run = place.start(['run', spec('paused'), '--json', '--window', '1']);
      await untilMidEmbed('paused', run);
      const { workflowId } = await only("WorkflowType = 'alignDatabase' AND RunName = 'paused'");
      const handle: WorkflowHandle = client.workflow.getHandle(workflowId);
      const progress = () => handle.query<RunProgress>(progressQuery.name);
      expect((await command('pause', 'paused')).code).toBe(0);

      // What was in flight ends ...
      const embeds = () => executions(client, "WorkflowType = 'range' AND RunName = 'paused' AND Stage = 'embed'");
      const running = (await embeds()).filter(({ status }) => status === 'RUNNING');
      expect(running.map(({ model }) => model)).toEqual(expect.arrayContaining([MODELS[0]]));
      const ranges = running.map((range) => client.workflow.getHandle(range.workflowId));
      for (const range of ranges) while ((await range.describe()).raw.pendingActivities?.length) await sleep(50);
      const paused = await progress();
      expect(paused).toMatchObject({ paused: true, stage: 'embed', snapshot: SNAPSHOT });

      // ... and nothing starts while an operator looks around.
      const events = await Promise.all(ranges.map((range) => scheduled(range)));
      const status = await command('status', 'paused', '--json');
      expect(JSON.parse(status.stdout)).toMatchObject({ status: 'running', progress: { paused: true } });
      expect(await panel(handle)).toMatch(/^\*\*Paused: embed\*\*, snapshot `[0-9a-f]{16}`\n/);
      const refused = await command('window', 'paused', '0');
      expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('whole number from 1 to 500')]);
      for (const size of [0, 501, 1.5])
        await expect(handle.executeUpdate(setWindowUpdate, { args: [size] })).rejects.toMatchObject({
          cause: { message: `window ${size}: must be a whole number from 1 to 500` },
        });
      const changed = await command('window', 'paused', '6');
      expect([changed.code, changed.stderr]).toEqual([0, expect.stringContaining('6 in flight')]);
      expect(await Promise.all(ranges.map((range) => scheduled(range)))).toEqual(events);

      expect((await command('resume', 'paused')).code).toBe(0);
      const seen: RunProgress[] = [];
      for (let over = false; !over;) {
        over = await Promise.race([run.ended.then(() => true), sleep(100, false)]);
        if (!over) seen.push(await progress().catch(() => seen.at(-1) ?? paused)); // its worker ends with the run
      }
      const { code, stderr } = await run.ended;
      expect(stderr).not.toMatch(/Error:/);
      expect(code).toBe(0);
      expectRising([paused, ...seen]);

      // One at a time before the window changed, several after.
      const [range] = ranges;
      const { before, after } = await inFlight(range, events[0]);
      expect(before).toBe(1);
      expect(after).toBeGreaterThan(1);
      expect(after).toBeLessThanOrEqual(6);
    });

    test('executions carry the run, the model, the snapshot and the stage as search attributes', async () => {
      const all = await endedExecutions(client, "RunName = 'paused'");
      const [top] = all.filter(({ type }) => type === 'alignDatabase');
      expect(top).toMatchObject({ stage: 'publish', snapshot: SNAPSHOT, runName: 'paused' });
      const children = all.filter(({ type }) => type !== 'alignDatabase');
      for (const { stage, model, snapshot, status } of children) {
        expect(status).toMatch(/^(COMPLETED|CONTINUED_AS_NEW)$/);
        expect(snapshot).toEqual(stage === 'read' || stage === 'merge' ? undefined : SNAPSHOT);
        if (stage === 'embed' || stage === 'project') expect(MODELS).toContain(model);
      }
      const stages = [...new Set(children.map(({ stage }) => stage))];
      const diagnostics: readonly (string | undefined)[] = DIAGNOSTIC_STAGES;
      const [others, looked] = [false, true].map((of) =>
        stages.filter((stage) => diagnostics.includes(stage) === of).sort(),
      );
      expect(others).toEqual([
        ...['embed', 'embedded', 'gather', 'merge', 'place', 'project', 'projected', 'rankAtoms', 'read', 'select'],
        ...['similarity', 'transport'],
      ]);
      expect(looked).toEqual(['pool', 'spaces', 'symmetry']);
      const { staticDetails, staticSummary } = (await client.workflow
        .getHandle(top.workflowId)
        .describe()) as unknown as {
        staticSummary: () => Promise<string>;
        staticDetails: () => Promise<string>;
      };
      expect(await staticSummary()).toBe('paused: 2 models');
      expect(await staticDetails()).toContain('`mace-random-tiny`');
    });

    test('pauses and resumes in quick succession leave the run as the last one says', async () => {
      const run = place.start(['run', spec('nervous'), '--json']);
      const { workflowId } = await only("WorkflowType = 'alignDatabase' AND RunName = 'nervous'");
      const handle = client.workflow.getHandle(workflowId);
      for (let over = false; !over;) {
        for (const signal of ['pause', 'resume']) await handle.signal(signal).catch(() => undefined); // it may have ended
        over = await Promise.race([run.ended.then(() => true), sleep(150, false)]);
      }
      expect((await run.ended).code).toBe(0);
    });
  });

  test.each(['koine cancel', 'Ctrl-C'])(
    'cancelled by %s: exit code 130, nothing half done is published, nothing runs on, and a later run reuses what there is',
    async (how) => {
      const name = how === 'Ctrl-C' ? 'interrupted' : 'cancelled';
      const output = place.path(`out-${name}`);
      const run = place.start(['run', spec(name), '--json', '--window', '2'], {}, `state-${name}`);
      await untilMidEmbed(name, run);
      if (how === 'Ctrl-C') run.child.kill('SIGINT');
      else expect((await place.start(['cancel', name], {}, `state-${name}`).ended).code).toBe(0);
      const { code, stdout } = await run.ended;
      expect(code).toBe(130);
      const outcome = JSON.parse(stdout) as RunFailure;
      expect(outcome).toMatchObject({ status: 'cancelled', stage: 'embed', snapshot: SNAPSHOT });
      const record = JSON.parse(readFileSync(`${output}/runs/${outcome.run_id}.json`, 'utf8')) as RunFailure;
      expect(record).toMatchObject({ status: 'cancelled', stage: 'embed', run_id: outcome.run_id });

      const names = readdirSync(output, { recursive: true, encoding: 'utf8' });
      expect(names.filter((path) => path.endsWith('_SUCCESS'))).toEqual([]);
      // Lists of parts may be there, which nothing points at; no manifest is.
      for (const list of names.filter((path) => /^manifests\/.*\.json$/.test(path)))
        expect(readFileSync(join(output, list), 'utf8')).toContain('"kind":"parts"');
      expect(existsSync(`${output}/catalog.json`)).toBe(false);
      expect(findDevServer(place.path(`state-${name}`))).toMatchObject({ alive: false });

      const receipts = names.filter((path) => /^receipts\/embed\/.*\.json$/.test(path)).length;
      expect(receipts).toBeGreaterThan(0);
      const again = await place.run(spec(name), {}, `state-${name}`);
      expect(again.code).toBe(0);
      const { models } = again.summary;
      expect(models.reduce((sum, { shards }) => sum + shards.reused, 0)).toBe(receipts);
      expect(models.every(({ shards }) => shards.computed > 0)).toBe(true);
      expect((await place.start(['verify', output]).ended).code).toBe(0);
    },
  );

  test('SIGTERM to a worker in the middle of embed: it exits 0, leaves no activity behind, and another goes on', async () => {
    const server = await startDevServer({ stateDir: place.path('state-grace'), searchAttributes: SEARCH_ATTRIBUTES });
    const connection = await Connection.connect({ address: server.address });
    try {
      const client = new Client({ connection });
      const cluster = { TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: server.namespace };
      const steady = place.start(['worker', '--queue', 'control,compute'], cluster);
      const leaving = place.start(['worker', '--queue', 'inference'], cluster);
      const run = place.start(['run', spec('grace'), '--json'], cluster);
      await untilMidEmbed('grace', run);
      leaving.child.kill('SIGTERM');
      const left = await leaving.ended;
      expect([left.code, left.stderr]).toEqual([0, expect.stringContaining('stopped')]);

      const ranges = await executions(client, "WorkflowType = 'range' AND Stage = 'embed'");
      for (const { workflowId } of ranges) {
        const { pendingActivities } = (await client.workflow.getHandle(workflowId).describe()).raw;
        const started = (pendingActivities ?? []).filter(({ state }) => state === STARTED);
        expect(started).toEqual([]);
      }
      const next = place.start(['worker', '--queue', 'inference'], cluster);
      const { code, stderr } = await run.ended;
      expect(stderr).not.toMatch(/Error:/);
      expect(code).toBe(0);
      for (const worker of [steady, next]) worker.child.kill('SIGTERM');
      expect([(await steady.ended).code, (await next.ended).code]).toEqual([0, 0]);
    } finally {
      await connection.close();
      await server.release();
    }
  });
});

/** Number of embedding parts in an output that may not be there yet. */
function embedded(output: string): number {
  const folder = `${output}/embeddings`;
  if (!existsSync(folder)) return 0;
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.parquet')).length;
}

/** The panel of a workflow, as its UI asks for it. */
async function panel(handle: WorkflowHandle): Promise<string> {
  return (await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata')).currentDetails;
}

/** Number of activities a workflow has scheduled so far. */
async function scheduled(handle: WorkflowHandle): Promise<number> {
  const { events } = await handle.fetchHistory();
  return events!.filter((event) => event.activityTaskScheduledEventAttributes).length;
}

/** Most activities that were in flight at once among the first `count` that a workflow scheduled, and among the others. */
async function inFlight(handle: WorkflowHandle, count: number): Promise<{ before: number; after: number }> {
  const most = { before: 0, after: 0 };
  let [begun, flying] = [0, 0];
  for (const event of (await handle.fetchHistory()).events!) {
    if (event.activityTaskScheduledEventAttributes) {
      flying++;
      const when = ++begun > count ? 'after' : 'before';
      most[when] = Math.max(most[when], flying);
    } else if (event.activityTaskCompletedEventAttributes) flying--;
  }
  return most;
}

/** Tallies of the same stage and model never fall and never pass their total. */
function expectRising(seen: readonly RunProgress[]): void {
  const before = new Map<string, number>();
  for (const { stages } of seen)
    stages.forEach(({ stage, model, total, tally }, row) => {
      const id = `${row} ${stage} ${model}`;
      expect([id, tally.done >= (before.get(id) ?? 0), tally.done <= total]).toEqual([id, true, true]);
      before.set(id, tally.done);
    });
}
