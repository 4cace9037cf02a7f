import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseRows } from '../../activities/pairs/listedRows.js';
import type { PlanRef, PlanSummary } from '../../activities/run/documents.js';
import type { SimilarityReceipt } from '../../activities/pairs/similarity.js';
import { readSettings } from '../../config/settings.js';
import { readJson } from '../../datasets/json.js';
import { decodeCoordinates } from '../../datasets/tables/coordinates.js';
import { similarityTable, type SimilarityRow } from '../../datasets/tables/similarity.js';
import { similarityRowsTable } from '../../datasets/tables/similarityRows.js';
import { bundledStructures } from '../../structures/bundled/bundled.js';
import { activityDependencies, type OwnedDependencies } from '../../workers/dependencies.js';
import { describeShared } from '../support/shared.js';
import { StagePlace } from './stagePlace.js';

const MODELS = ['mace-random-tiny', 'mace-random-tiny-all', 'orb-random-small'];
const fewAtoms = bundledStructures().filter(({ atomicNumbers: { length } }) => length >= 2 && length <= 8);
const every = (step: number) => fewAtoms.filter((_, i) => i % step === 0);
const SMALL = {
  models: MODELS,
  basis: { method: 'random', anchors: 6 },
  similarity: { sample: 60, draws: 2, neighbours: 3, small_sample: 20, replicates: 50, nulls: { permutations: 19 } },
};

describeShared('similarity', () => {
  let dependencies: OwnedDependencies;
  let place: StagePlace;
  let run: PlanRef;
  let summary: PlanSummary;
  let basis: string;

  /** The stage on pair `item`, and what it published. */
  const compare = async (of: PlanRef, item: number) => {
    const tally = await place.stages.similarity({ stage: 'similarity', run: of, item, basis }, place.work());
    const receipts = await Promise.all(
      (await place.keys('receipts/similarity/')).map((key) => readJson<SimilarityReceipt>(place.store, key)),
    );
    return { tally, receipts: receipts.map((receipt) => receipt!) };
  };
  const tableOf = async ({ outputs }: SimilarityReceipt) => ({
    rows: (await similarityTable.decode(await place.store.get(outputs.similarity.key))).rows,
    drawn: (await similarityRowsTable.decode(await place.store.get(outputs.similarity_rows.key))).rows,
  });
  /** A run over the same models with other fields of similarity: only the stage itself is left to do. */
  const again = async (similarity: Record<string, unknown>) => {
    const planned = await place.embedded({ ...SMALL, similarity: { ...SMALL.similarity, ...similarity } });
    const other = planned.run;
    await place.projected(other, planned.summary, basis);
    const before = new Set(await place.keys('receipts/similarity/'));
    const { tally } = await compare(other, 0);
    const [made] = (await place.keys('receipts/similarity/')).filter((key) => !before.has(key));
    return { tally, receipt: made ? (await readJson<SimilarityReceipt>(place.store, made))! : null };
  };

  beforeAll(async () => {
    dependencies = activityDependencies(readSettings({ KOINE_THREADS: '1' }));
    place = new StagePlace(dependencies);
    await place.source(every(8));
    ({ run, summary } = await place.embedded(SMALL));
    basis = await place.basis(run, summary);
    await place.projected(run, summary, basis);
  });
  afterAll(async () => {
    await place.close();
    await dependencies.close();
  });

  test('publishes every metric of both spaces raw, and calibrated ones with both nulls; no number is missing', async () => {
    const { receipts } = await compare(run, 0);
    const { rows, drawn } = await tableOf(receipts[0]);
    const raw = rows.filter((row) => row.null === 'none');
    expect(new Set(raw.map(({ space }) => space))).toEqual(new Set(['coordinates', 'embeddings']));
    expect(raw.filter(({ space }) => space === 'coordinates').map(({ metric }) => metric)).toEqual([
      ...['mutual_knn_euclidean', 'mutual_knn_cosine', 'mutual_knn_inner', 'cknna'],
      ...['linear_cka', 'unbiased_linear_cka', 'angular_procrustes'],
      ...['distance_correlation', 'unbiased_distance_correlation'],
      ...['information_imbalance_a_to_b', 'information_imbalance_b_to_a', 'gfre_a_to_b', 'gfre_b_to_a'],
    ]);
    for (const row of raw) {
      expect(row).toMatchObject({ model_a: MODELS[0], model_b: MODELS[1], stratum: 'all', draws: 2, seed: 42 });
      expect(row.low!).toBeLessThanOrEqual(row.high!);
      expect(row.n).toBe(/distance|imbalance|gfre/.test(row.metric) ? 20 : drawn.length / 2);
      expect([row.null_mean, row.calibrated, row.p_value]).toEqual([null, null, null]);
    }
    const calibrated = rows.filter((row) => row.null !== 'none');
    expect(calibrated).toHaveLength(2 * 3 * 2);
    for (const row of calibrated) {
      expect(row.calibrated_low!).toBeLessThanOrEqual(row.calibrated_high!);
      expect(row.p_value!).toBeGreaterThanOrEqual(1 / 20);
      expect(row.permutations).toBe(19);
      const { null_mean, null_threshold, calibrated: score } = row;
      for (const value of [null_mean, null_threshold, score, row.hubness_a, row.hubness_b])
        expect(Number.isFinite(value)).toBe(true);
    }
    expect(receipts[0].headline).toMatchObject({ model_a: MODELS[0], model_b: MODELS[1] });
    expect(receipts[0].notes).toEqual([]);
  });

  test('its values are those of plain formulas on the rows it publishes', async () => {
    const { receipts } = await compare(run, 0);
    const { rows, drawn } = await tableOf(receipts[0]);
    const [x, y] = await Promise.all(
      MODELS.slice(0, 2).map(async (model) => {
        const rowOf = new Map<string, Float32Array>();
        for (const key of (await place.keys('coordinates/')).filter((one) => one.includes(`/model=${model}/`))) {
          if (!key.endsWith('.parquet')) continue;
          const { materialIds, offsets, vectors, dim } = decodeCoordinates(await place.store.get(key));
          materialIds.forEach((id, s) => {
            for (let atom = 0; atom < offsets[s + 1] - offsets[s]; atom++)
              rowOf.set(`${id}:${atom}`, vectors.subarray((offsets[s] + atom) * dim, (offsets[s] + atom + 1) * dim));
          });
        }
        return rowOf;
      }),
    );
    const draws = [0, 1].map((draw) =>
      drawn.filter((row) => row.draw === draw).map(({ material_id, atom_index }) => `${material_id}:${atom_index}`),
    );
    const expected = draws.map((names) => {
      const [a, b] = [x, y].map((of) => neighboursOf(names.map((name) => of.get(name)!)));
      return a.reduce((sum, near, i) => sum + near.filter((j) => b[i].includes(j)).length / 3, 0) / names.length;
    });
    const found = rows.find(({ metric, space }) => metric === 'mutual_knn_euclidean' && space === 'coordinates');
    expect(found?.value).toBeCloseTo((expected[0] + expected[1]) / 2, 12);
    for (const draw of [0, 1])
      expect(
        drawn
          .filter((row) => row.draw === draw)
          .map((row) => row.place)
          .sort((p, q) => p - q),
      ).toEqual([...draws[draw].keys()]);
  });

  test('what concerns one model is worked out once for all its pairs, and a second run finds everything', async () => {
    const { tally } = await compare(run, 0);
    expect(tally.reused).toBe(1);
    for (const item of [1, 2]) await compare(run, item);
    // two draws in two spaces of two networks: the first two models have the same weights, so their vectors are found to be known
    expect(await place.keys('receipts/cloud/')).toHaveLength(2 * 2 * 2);
    place.restart();
    for (const item of [0, 1, 2]) expect((await compare(run, item)).tally.reused).toBe(1);
    // another number of permutations asks for new values, not for new work on models
    await again({ nulls: { permutations: 9 } });
    expect(await place.keys('receipts/cloud/')).toHaveLength(2 * 2 * 2);
  });

  test('rows from a file are the rows compared; where the file lies does not matter, what it says does', async () => {
    const ids = every(8)
      .filter(({ atomicNumbers }) => atomicNumbers.length >= 2)
      .slice(0, 20);
    const lines = ids.flatMap(({ materialId }) => [`${materialId}:1`, `${materialId}:0`]);
    const write = async (name: string, content: string) => {
      await writeFile(join(place.folder, name), content);
      return join(place.folder, name);
    };
    const { receipt } = await again({ rows: await write('a.txt', `# both atoms\n${lines.join('\n')}\n`) });
    const { rows, drawn } = await tableOf(receipt!);
    expect(new Set(drawn.map(({ material_id, atom_index }) => `${material_id}:${atom_index}`))).toEqual(new Set(lines));
    expect(new Set(rows.map(({ draws }: SimilarityRow) => draws))).toEqual(new Set([1]));
    const inOrder = [...drawn].sort((p, q) => p.place - q.place);
    expect(inOrder.map(({ material_id, atom_index }) => `${material_id}:${atom_index}`)).toEqual(lines);
    expect((await again({ rows: await write('b.txt', lines.join('\r\n')) })).tally.reused).toBe(1);
    expect((await again({ rows: await write('c.txt', lines.slice(1).join('\n')) })).tally.reused).toBe(0);
    for (const [content, message] of [
      [`${lines[0]}\nmp-1`, /line 2 of .*bad\.txt is "mp-1"; it must look like "<material_id>:<atom_index>"/],
      [`${lines[0]}\n\n${lines[0]}`, /names .* in line 1 and line 3; name it once/],
      ['no-such:0', /1 of 1 atoms that the snapshot does not have: no-such:0 \(no such structure\)/],
      [`${ids[0].materialId}:99`, /:99 \(\d atoms, counted from 0\)/],
      ['# nothing', /names no atom/],
    ] as const)
      await expect(again({ rows: await write('bad.txt', content) }), content).rejects.toThrow(message);
    await expect(again({ rows: join(place.folder, 'missing.txt') })).rejects.toThrow(/missing\.txt cannot be read/);
  });

  test('metrics that there are too few atoms for are left out and said to be', async () => {
    const [{ materialId }] = every(8);
    await writeFile(join(place.folder, 'few.txt'), `${materialId}:0\n${materialId}:1\n`);
    const { receipt } = await again({ rows: join(place.folder, 'few.txt') });
    const { rows } = await tableOf(receipt!);
    expect(new Set(rows.map(({ metric }) => metric))).toEqual(new Set(['linear_cka', 'angular_procrustes']));
    expect(receipt?.headline).toBeNull();
    expect(receipt?.notes).toEqual([expect.stringMatching(/^mutual_knn_euclidean, .* left out: too few atoms/)]);
  });

  test('elements with enough atoms are strata of their own', async () => {
    const { receipt } = await again({ strata: { rows: 20, metrics: ['mutual_knn_euclidean', 'linear_cka'] } });
    const strata = (await tableOf(receipt!)).rows.filter(({ stratum }) => stratum !== 'all');
    for (const row of strata) {
      expect(row.space).toBe('coordinates');
      expect(row.n).toBeGreaterThanOrEqual(20);
      expect(['none', 'within_element']).toContain(row.null);
    }
    expect(new Set(strata.map(({ metric }) => metric))).toEqual(
      strata.length > 0 ? new Set(['mutual_knn_euclidean', 'linear_cka']) : new Set(),
    );
  });
});

test('a list of rows keeps its order and ignores comments', () => {
  expect(parseRows('# atoms\nb:2\r\n\n a:b:10 \n', 'list')).toEqual([
    { materialId: 'b', atomIndex: 2 },
    { materialId: 'a:b', atomIndex: 10 },
  ]);
});

/** The three nearest of each row, by sorting all. */
function neighboursOf(rows: Float32Array[]): number[][] {
  return rows.map((row, i) =>
    rows
      .map((other, j) => ({ j, square: row.reduce((sum, value, c) => sum + (value - other[c]) ** 2, 0) }))
      .filter(({ j }) => j !== i)
      .sort((a, b) => a.square - b.square || a.j - b.j)
      .slice(0, 3)
      .map(({ j }) => j),
  );
}
