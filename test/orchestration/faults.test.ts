import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDevServer, type DevServer } from '../../infra/devServer.js';
import { SEARCH_ATTRIBUTES } from '../../config/names.js';
import { describeShared } from '../support/shared.js';
import { crystals, extendedXyz, partCount, parts, Workplace, type RunningCommand } from './koine.js';

const TABLES = ['embeddings', 'coordinates', 'structure_vectors', 'similarity', 'transport'];

describeShared('a run whose processes are killed', () => {
  const place = new Workplace();
  const source = place.path('source.extxyz');
  const spec = (output: string) =>
    place.spec('faults', {
      source: [{ path: source }],
      models: ['tensornet-matpes-pbe', 'mace-random-tiny'],
      output: place.path(output),
    });
  const undisturbed = () => Object.fromEntries(TABLES.map((table) => [table, parts(place.path('calm'), table)]));
  const found = (output: string) =>
    Object.fromEntries(TABLES.map((table) => [table, parts(place.path(output), table)]));

  beforeAll(async () => {
    writeFileSync(source, extendedXyz(crystals(200)));
    const { code } = await place.run(spec('calm'));
    expect(code).toBe(0);
  });
  afterAll(() => place.close());

  /** Waits until some, but not all, shards of the first model are embedded. */
  async function untilMidEmbed(output: string, run: RunningCommand): Promise<void> {
    const total = partCount(place.path('calm'), 'embeddings');
    for (;;) {
      if (run.child.exitCode !== null) throw new Error(`the run ended before it could be killed: ${run.output.stderr}`);
      const done = partCount(place.path(output), 'embeddings');
      if (done >= 3 && done < total - 3) return;
      await sleep(20);
    }
  }

  test('kill -9 of the process in the middle of embed: started again, it ends with the same bytes', async () => {
    const run = place.start(['run', spec('killed'), '--json']);
    await untilMidEmbed('killed', run);
    run.child.kill('SIGKILL');
    await run.ended;
    const again = await place.run(spec('killed'));
    expect(again.stderr).toContain('resuming');
    expect(again.code).toBe(0);
    expect(found('killed')).toEqual(undisturbed());
    expect((await place.start(['verify', place.path('killed')]).ended).code).toBe(0);
  });

  test('kill -9 of the Temporal server with its database kept: the run ends with the same bytes', async () => {
    const run = place.start(['run', spec('serverless'), '--json'], {}, 'state-server');
    await untilMidEmbed('serverless', run);
    const { process: server } = JSON.parse(readFileSync(place.path('state-server', 'server.json'), 'utf8')) as {
      process: { pid: number };
    };
    process.kill(server.pid, 'SIGKILL');
    run.child.kill('SIGKILL'); // its server is gone; the user starts again
    await run.ended;
    const again = await place.run(spec('serverless'), {}, 'state-server');
    expect(again.code).toBe(0);
    expect(found('serverless')).toEqual(undisturbed());
  });

  test('in a cluster, kill -9 of a worker in the middle of embed: another one ends the run with the same bytes', async () => {
    const server: DevServer = await startDevServer({
      stateDir: place.path('state-cluster'),
      searchAttributes: SEARCH_ATTRIBUTES,
    });
    try {
      const cluster = { TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: server.namespace };
      const steady = place.start(['worker', '--queue', 'control,compute'], cluster);
      const doomed = place.start(['worker', '--queue', 'inference'], cluster);
      const run = place.start(['run', spec('cluster'), '--json'], cluster);
      await untilMidEmbed('cluster', run);
      doomed.child.kill('SIGKILL');
      const rescue = place.start(['worker', '--queue', 'inference'], cluster);
      const { code, stderr } = await run.ended;
      expect(stderr).not.toMatch(/Error:/);
      expect(code).toBe(0);
      expect(found('cluster')).toEqual(undisturbed());
      steady.child.kill('SIGTERM');
      rescue.child.kill('SIGTERM');
      expect((await steady.ended).code).toBe(0);
      expect((await rescue.ended).code).toBe(0);
    } finally {
      await server.release();
    }
  });
});
