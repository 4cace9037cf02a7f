import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { readSettings } from '../../config/settings.js';
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
    const tallies: Record<string, { computed: number; reused: number }> = {};
    for (const { stage, items } of summary.diagnostics) {
      tallies[stage] = { computed: 0, reused: 0 };
      for (let item = 0; item < items; item++) {
        const { done, reused } = await place.stages[stage]({ run, model: null, item, argument: basis }, place.work());
        tallies[stage].computed += done - reused;
        tallies[stage].reused += reused;
      }
    }
    const tables: Record<string, Row[]> = {};
    for (const table of Object.keys(ROW_TABLES))
      for (const key of await place.keys(`${table}/`))
        if (key.endsWith('.parquet'))
          (tables[table] ??= []).push(...(await ROW_TABLES[table].decode(await place.store.get(key))).rows);
    return { run, plan, basis, tallies, tables };
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
      bias: { computed: 2, reused: 1 },
      stitching: { computed: 2, reused: 1 },
      drift: { computed: 0, reused: 1 },
    });
  }, 240_000);

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
