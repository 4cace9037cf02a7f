import { mkdirSync, writeFileSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { Client, Connection } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { SEARCH_ATTRIBUTES } from '../../config/names.js';
import { findDevServer, startDevServer } from '../../infra/devServer.js';
import type { Structure } from '../../structures/structure.js';
import { endedExecutions, executions, type Execution } from './executions.js';
import { fanOutOver } from './instantFanOut.js';
import { crystals, extendedXyz, Workplace } from './koine.js';

/** History of one execution as plain JSON: enums by name, 64-bit numbers as text, bytes in base64. */
export interface RecordedHistory {
  workflowId: string;
  history: { events: Record<string, unknown>[] };
}

const { History } = temporal.api.history.v1;

/** Files of recorded histories: `<scenario>.json.gz`. */
export const HISTORIES = fileURLToPath(new URL('histories/', import.meta.url));
/** No fixture is larger. */
export const MAX_FIXTURE_BYTES = 300_000;

const repository = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** What the folder of a recording is called in what is kept. */
const NEUTRAL = '/data/koine';
const MODEL = 'mace-random-tiny';

/** A structure that no snapshot accepts: two atoms on almost one place. */
const BROKEN: Structure = {
  materialId: 'broken-Si2',
  atomicNumbers: Uint8Array.of(14, 14),
  lattice: Float64Array.of(4, 0, 0, 0, 4, 0, 0, 0, 4),
  fractionalCoordinates: Float64Array.of(0, 0, 0, 0.01, 0, 0),
  source: 'broken',
};

/**
 * Records the histories of every scenario on the real server with the built command line: needs `../shared`, takes minutes.
 * Names of this machine are rewritten; a fixture in which one is left, or that is too large, is refused.
 * @param scenarios names of some, separated by commas, or `all`
 */
export async function recordHistories(scenarios: string): Promise<void> {
  const wanted = (scenario: string) => scenarios === 'all' || scenarios.split(',').includes(scenario);
  mkdirSync(HISTORIES, { recursive: true });
  const place = new Workplace();
  const server = await startDevServer({ stateDir: place.path('state'), searchAttributes: SEARCH_ATTRIBUTES });
  const connection = await Connection.connect({ address: server.address });
  const client = new Client({ connection });
  const few = place.path('few.extxyz');
  const some = place.path('some.extxyz');
  const many = place.path('many.extxyz');
  const broken = place.path('broken.extxyz');
  writeFileSync(few, extendedXyz(crystals(60)));
  writeFileSync(some, extendedXyz(crystals(80)));
  writeFileSync(many, extendedXyz(crystals(280)));
  writeFileSync(broken, extendedXyz([...crystals(4), BROKEN]));
  const spec = (name: string, path: string, fields: Record<string, unknown> = {}) =>
    place.spec(name, { source: [{ path }], shards: { structures: 16 }, ...fields });
  const single = { models: [MODEL], basis: { method: 'random', anchors: 12 }, shards: { structures: 1 } };

  const keep = async (scenario: string, selected: Execution[]) => {
    const histories: RecordedHistory[] = [];
    for (const { workflowId, runId } of selected) {
      const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
      const plain = History.toObject(History.create(history), { longs: String, enums: String, bytes: String });
      histories.push({ workflowId, history: neutral(plain, place.folder) as RecordedHistory['history'] });
    }
    refuseTraces(scenario, histories, place.folder);
    const bytes = gzipSync(JSON.stringify(histories), { level: 9 });
    if (bytes.length > MAX_FIXTURE_BYTES)
      throw new Error(`${scenario}: ${bytes.length} bytes compressed, more than ${MAX_FIXTURE_BYTES}`);
    writeFileSync(join(HISTORIES, `${scenario}.json.gz`), bytes);
  };
  const ofRun = (name: string) => endedExecutions(client, `RunName = '${name}'`);
  const expectCode = ({ code, stderr }: { code: number | null; stderr: string }, expected: number) => {
    if (code !== expected) throw new Error(`koine exited with ${code} instead of ${expected}:\n${stderr}`);
  };
  /** Waits until the embed range of a run has started enough activities. */
  const embedding = async (name: string, enough: (started: { attempt: number }[]) => boolean) => {
    for (;;) {
      const [range] = await executions(client, `RunName = '${name}' AND WorkflowType = 'range' AND Stage = 'embed'`);
      if (range) {
        const { events } = await client.workflow.getHandle(range.workflowId, range.runId).fetchHistory();
        const started = events!.flatMap(({ activityTaskStartedEventAttributes: started }) =>
          started ? [{ attempt: started.attempt ?? 1 }] : [],
        );
        if (enough(started)) return;
      }
      await sleep(50);
    }
  };
  try {
    if (wanted('done')) {
      expectCode(await place.run(spec('done', few)), 0);
      await keep('done', await ofRun('done'));
    }

    if (wanted('quarantine-limit')) {
      expectCode(await place.run(spec('limit', broken, { ...single, limits: { quarantine_fraction: 0.1 } })), 3);
      await keep('quarantine-limit', await ofRun('limit'));
    }

    if (wanted('continue-as-new')) {
      expectCode(await place.run(spec('continued', many, single)), 0);
      const parts = (await ofRun('continued')).filter(({ type, stage }) => type === 'range' && stage === 'embed');
      const { workflowId } = await fanOutOver(server.address, 200_000);
      const fanOuts = await endedExecutions(client, `WorkflowId = '${workflowId}'`);
      await keep('continue-as-new', [...parts, ...fanOuts]);
    }

    if (wanted('pause-resume')) {
      const paused = place.start(['run', spec('paused', some, single), '--json', '--window', '2']);
      await embedding('paused', (started) => started.length > 3);
      const [{ workflowId: pausedId }] = await executions(
        client,
        "RunName = 'paused' AND WorkflowType = 'alignDatabase'",
      );
      expectCode(await place.start(['pause', 'paused']).ended, 0);
      expectCode(await place.start(['window', 'paused', '5']).ended, 0);
      expectCode(await place.start(['resume', 'paused']).ended, 0);
      expectCode(await paused.ended, 0);
      const ofPaused = await ofRun('paused');
      await keep(
        'pause-resume',
        ofPaused.filter(({ workflowId: id, stage }) => id === pausedId || stage === 'embed'),
      );
    }

    if (wanted('cancel')) {
      const cancelled = place.start(['run', spec('cancelled', some, single), '--json']);
      await embedding('cancelled', (started) => started.length > 3);
      expectCode(await place.start(['cancel', 'cancelled']).ended, 0);
      expectCode(await cancelled.ended, 130);
      await keep('cancel', await ofRun('cancelled'));
    }

    if (wanted('retry')) {
      const cluster = { TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: server.namespace };
      const steady = place.start(['worker', '--queue', 'control,compute'], cluster);
      const doomed = place.start(['worker', '--queue', 'inference'], cluster);
      const retried = place.start(['run', spec('retried', some, single), '--json'], cluster);
      await embedding('retried', (started) => started.length > 3);
      doomed.child.kill('SIGKILL');
      const rescue = place.start(['worker', '--queue', 'inference'], cluster);
      await embedding('retried', (started) => started.some(({ attempt }) => attempt > 1));
      expectCode(await retried.ended, 0);
      await keep(
        'retry',
        (await ofRun('retried')).filter(({ stage, type }) => stage === 'embed' || type === 'alignDatabase'),
      );
      for (const worker of [steady, rescue]) worker.child.kill('SIGTERM');
      for (const worker of [steady, rescue]) expectCode(await worker.ended, 0);
    }
  } finally {
    await connection.close();
    await server.release();
    place.close();
  }
  if (findDevServer(place.path('state'))?.alive) throw new Error('the server of the recording still runs');
}

/** A history with its folder renamed (in payloads too), and without the names of processes and machines. */
function neutral(value: unknown, folder: string): unknown {
  const rename = (text: string) => text.replaceAll(folder, NEUTRAL).replaceAll(repository, '.');
  if (typeof value === 'string') return rename(value);
  if (Array.isArray(value)) return value.map((item) => neutral(item, folder));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, field]: [string, unknown]) => {
      if (key === 'identity' || key === 'lastWorkerIdentity') return [key, 'recorded'];
      if (key === 'data' && typeof field === 'string')
        return [key, Buffer.from(rename(Buffer.from(field, 'base64').toString())).toString('base64')];
      return [key, neutral(field, folder)];
    }),
  );
}

/** @throws Error when something in `value`, payloads decoded, names this machine */
function refuseTraces(scenario: string, value: unknown, folder: string): void {
  const names = [folder, repository, dirname(repository) + '/', homedir(), hostname()].filter(
    (name) => name.length > 2,
  );
  const look = (text: string) => {
    const found = names.find((name) => text.includes(name));
    if (found) throw new Error(`${scenario}: '${found}' is left in ${text.slice(0, 500)}`);
  };
  JSON.stringify(value, (key, field: unknown) => {
    if (typeof field === 'string') look(key === 'data' ? Buffer.from(field, 'base64').toString() : field);
    return field;
  });
}
