import { mkdtempSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { FAILURES } from '../../config/names.js';
import { readSettings } from '../../config/settings.js';
import { isDerivedFrom } from '../../datasets/keys.js';
import { readJson } from '../../datasets/json.js';
import type { PartEntry } from '../../datasets/manifest.js';
import { atypicalTable } from '../../datasets/tables/atypical.js';
import { decodeEmbeddings } from '../../datasets/tables/embeddings.js';
import { errorPredictionTable } from '../../datasets/tables/errorPrediction.js';
import { decodeStructures } from '../../datasets/tables/structures.js';
import { verifyDataset } from '../../datasets/verify.js';
import { numberGroups } from '../../latent/base/groups.js';
import { rankPrediction } from '../../latent/statistics/rankPrediction.js';
import { controlModel } from '../../models/controls.js';
import { bundledStructures } from '../../structures/bundled/bundled.js';
import { activityDependencies, type OwnedDependencies } from '../../workers/dependencies.js';
import { NAN_ELEMENT, tinyCard, tinyNetwork, writeModel, ZERO_ELEMENT } from '../models/tinyNetwork.js';
import { StagePlace } from './stagePlace.js';

const REPLICATES = 40;
/** Of the networks' cards. */
const ELEMENTS = Array.from({ length: 40 }, (_, k) => k + 1);

let models: string;
let dependencies: OwnedDependencies;
let place: StagePlace;
beforeAll(async () => {
  models = mkdtempSync(join(tmpdir(), 'koine-judgement-'));
  dependencies = activityDependencies(readSettings({ KOINE_THREADS: '1' }));
  const [plain, tilted] = [tinyNetwork(), tinyNetwork(false, true)];
  await writeModel(models, plain, tinyCard(plain, { id: 'plain', lineage: 'plain', elements: ELEMENTS }));
  await writeModel(models, tilted, tinyCard(tilted, { id: 'tilted', lineage: 'tilted', elements: ELEMENTS }));
  const { card, onnx } = controlModel({ kind: 'random-element', id: 'mute', seed: 1, dim: 6 });
  await writeModel(models, onnx, card);
});
afterAll(async () => {
  await dependencies.close();
  await rm(models, { recursive: true, force: true });
});
beforeEach(async () => {
  place = new StagePlace(dependencies);
  const crystals = bundledStructures().filter(
    ({ atomicNumbers: z }) =>
      z.length >= 2 &&
      z.length <= 6 &&
      z.every((one) => ELEMENTS.includes(one) && one !== NAN_ELEMENT && one !== ZERO_ELEMENT),
  );
  await place.source(crystals.slice(0, 24), 'many.extxyz');
  await place.source(crystals.slice(24, 34), 'few.extxyz');
});
afterEach(() => place.close());

/** A run that judges both networks by labels of `labels.csv`. */
const judging = (fields: Record<string, unknown> = {}) => ({
  models: ['plain', 'tilted'],
  model_store: [models],
  source: ['many', 'few'].map((name) => ({ path: join(place.folder, `${name}.extxyz`) })),
  shards: { structures: 16 },
  basis: { anchors: 4, method: 'random' },
  similarity: { sample: 20, draws: 1, neighbours: 2, metrics: ['mutual_knn_euclidean'], nulls: { permutations: 19 } },
  transport: { sample: 20, draws: 1, baselines: [] },
  diagnostics: {
    ...Object.fromEntries(
      ['spaces', 'symmetry', 'element_bias', 'arithmetic', 'drift'].map((name) => [name, { enabled: false }]),
    ),
    bootstrap: REPLICATES,
    atypical: { reference: 40, neighbours: 2, judge: [{ label: 'dft', models: ['plain', 'tilted'] }] },
    stitching: {
      enabled: false,
      labels: [{ name: 'dft', path: join(place.folder, 'labels.csv'), column: 'energy', per: 'structure' }],
    },
  },
  ...fields,
});

interface EmbedReceipt {
  outputs: { embeddings: PartEntry | null };
  energies: number[];
}

/** Total energies by a network, as its receipts have them. */
async function energiesBy(model: string): Promise<Map<string, number>> {
  const energies = new Map<string, number>();
  for (const key of await place.keys('receipts/embed/')) {
    const receipt = (await readJson<EmbedReceipt>(place.store, key))!;
    const part = receipt.outputs.embeddings?.key;
    if (!part?.includes(`/model=${model}/`)) continue;
    const { materialIds } = decodeEmbeddings(await place.store.get(part));
    materialIds.forEach((id, s) => energies.set(id, receipt.energies[s]));
  }
  return energies;
}

/** Labels such that network `tilted` makes no error. */
async function labelsByTilted(): Promise<void> {
  await writeFile(join(place.folder, 'labels.csv'), 'material_id,energy\nnone,1\n');
  await place.embedded(judging());
  const lines = [...(await energiesBy('tilted'))].map(([id, energy]) => `${id},${energy}`);
  await writeFile(join(place.folder, 'labels.csv'), `material_id,energy\n${lines.join('\n')}\n`);
}

/** A run up to its diagnostics; the items of each that were computed. */
async function diagnosed(fields: Record<string, unknown>) {
  const { request, run, summary, plan } = await place.embedded(fields);
  const basis = await place.basis(run, summary);
  await place.projected(run, summary, basis);
  const tallies = await place.diagnosed(run, summary, basis);
  const computed = Object.fromEntries(Object.entries(tallies).map(([stage, tally]) => [stage, tally.computed]));
  return { request, run, plan, basis, computed };
}

const judgementKeys = async () => (await place.keys('error_prediction/')).filter((key) => key.endsWith('.parquet'));

test('the energy of another model foretells the error exactly where that one is right; other scores are those of the tables', async () => {
  await labelsByTilted();
  const { request, run, basis, computed, plan } = await diagnosed(judging());
  expect(computed.judgement).toBe(2);
  await place.map({ stage: 'similarity', run, basis }, 1);
  await place.map({ stage: 'transport', run, basis }, 1);
  const { warnings } = await place.stages.publish(request, run, basis, place.work());
  expect(warnings.join('\n')).toContain('tilted, label dft: nothing to judge; it takes 20 structures');
  expect((await verifyDataset(place.store)).filter(({ ok }) => !ok)).toEqual([]);

  const [plain, tilted] = [await energiesBy('plain'), await energiesBy('tilted')];
  const structures = [];
  for (const { key } of await place.shards(plan.snapshot.snapshot))
    structures.push(...decodeStructures(await place.store.get(key)).filter(({ materialId }) => plain.has(materialId)));
  structures.sort((a, b) => (a.materialId < b.materialId ? -1 : 1));
  const many = structures.filter(({ source }) => source.startsWith('many.extxyz'));
  expect(many.length).toBeGreaterThanOrEqual(20);

  const rows = [];
  for (const key of await judgementKeys())
    rows.push(...(await errorPredictionTable.decode(await place.store.get(key))).rows);
  expect(new Set(rows.map(({ model, label }) => `${model} ${label}`))).toEqual(new Set(['plain dft']));
  expect(new Set(rows.map(({ subset, n }) => `${subset} ${n}`))).toEqual(
    new Set([`all ${structures.length}`, `many.extxyz ${many.length}`]),
  );
  for (const { value, low, high } of rows.filter(({ score }) => score === 'energy_gap'))
    expect([value, low, high]).toEqual([1, 1, 1]);
  const card = Buffer.from(await place.store.get('README.md')).toString();
  expect(card).toMatch(
    new RegExp(`\\| \`plain\` \\| dft \\| ${structures.length} \\| .* \\| 1\\.00 \\[1\\.00, 1\\.00\\] \\|`),
  );

  // The same figures from what is published.
  const atypical = new Map<string, { novelty: number; cosine: number; disagreement: number }>();
  for (const key of await place.keys('atypical/')) {
    if (!/model=(plain|all)\/.*parquet$/.test(key)) continue;
    for (const row of (await atypicalTable.decode(await place.store.get(key))).rows) {
      if (row.level === 'atom') continue;
      const known = atypical.get(row.material_id) ?? { novelty: NaN, cosine: NaN, disagreement: NaN };
      atypical.set(row.material_id, {
        novelty: row.novelty ?? known.novelty,
        cosine: row.anchor_cosine ?? known.cosine,
        disagreement: row.disagreement ?? known.disagreement,
      });
    }
  }
  const errors = structures.map(
    ({ materialId: id, atomicNumbers: { length: n } }) => Math.abs(plain.get(id)! - tilted.get(id)!) / n,
  );
  const scores = {
    novelty: structures.map(({ materialId }) => atypical.get(materialId)!.novelty),
    anchor_cosine: structures.map(({ materialId }) => -atypical.get(materialId)!.cosine),
    disagreement: structures.map(({ materialId }) => atypical.get(materialId)!.disagreement),
    n_atoms: structures.map(({ atomicNumbers }) => atomicNumbers.length),
  };
  const clusters = numberGroups(structures.map(({ formula }) => formula));
  for (const [score, values] of Object.entries(scores)) {
    const expected = rankPrediction(values, errors, clusters, REPLICATES, 42)!;
    for (const metric of ['spearman', 'auroc'] as const) {
      const found = rows.find((row) => row.score === score && row.metric === metric && row.subset === 'all')!;
      for (const end of ['value', 'low', 'high'] as const) expect(found[end]).toBeCloseTo(expected[metric][end]!, 12);
      expect(found.formulas).toBe(clusters.count);
      expect(found.mean_error).toBeCloseTo(errors.reduce((sum, error) => sum + error, 0) / errors.length, 12);
    }
  }
  for (const score of ['element_rarity', 'composition_distance'])
    expect(rows.filter((row) => row.score === score && row.other_model === null)).toHaveLength(4);
}, 120_000);

test('a judgement is found again, and made anew with the labels or the models that disagree; it belongs to all models', async () => {
  await labelsByTilted();
  expect((await diagnosed(judging())).computed.judgement).toBe(2);
  expect((await diagnosed(judging())).computed.judgement).toBe(0);
  for (const key of await judgementKeys()) expect(isDerivedFrom(key, 'tilted'), key).toBe(true);
  expect((await diagnosed(judging({ models: ['plain', 'tilted', 'mute'] }))).computed.judgement).toBe(2);
  const energies = [...(await energiesBy('plain'))].map(([id], at) => `${id},${at}`);
  await writeFile(join(place.folder, 'labels.csv'), `material_id,energy\n${energies.join('\n')}\n`);
  expect((await diagnosed(judging())).computed).toMatchObject({ judgement: 2, novelty: 0, atypical: 0 });
}, 120_000);

test('a model that gives no energy is refused when the run is planned', async () => {
  await writeFile(join(place.folder, 'labels.csv'), 'material_id,energy\nnone,1\n');
  const { diagnostics } = judging();
  const atypical = { judge: [{ label: 'dft', models: ['mute'] }] };
  const planned = place.plan(judging({ models: ['plain', 'mute'], diagnostics: { ...diagnostics, atypical } }));
  await expect(planned).rejects.toMatchObject({ type: FAILURES.invalidInput });
  await expect(planned).rejects.toThrow(
    "diagnostics.atypical.judge[0].models: model 'mute' gives no energy (its card has no output node_energy)",
  );
});
