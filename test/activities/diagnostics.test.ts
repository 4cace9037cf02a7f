import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { publishedDiagnostics } from '../../activities/diagnostics/diagnostics.js';
import { plannedDiagnostics } from '../../activities/diagnostics/planned.js';
import type { PageEntry } from '../../activities/run/documents.js';
import { RunMemory } from '../../activities/run/openRun.js';
import { readSettings } from '../../config/settings.js';
import { digestJson } from '../../datasets/digest.js';
import { readJson, writeJson } from '../../datasets/json.js';
import * as keys from '../../datasets/keys.js';
import type { PartEntry } from '../../datasets/manifest.js';
import type { ObjectStore } from '../../datasets/store/objectStore.js';
import { ROW_TABLES } from '../../datasets/tables/schemas.js';
import { bundledStructures } from '../../structures/bundled/bundled.js';
import type { Structure } from '../../structures/structure.js';
import { activityDependencies, type OwnedDependencies } from '../../workers/dependencies.js';
import { describeShared } from '../support/shared.js';
import { StagePlace } from './stagePlace.js';

type Row = Record<string, string | number | null>;

/** Bundled crystals of two to twelve atoms. */
const crystals = (count: number): Structure[] =>
  bundledStructures()
    .filter(({ atomicNumbers: { length } }) => length >= 2 && length <= 12)
    .slice(0, count);

describeShared('diagnostics without an engine', () => {
  let dependencies: OwnedDependencies;
  let place: StagePlace;
  beforeAll(() => (dependencies = activityDependencies(readSettings({ KOINE_THREADS: '1' }))));
  afterAll(() => dependencies.close());
  beforeEach(() => (place = new StagePlace(dependencies)));
  afterEach(() => place.close());

  /** Everything up to coordinates, then every diagnostic; the rows of every table. */
  async function diagnosed(fields: Record<string, unknown>) {
    const { run, summary, plan } = await place.embedded({ basis: { anchors: 8 }, ...fields });
    const basis = await place.basis(run, summary);
    await place.projected(run, summary, basis);
    const tallies = await place.diagnosed(run, summary, basis);
    return { run, summary, plan, basis, tallies, tables: await tablesIn(place.store) };
  }

  async function tablesIn(store: ObjectStore): Promise<Record<string, Row[]>> {
    const tables: Record<string, Row[]> = {};
    for (const table of Object.keys(ROW_TABLES))
      for await (const { key } of store.list(`${table}/`))
        if (key.endsWith('.parquet'))
          (tables[table] ??= []).push(...(await ROW_TABLES[table].decode(await store.get(key))).rows);
    return tables;
  }

  const small = {
    models: ['mace-random-tiny', 'mace-random-tiny-all'],
    diagnostics: {
      symmetry: { structures: 6, rotations: 1 },
      element_bias: { rows: 2 },
      drift: { pairs: [['mace-random-tiny', 'mace-random-tiny-all']] },
      bootstrap: 40,
    },
  };

  test('all diagnostics write their tables; again they are found, and a new model adds its own rows and pairs only', async () => {
    await place.source(crystals(30));
    const first = await diagnosed(small);
    for (const table of [
      'model_diagnostics',
      'anchor_quality',
      'symmetry',
      'element_bias',
      'atypical',
      'stitching',
      'drift',
    ])
      expect(first.tables[table]?.length, table).toBeGreaterThan(0);
    const again = await diagnosed(small);
    for (const [stage, { computed }] of Object.entries(again.tallies)) expect(computed, stage).toBe(0);

    const more = await diagnosed({
      ...small,
      models: [...small.models, 'orb-random-small'],
      basis: { anchors: 8, from: first.basis },
    });
    const { shards } = more.plan.snapshot;
    expect(more.tallies).toMatchObject({
      pool: { computed: 1, reused: 2 },
      spaces: { computed: 1, reused: 2 },
      symmetry: { computed: 1, reused: 2 },
      novelty: { computed: shards, reused: 2 * shards },
      atypical: { computed: shards, reused: 0 }, // what all models say together is new
      scored: { computed: more.summary.pages, reused: 0 },
      bias: { computed: 2, reused: 1 },
      stitching: { computed: 2, reused: 1 },
      drift: { computed: 0, reused: 1 },
    });
  }, 240_000);

  /** The diagnostics of a run in another place, where the pages of its snapshot begin at these shards. */
  async function cut({ plan, summary, basis }: Awaited<ReturnType<typeof diagnosed>>, starts: readonly number[]) {
    const other = new StagePlace(dependencies);
    for (const folder of ['snapshots', 'bases'])
      await cp(join(place.output, folder), join(other.output, folder), { recursive: true });
    const { snapshot } = plan.snapshot;
    const shards = await place.shards(snapshot);
    const pages = starts.map((start, page): PageEntry => {
      const here = shards.slice(start, starts[page + 1]);
      return {
        ...{ start, shards: here.length, first: here[0].first, last: here[here.length - 1].last },
        structures: here.reduce((sum, { rows }) => sum + rows, 0),
        atoms: here.reduce((sum, { atoms }) => sum + atoms, 0),
        digest: digestJson(here.map(({ content }) => content)),
      };
    });
    for (const [page, { start, shards: count }] of pages.entries())
      await writeJson(other.store, keys.shardPage(snapshot, page), shards.slice(start, start + count));
    const paged = { ...plan, snapshot: { ...plan.snapshot, pages } };
    const run = { output: other.output, plan: keys.document('plans', digestJson(paged)) };
    await writeJson(other.store, run.plan, paged);
    const counts = { ...summary, pages: pages.length, diagnostics: plannedDiagnostics(paged) };
    for (const model of counts.models) {
      await other.map({ stage: 'embed', run, model }, counts.shards);
      await other.map({ stage: 'embedded', run, model }, counts.pages);
    }
    await other.projected(run, counts, basis);
    await other.diagnosed(run, counts, basis);
    return { other, run };
  }

  test('however the snapshot is cut into pages, tables are the same up to the last digits of sums; scores are listed in order', async () => {
    await place.source(crystals(40));
    const one = await diagnosed({ ...small, shards: { structures: 3 } });
    expect(one.plan.snapshot.pages).toHaveLength(1);
    const { other, run } = await cut(one, [0, 1, 5, 6]);
    const tables = await tablesIn(other.store);
    expect(Object.keys(tables)).toEqual(Object.keys(one.tables));
    for (const [table, rows] of Object.entries(one.tables)) {
      expect(tables[table].length, table).toBe(rows.length);
      rows.forEach((row, r) => {
        for (const [column, value] of Object.entries(row)) {
          const found = tables[table][r][column];
          if (typeof value !== 'number' || typeof found !== 'number') expect(found, `${table} ${column}`).toBe(value);
          else expect(Math.abs(found - value), `${table} ${column}`).toBeLessThanOrEqual(1e-9 * Math.abs(value));
        }
      });
    }
    const planned = await new RunMemory(dependencies).planned(run, other.work());
    const published = await publishedDiagnostics(planned, one.basis);
    const listed: string[] = [];
    for (const { key } of published.find(({ table }) => table === 'atypical')!.lists)
      listed.push(...(await readJson<{ parts: PartEntry[] }>(other.store, key))!.parts.map((part) => part.key));
    expect(listed).toEqual(await other.keys('atypical/'));
    await other.close();
  }, 120_000);

  test('a network is invariant under rotation and inversion, and equivalent atoms are equal up to rounding', async () => {
    await place.source(crystals(20));
    const { tables } = await diagnosed({ diagnostics: { symmetry: { structures: 6, rotations: 1 } } });
    const largest = (test: string, space: string) =>
      tables.symmetry.find((row) => row.test === test && row.space === space && row.statistic === 'maximum')?.value;
    expect(largest('rotation', 'embeddings')).toBeLessThan(1e-4);
    expect(largest('inversion', 'embeddings')).toBeLessThan(1e-4);
    expect(largest('orbit_spread', 'coordinates')).toBeLessThan(1e-4);
  }, 120_000);

  test('one structure gives rows or none, no NaN', async () => {
    await place.source(crystals(1));
    const { tables } = await diagnosed({ ...small, basis: { anchors: 1, method: 'random' } });
    expect(tables.model_diagnostics.map(({ intrinsic_dimension }) => intrinsic_dimension)).toContain(null);
    expect(tables.atypical.filter(({ level }) => level === 'structure').map(({ novelty }) => novelty)).toEqual([
      null,
      null,
      null,
    ]);
  }, 120_000);

  test('switched off, a diagnostic is not planned', async () => {
    await place.source(crystals(4));
    const off = { enabled: false };
    const all = ['spaces', 'symmetry', 'element_bias', 'atypical', 'arithmetic', 'stitching', 'drift'];
    const { summary } = await place.plan({ diagnostics: Object.fromEntries(all.map((name) => [name, off])) });
    expect(summary.diagnostics).toEqual([]);
    const one = await place.plan({
      diagnostics: { ...Object.fromEntries(all.map((name) => [name, off])), spaces: {} },
    });
    expect(one.summary.diagnostics).toEqual([
      { stage: 'pool', items: 1 },
      { stage: 'spaces', items: 1 },
    ]);
  });
});
