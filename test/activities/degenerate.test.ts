import { mkdtempSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Published } from '../../activities/publish/publish.js';
import { FAILURES } from '../../config/names.js';
import { SIMILARITY_METRICS } from '../../config/names.js';
import { readSettings } from '../../config/settings.js';
import { decodeAnchorVectors } from '../../datasets/tables/anchorVectors.js';
import { decodeCoordinates } from '../../datasets/tables/coordinates.js';
import { decodeEmbeddings } from '../../datasets/tables/embeddings.js';
import { ROW_TABLES } from '../../datasets/tables/schemas.js';
import { decodeStructureVectors } from '../../datasets/tables/structureVectors.js';
import { decodeTransportBarycentric } from '../../datasets/tables/transportBarycentric.js';
import { verifyDataset } from '../../datasets/verify.js';
import { encodeOnnxModel } from '../../onnx/writer.js';
import { controlModel } from '../../models/controls.js';
import { sha256Hex } from '../../models/store.js';
import type { Structure } from '../../structures/structure.js';
import { activityDependencies, type OwnedDependencies } from '../../workers/dependencies.js';
import { crystal, NAN_ELEMENT, tinyCard, tinyNetwork, writeModel } from '../models/tinyNetwork.js';
import { StagePlace } from './stagePlace.js';

type Row = Record<string, string | number | null>;
type Tables = Record<string, Row[]>;

let models: string;
let dependencies: OwnedDependencies;
let place: StagePlace;
let published: Published;
beforeAll(async () => {
  models = mkdtempSync(join(tmpdir(), 'koine-degenerate-'));
  dependencies = activityDependencies(readSettings({ KOINE_THREADS: '1' }));
  for (const [id, onnx] of [
    ['tiny', tinyNetwork()],
    ['twin', tinyNetwork()],
    ['tilted', tinyNetwork(false, true)],
  ] as const)
    await writeModel(models, onnx, tinyCard(onnx, { id }));
  const { card, onnx } = controlModel({ kind: 'one-hot', id: 'one-hot', seed: 0, dim: 0 });
  await writeModel(models, onnx, card);
  const same = constantNetwork(card.inputs, card.embedding.dim);
  await writeModel(models, same, {
    ...card,
    id: 'constant',
    lineage: 'constant',
    onnx_sha256: sha256Hex(same),
    onnx_bytes: same.length,
  });
});
afterAll(async () => {
  await dependencies.close();
  await rm(models, { recursive: true, force: true });
});
beforeEach(() => (place = new StagePlace(dependencies)));
afterEach(() => place.close());

/** A network that gives every atom the same vector. */
function constantNetwork(inputs: ReturnType<typeof controlModel>['card']['inputs'], dim: number): Uint8Array {
  const table = new Float32Array(119 * dim).map((_, at) => 1 + (at % dim));
  return encodeOnnxModel({
    name: 'constant',
    inputs: inputs,
    outputs: { node_embedding: { type: 'float32', shape: ['n_atoms', dim] } },
    constants: { table: { shape: [119, dim], data: table } },
    nodes: [{ op: 'Gather', inputs: ['table', 'atomic_numbers'], outputs: ['node_embedding'] }],
  });
}

/** Everything that a run asks for, as small as it goes: all metrics, both designs, all baselines, all diagnostics. */
const everything = {
  basis: { anchors: 4, method: 'random' },
  similarity: {
    sample: 20,
    draws: 2,
    neighbours: 2,
    metrics: [...SIMILARITY_METRICS],
    nulls: { permutations: 19, metrics: ['mutual_knn_euclidean', 'linear_cka', 'angular_procrustes'] },
    strata: { rows: 20 },
    replicates: 20,
  },
  transport: { sample: 20, draws: 2, baselines: ['orthogonal', 'gromov'] },
  diagnostics: { symmetry: { structures: 4, rotations: 1 }, bootstrap: 40 },
};

/** A whole run, stage by stage, as the workflow has them; every row of every published table. */
async function publishedTables(structures: readonly Structure[], fields: Record<string, unknown>): Promise<Tables> {
  await place.source(structures);
  const { request, run, summary } = await place.embedded({ model_store: [models], ...everything, ...fields });
  const basis = await place.basis(run, summary);
  await place.projected(run, summary, basis);
  await place.map({ stage: 'similarity', run, basis }, summary.pairs);
  await place.map({ stage: 'transport', run, basis }, summary.pairs);
  await place.diagnosed(run, summary, basis);
  published = await place.stages.publish(request, run, basis, place.work());
  expect((await verifyDataset(place.store)).filter(({ ok }) => !ok)).toEqual([]);

  const tables: Tables = {};
  for (const [table, rowTable] of Object.entries(ROW_TABLES))
    for (const key of await place.keys(`${table}/`))
      if (key.endsWith('.parquet'))
        (tables[table] ??= []).push(...(await rowTable.decode(await place.store.get(key))).rows);
  for (const [table, rows] of Object.entries(tables)) for (const row of rows) expectFinite(row, table);
  const vectors = {
    embeddings: (bytes: Uint8Array) => decodeEmbeddings(bytes).vectors,
    coordinates: (bytes: Uint8Array) => decodeCoordinates(bytes).vectors,
    structure_vectors: (bytes: Uint8Array) => decodeStructureVectors(bytes).means,
    transport_barycentric: (bytes: Uint8Array) => {
      const { images, residuals } = decodeTransportBarycentric(bytes);
      return Float32Array.of(...images, ...residuals);
    },
    bases: (bytes: Uint8Array) => decodeAnchorVectors(bytes).vectors,
  };
  for (const [folder, decode] of Object.entries(vectors)) {
    const parts = (await place.keys(`${folder}/`)).filter((key) => /part-[^/]+\.parquet$/.test(key));
    expect(parts, folder).not.toEqual([]);
    for (const key of parts) expect(decode(await place.store.get(key)).every(Number.isFinite), key).toBe(true);
  }
  return tables;
}

/** Every number of a row is one. */
function expectFinite(row: Row, table: string): void {
  for (const [column, value] of Object.entries(row))
    if (typeof value === 'number') expect(Number.isFinite(value), `${table}.${column} is ${value}`).toBe(true);
}

/** Structures of several lists with ids of their own. */
const renumbered = (structure: Structure, i: number): Structure => ({ ...structure, materialId: `structure-${i}` });

/** Cubic crystals of atoms on a diagonal, no two alike. */
function diagonals(...compositions: number[][]): Structure[] {
  return compositions.map((atomicNumbers, i) => ({
    materialId: `diagonal-${String(i).padStart(3, '0')}`,
    source: 'test',
    ...crystal(atomicNumbers, 3 + 0.05 * i),
  }));
}

const crystals = (count: number, composition: (i: number) => number[]) =>
  diagonals(...Array.from({ length: count }, (_, i) => composition(i)));
/** 3 atoms each, of 5, 7 and 11 elements. */
const mixed = crystals(30, (i) => [3 + (i % 5), 11 + (i % 7), 19 + (i % 11)]);
/** What the tiny network gives NaN on. */
const fluorides = crystals(6, (i) => [NAN_ELEMENT, 11 + i]);

/** Values of a metric over all rows of the draws, without nulls. */
const valuesOf = ({ similarity }: Tables, metric: string) =>
  similarity
    .filter((row) => row.metric === metric && row.stratum === 'all' && row.null === 'none')
    .map(({ value }) => value as number);

test('one structure of several atoms: scores need a second structure, and are null without', async () => {
  const tables = await publishedTables(diagonals([11, 17, 8, 26]), { models: ['tiny', 'tilted'] });
  expect(tables.transport_summary.map(({ design }) => design)).not.toContain('disjoint'); // no other structure to face
  for (const { novelty, novelty_percentile } of tables.atypical)
    expect([novelty, novelty_percentile]).toEqual([null, null]);
  for (const table of ['element_bias', 'arithmetic', 'analogies', 'stitching'])
    expect(tables[table], table).toEqual([]);
});

test('one atom: nothing to compare, and the run says why', async () => {
  const tables = await publishedTables(diagonals([26]), {
    models: ['tiny', 'tilted'],
    basis: { anchors: 1, method: 'random' },
  });
  expect(tables.similarity).toEqual([]);
  expect(published.warnings.filter((warning) => /too few atoms to compare/.test(warning))).toHaveLength(1);
  for (const { alignment_ratio, identity_mass, identity_chance } of tables.transport_summary)
    expect([alignment_ratio, identity_mass, identity_chance]).toEqual([null, 1, 1]);
  for (const { intrinsic_dimension, hubness, element_share } of tables.model_diagnostics)
    expect([intrinsic_dimension, hubness, element_share]).toEqual([null, null, null]);
});

test('one element: a model of composition is one point, on which nothing can be found', async () => {
  const tables = await publishedTables(
    crystals(12, (i) => Array<number>(1 + (i % 4)).fill(14)),
    { models: ['tiny', 'tilted', 'one-hot'] },
  );
  const blind = tables.transport_summary.filter(
    (row) => row.model_b === 'one-hot' && row.design === 'same' && row.space === 'coordinates',
  );
  expect(blind).not.toEqual([]);
  for (const { alignment_ratio, identity_mass, identity_chance, element_match_mass } of blind) {
    expect(alignment_ratio).toBeNull();
    expect(identity_mass).toBeCloseTo(identity_chance as number, 9);
    expect(element_match_mass).toBeCloseTo(1, 9);
  }
  // its vectors tell nothing and cannot be reconstructed: no perfect reconstruction either
  for (const metric of ['gfre', 'lfre']) {
    const ways = tables.similarity.filter((row) => row.model_b === 'one-hot' && String(row.metric).startsWith(metric));
    expect(new Set(ways.map((row) => row.metric))).toEqual(new Set([`${metric}_b_to_a`]));
  }
  const notes = published.warnings.filter((warning) => /one-hot.*gfre_a_to_b of embeddings left out/.test(warning));
  expect(notes).toHaveLength(2);
  for (const row of tables.model_diagnostics.filter(({ model }) => model === 'one-hot'))
    expect([row.intrinsic_dimension, row.element_share]).toEqual([null, null]);
});

test.each(['direct', 'random', 'farthest-point', 'kmeans++', 'element-stratified'])(
  'more anchors than atoms are refused by %s with both numbers',
  async (method) => {
    await place.source(diagonals([11, 17], [11, 8, 8]));
    const { run, summary } = await place.embedded({
      model_store: [models],
      models: ['tiny'],
      basis: { anchors: 6, method },
    });
    const refused = place.basis(run, summary);
    await expect(refused).rejects.toMatchObject({ type: FAILURES.invalidInput, nonRetryable: true });
    await expect(refused).rejects.toThrow(/^basis\.anchors: .*\b6 anchors\b|^basis\.anchors: .*\b6\b.*\b5\b/);
  },
);

test('two ids of one network: all that can be equal is', async () => {
  const tables = await publishedTables(mixed, {
    models: ['tiny', 'twin'],
    diagnostics: { ...everything.diagnostics, drift: { pairs: [['tiny', 'twin']] } },
  });
  for (const metric of ['mutual_knn_euclidean', 'cknna', 'linear_cka', 'unbiased_linear_cka', 'distance_correlation'])
    for (const value of valuesOf(tables, metric)) expect(value).toBeCloseTo(1, 9);
  for (const metric of ['angular_procrustes', 'gfre_a_to_b', 'gfre_b_to_a'])
    for (const value of valuesOf(tables, metric)) expect(value).toBeCloseTo(0, 6);
  for (const row of tables.transport_summary.filter(
    ({ design, space }) => design === 'same' && space === 'coordinates',
  ))
    expect(row).toMatchObject({ cost: 0, paired_cost: 0, alignment_ratio: 0 });
  for (const { metric, value } of tables.drift) expect(value).toBeCloseTo(metric === 'shared_neighbours' ? 1 : 0, 9);
  for (const { bias, own_bias } of tables.element_bias) expect([bias, own_bias]).toEqual([0, 0]);
  expect(new Set(tables.stitching.flatMap(({ model_a, model_b }) => [model_a, model_b]))).toEqual(
    new Set(['tiny', 'twin']),
  );
});

test('constant embeddings: no similarity, no atom found beyond chance, a warning', async () => {
  const path = join(place.folder, 'labels.csv');
  await writeFile(path, ['id,label', ...mixed.map(({ materialId }) => `${materialId},-1.5`)].join('\n'));
  const tables = await publishedTables(mixed, {
    models: ['tiny', 'constant'],
    diagnostics: {
      ...everything.diagnostics,
      drift: { pairs: [['tiny', 'constant']] },
      stitching: { labels: [{ name: 'flat', path, column: 'label' }] },
    },
  });
  expect(tables.drift.length).toBeGreaterThan(0);
  const flat = tables.stitching.filter(({ target }) => target === 'flat');
  expect(flat).not.toEqual([]);
  for (const { mean_error, gap } of flat) expect([mean_error, gap]).toEqual([0, null]); // nothing to predict
  for (const metric of ['linear_cka', 'unbiased_linear_cka', 'cknna', 'distance_correlation'])
    for (const value of valuesOf(tables, metric)) expect(value).toBeCloseTo(0, 9);
  for (const value of valuesOf(tables, 'angular_procrustes')) expect(value).toBeCloseTo(Math.PI / 2, 9);
  for (const { design, space, ...row } of tables.transport_summary) {
    if (space !== 'coordinates') continue;
    expect(row.alignment_ratio).toBeNull();
    if (design === 'same') expect(row.identity_mass).toBeCloseTo(row.identity_chance as number, 9);
    expect(row.element_match_mass).toBeCloseTo(row.element_match_chance as number, 9);
  }
  expect(published.warnings.some((warning) => /^constant, embeddings: .*cosine of 1\.00/.test(warning))).toBe(true);
});

test('constant embeddings have no direction from the mean of their anchors: centring them is refused', async () => {
  await expect(
    publishedTables(mixed, { models: ['tiny', 'constant'], coordinates: { centre: 'anchors' } }),
  ).rejects.toThrow(/^coordinates\.centre: model constant has vectors that equal the mean of its anchors/);
});

test('constant embeddings hold no anchors but one', async () => {
  await place.source(mixed);
  const { run, summary } = await place.embedded({ model_store: [models], models: ['constant'], basis: { anchors: 4 } });
  await expect(place.basis(run, summary)).rejects.toMatchObject({ type: FAILURES.invalidInput, nonRetryable: true });
});

test('structures on which a model gives NaN are quarantined, by name; the rest goes on without them', async () => {
  const tables = await publishedTables([...mixed, ...fluorides].map(renumbered), { models: ['tiny', 'one-hot'] });
  const refused = tables.quarantine.filter(({ model }) => model === 'tiny');
  expect(refused).toHaveLength(fluorides.length);
  const left = new Set(tables.similarity_rows.map(({ material_id }) => material_id));
  for (const { code, message, material_id } of refused) {
    expect(left.has(material_id)).toBe(false);
    expect(code).toBe('non_finite_embedding');
    expect(message).toMatch(/holds NaN/);
  }
});

test('a model that gives NaN on every structure is left without anchors: the run says so', async () => {
  await place.source(fluorides);
  const { run, summary } = await place.embedded({ model_store: [models], ...everything, models: ['tiny', 'one-hot'] });
  await expect(place.basis(run, summary)).rejects.toMatchObject({ type: FAILURES.invalidInput, nonRetryable: true });
});
