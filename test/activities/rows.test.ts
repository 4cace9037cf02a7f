import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RowChoice } from '../../activities/pairs/rows.js';
import type { PlanRef } from '../../activities/run/documents.js';
import { RunMemory, type PlannedRun } from '../../activities/run/openRun.js';
import { candidatesOf } from '../../activities/selection/candidates.js';
import { SPACES } from '../../config/names.js';
import { readSettings } from '../../config/settings.js';
import { decodeCoordinates } from '../../datasets/tables/coordinates.js';
import { decodeEmbeddings } from '../../datasets/tables/embeddings.js';
import { decodeStructures, type StructureRow } from '../../datasets/tables/structures.js';
import { rankRows } from '../../latent/samples/rows.js';
import { bundledStructures } from '../../structures/bundled/bundled.js';
import { activityDependencies, type OwnedDependencies } from '../../workers/dependencies.js';
import { tinyCard, tinyNetwork, writeModel, NAN_ELEMENT } from '../models/tinyNetwork.js';
import { StagePlace } from './stagePlace.js';

/** A network that refuses every structure with fluorine, and one that takes all; several pages of small shards. */
const MODELS = ['choosy', 'all'];
const FIELDS = {
  models: MODELS,
  basis: { method: 'random', anchors: 4 },
  similarity: { sample: 30, draws: 2, seed: 42 },
  transport: { sample: 12, draws: 2, seed: 42 },
  shards: { structures: 1 },
};

let dependencies: OwnedDependencies;
let place: StagePlace;
let run: PlannedRun;
let ref: PlanRef;
let basis: string;
let structures: Map<string, StructureRow>;

beforeAll(async () => {
  dependencies = activityDependencies(readSettings({ KOINE_THREADS: '1' }));
  place = new StagePlace(dependencies);
  const store = join(place.folder, 'models');
  for (const id of MODELS) {
    const onnx = tinyNetwork();
    const elements = Array.from({ length: 40 }, (_, k) => k + 1).filter((z) => id === 'all' || z !== 20);
    await writeModel(store, onnx, tinyCard(onnx, { id, elements }));
  }
  const simple = bundledStructures().filter(
    ({ atomicNumbers }) =>
      atomicNumbers.length <= 8 && atomicNumbers.every((z) => z <= 40 && z !== NAN_ELEMENT && z !== 10),
  );
  await place.source(simple.slice(0, 260));
  const planned = await place.embedded({ ...FIELDS, model_store: [store] });
  ref = planned.run;
  basis = await place.basis(ref, planned.summary);
  await place.projected(ref, planned.summary, basis);
  expect(planned.summary.pages).toBeGreaterThan(1);
  run = await new RunMemory(dependencies).planned(ref, place.work());
  const shards = await place.shards(planned.plan.snapshot.snapshot);
  const rows = await Promise.all(shards.map(async ({ key }) => decodeStructures(await place.store.get(key))));
  structures = new Map(rows.flat().map((row) => [row.materialId, row]));
});
afterAll(async () => {
  await place.close();
  await dependencies.close();
});

const refused = ({ atomicNumbers }: StructureRow) => atomicNumbers.includes(20);
/** Rows of a draw by going through all structures at once: what pages must give, whatever they are. */
const expected = (n: number, draw: number, leaveOut: (structure: StructureRow) => boolean) =>
  rankRows(
    [...structures.values()]
      .filter((structure) => !leaveOut(structure))
      .map(({ materialId, orbits }) => ({
        materialId,
        representatives: orbits.filter((first, atom) => first === atom),
      })),
    n,
    42,
    draw,
  ).map(({ materialId, atomIndex }) => `${materialId}:${atomIndex}`);
const names = (rows: readonly { materialId: string; atomIndex: number }[]) =>
  rows.map(({ materialId, atomIndex }) => `${materialId}:${atomIndex}`);

test.each([
  ['both models', MODELS, refused],
  ['the model that takes all', ['all'], () => false],
] as const)('rows for %s are the lowest among structures that they embedded', async (_, models, leaveOut) => {
  const choice = new RowChoice(run, basis, models);
  for (const draw of [0, 1]) {
    const { rows, atomicNumbers, places } = await choice.draw({ sample: 30, seed: 42, draw });
    const wanted = expected(30, draw, leaveOut);
    expect(new Set(names(rows))).toEqual(new Set(wanted));
    const inOrder = [...places.keys()].sort((a, b) => places[a] - places[b]).map((at) => names(rows)[at]);
    expect(inOrder).toEqual(wanted);
    rows.forEach(({ materialId, atomIndex }, i) =>
      expect(atomicNumbers[i]).toBe(structures.get(materialId)?.atomicNumbers[atomIndex]),
    );
  }
});

test('more rows than candidates were selected for are found all the same', async () => {
  const choice = new RowChoice(run, basis, MODELS);
  const { rows } = await choice.draw({ sample: 100_000, seed: 42, draw: 0 });
  expect(new Set(names(rows))).toEqual(new Set(expected(100_000, 0, refused)));
});

test.each(SPACES)('the %s of rows are those of the parts, in their order', async (space) => {
  const choice = new RowChoice(run, basis, MODELS);
  const sample = await choice.draw({ sample: 30, seed: 42, draw: 0 });
  const decode = space === 'coordinates' ? decodeCoordinates : decodeEmbeddings;
  const keys = (await place.keys(`${space}/`)).filter((key) => key.includes('model=choosy/'));
  const stored = await Promise.all(keys.map(async (key) => decode(await place.store.get(key))));
  const { vectors, dim } = await choice.vectors('choosy', space, sample);
  expect(vectors).toHaveLength(sample.rows.length * dim);
  sample.rows.forEach(({ materialId, atomIndex }, i) => {
    const part = stored.find(({ materialIds }) => materialIds.includes(materialId))!;
    const row = part.offsets[part.materialIds.indexOf(materialId)] + atomIndex;
    expect(vectors.subarray(i * dim, (i + 1) * dim)).toEqual(part.vectors.subarray(row * dim, (row + 1) * dim));
  });
});

test('disjoint sides have the same elements and share no structure', async () => {
  const [source, target] = await new RowChoice(run, basis, MODELS).disjoint({ sample: 12, seed: 42, draw: 2 });
  expect(source.rows.length).toBeGreaterThan(0);
  expect([...source.atomicNumbers].sort()).toEqual([...target.atomicNumbers].sort());
  const left = new Set(source.rows.map(({ materialId }) => materialId));
  expect(target.rows.some(({ materialId }) => left.has(materialId))).toBe(false);
});

test('rows that a user lists are those, less what a model refused', async () => {
  const taken = [...structures.values()].filter((row) => !refused(row)).slice(0, 2);
  const [left] = [...structures.values()].filter(refused);
  const lines = [`${taken[1].materialId}:0`, `${left.materialId}:0`, `${taken[0].materialId}:1`];
  await writeFile(join(place.folder, 'rows.txt'), lines.join('\n'));
  const fields = { ...FIELDS, model_store: [join(place.folder, 'models')] };
  const rows = join(place.folder, 'rows.txt');
  const planned = await place.embedded({ ...fields, similarity: { ...FIELDS.similarity, rows } });
  await place.projected(planned.run, planned.summary, basis);
  const listed = await new RunMemory(dependencies).planned(planned.run, place.work());
  const sample = await new RowChoice(listed, basis, MODELS).listed();
  expect(names(sample.rows)).toEqual([lines[2], lines[0]].sort());
  expect((await candidatesOf(listed)).listed).toHaveLength(3);
});
