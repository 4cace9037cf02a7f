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

  test('every diagnostic has rows', async () => {
    await place.source(crystals(30));
    const { tables, tallies } = await diagnosed({ models: ['mace-random-tiny', 'mace-random-tiny-all'], diagnostics: { element_bias: { rows: 2 }, drift: { pairs: [['mace-random-tiny', 'mace-random-tiny-all']] } } });
    console.log(tallies, Object.fromEntries(Object.entries(tables).map(([t, r]) => [t, r.length])));
    for (const t of Object.keys(tables)) console.log(t, tables[t].slice(0,3), tables[t].at(-1));
    expect(Object.keys(tables)).toContain('model_diagnostics');
  });
});
