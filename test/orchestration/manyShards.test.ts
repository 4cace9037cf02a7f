import { writeFileSync } from 'node:fs';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RunSummary } from '../../activities/run/documents.js';
import { HISTORY_EVENT_BUDGET, SEARCH_ATTRIBUTES, SHARDS_PER_RANGE } from '../../config/names.js';
import { startDevServer, type DevServer } from '../../infra/devServer.js';
import { bundledStructures } from '../../structures/bundled/bundled.js';
import type { Structure } from '../../structures/structure.js';
import { describeShared } from '../support/shared.js';
import { endedExecutions, type Execution } from './executions.js';
import { extendedXyz, NO_DIAGNOSTICS, parts, Workplace, type Ended } from './koine.js';

const SHARDS = 3_000;
/** Where the server starts to ask for continue-as-new. */
const LONGEST_HISTORY = 4_096;

/** `count` crystals of few atoms: the bundled ones, then the same under a little more strain, and so on. */
function manyCrystals(count: number): Structure[] {
  const small = bundledStructures().filter(({ atomicNumbers }) => atomicNumbers.length <= 4);
  return Array.from({ length: count }, (_, i) => {
    const { materialId, lattice, ...atoms } = small[i % small.length];
    const copy = Math.floor(i / small.length);
    return { ...atoms, materialId: `${materialId}-${copy}`, lattice: lattice.map((x) => x * (1 + copy / 200)) };
  });
}

describeShared(`a run of ${SHARDS} shards`, () => {
  const place = new Workplace();
  const output = place.path('out-many');
  let server: DevServer;
  let ended: Ended & { summary: RunSummary };
  let executions: Execution[];

  beforeAll(async () => {
    server = await startDevServer({ stateDir: place.path('state'), searchAttributes: SEARCH_ATTRIBUTES });
    writeFileSync(place.path('source.extxyz'), extendedXyz(manyCrystals(SHARDS)));
    const spec = place.spec('many', {
      source: [{ path: place.path('source.extxyz') }],
      models: ['mace-random-tiny'],
      basis: { method: 'random', anchors: 12 },
      diagnostics: NO_DIAGNOSTICS,
      shards: { structures: 1 },
    });
    ended = await place.run(spec);
    const connection = await Connection.connect({ address: server.address });
    executions = await endedExecutions(new Client({ connection }));
    await connection.close();
  }, 1_200_000);
  afterAll(async () => {
    place.close();
    await server.release();
  });

  test('ends right: every structure is embedded or a quarantine row, and the dataset verifies', async () => {
    const { code, stderr, summary } = ended;
    expect(stderr).not.toMatch(/Error:/);
    expect(code).toBe(0);
    expect([summary.structures, summary.quarantined]).toEqual([SHARDS, 0]);
    const [model] = summary.models;
    expect(model.structures + model.quarantined).toBe(SHARDS);
    expect(model.shards).toEqual({ total: SHARDS, computed: SHARDS, reused: 0 });
    for (const table of ['embeddings', 'coordinates', 'structure_vectors'])
      expect([table, parts(output, table).size]).toEqual([table, model.structures]);
    expect((await place.start(['verify', output]).ended).code).toBe(0);
  });

  test('is a fan-out of ranges a stage, and every range continues as new on its budget', () => {
    expect(executions.filter(({ type }) => type === 'fanOut').map(({ stage }) => stage)).toEqual(['project', 'embed']);
    const ofRanges = executions.filter(({ type, workflowId }) => type === 'range' && /\/r\d+$/.test(workflowId));
    const ranges = new Map<string, Execution[]>();
    for (const execution of ofRanges)
      ranges.set(execution.workflowId, [...(ranges.get(execution.workflowId) ?? []), execution]);
    expect(ranges.size).toBe((2 * SHARDS) / SHARDS_PER_RANGE);
    for (const [id, parts] of ranges) {
      const continued = parts.filter(({ status }) => status === 'CONTINUED_AS_NEW');
      expect([id, continued.length > 0]).toEqual([id, true]);
      for (const { events } of continued) expect(events).toBeGreaterThanOrEqual(HISTORY_EVENT_BUDGET);
      expect(parts.filter(({ status }) => status === 'COMPLETED')).toHaveLength(1);
    }
  });

  test('leaves only short histories behind, all of them ended well', () => {
    for (const { workflowId, status, events } of executions) {
      expect([workflowId, events < LONGEST_HISTORY]).toEqual([workflowId, true]);
      expect(['COMPLETED', 'CONTINUED_AS_NEW']).toContain(status);
    }
  });
});
