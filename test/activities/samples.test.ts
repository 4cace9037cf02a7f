import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ModelParts, PlanDocument, RunRef } from '../../activities/run/documents.js';
import { collectParts } from '../../activities/project/project.js';
import { Samples, SPACES } from '../../activities/pairs/samples.js';
import { readSettings } from '../../config/settings.js';
import { decodeCoordinates } from '../../datasets/tables/coordinates.js';
import { decodeEmbeddings } from '../../datasets/tables/embeddings.js';
import { decodeStructures, type StructureRow } from '../../datasets/tables/structures.js';
import { bundledStructures } from '../../structures/bundled/bundled.js';
import { activityDependencies, type OwnedDependencies } from '../../workers/dependencies.js';
import { describeShared } from '../support/shared.js';
import { StagePlace } from './stagePlace.js';

describeShared('samples', () => {
  let dependencies: OwnedDependencies;
  let place: StagePlace;
  let samples: Samples;
  let run: RunRef;
  let plan: PlanDocument;
  let parts: ModelParts;
  let structures: Map<string, StructureRow>;

  beforeAll(async () => {
    dependencies = activityDependencies(readSettings({ KOINE_THREADS: '1' }));
    place = new StagePlace(dependencies);
    const fewAtoms = bundledStructures().filter(({ atomicNumbers: { length } }) => length >= 2 && length <= 8);
    await place.source(fewAtoms.filter((_, i) => i % 20 === 0));
    const embedded = await place.embedded({ basis: { method: 'random', anchors: 4 } });
    ({ run, plan } = embedded);
    const basis = await place.basis(run, embedded.summary);
    await place.projected(run, embedded.summary, basis);
    parts = await collectParts(place.runs, run, basis, 'mace-random-tiny', place.work());
    const shards = await place.shards(plan.snapshot.snapshot);
    const rows = await Promise.all(shards.map(async ({ key }) => decodeStructures(await place.store.get(key))));
    structures = new Map(rows.flat().map((row) => [row.materialId, row]));
    samples = new Samples(place.runs);
  });
  afterAll(async () => {
    await place.close();
    await dependencies.close();
  });

  const draw = (sample: number, excluded: string[] = [], drawn = 0) =>
    samples.draw(run, plan, new Set(excluded), { sample, seed: 42, draws: [0, 1] }, drawn, place.work());

  test('take one atom of every symmetry orbit when they are large enough', async () => {
    const { rows, atomicNumbers } = await draw(10_000);
    const wanted = [...structures.values()].flatMap(({ materialId, orbits }) =>
      Array.from(new Set(orbits), (atomIndex) => ({ materialId, atomIndex })),
    );
    expect(new Set(rows.map((row) => JSON.stringify(row)))).toEqual(new Set(wanted.map((row) => JSON.stringify(row))));
    rows.forEach(({ materialId, atomIndex }, i) =>
      expect(atomicNumbers[i]).toBe(structures.get(materialId)?.atomicNumbers[atomIndex]),
    );
  });

  test('take one atom of every structure before a second of any', async () => {
    const { rows, rounds } = await draw(structures.size);
    expect(rounds).toBe(1);
    expect(new Set(rows.map(({ materialId }) => materialId)).size).toBe(structures.size);
  });

  test('leave out what is excluded, and repeat themselves for the same draw only', async () => {
    const [first] = structures.keys();
    const without = await draw(10_000, [first]);
    expect(without.rows.some(({ materialId }) => materialId === first)).toBe(false);
    expect(await draw(10)).toEqual(await draw(10));
    expect((await draw(10, [], 1)).rows).not.toEqual((await draw(10)).rows);
  });

  test.each(SPACES)('gather the %s of their rows, in their order', async (space) => {
    const sample = await draw(10_000);
    const { vectors, dim } = await samples.gather(run, parts, space, sample, place.work());
    const decode = space === 'coordinates' ? decodeCoordinates : decodeEmbeddings;
    const stored = await Promise.all(parts[space].map(async ({ key }) => decode(await place.store.get(key))));
    expect(vectors).toHaveLength(sample.rows.length * dim);
    sample.rows.forEach(({ materialId, atomIndex }, i) => {
      const part = stored.find(({ materialIds }) => materialIds.includes(materialId))!;
      const row = part.offsets[part.materialIds.indexOf(materialId)] + atomIndex;
      expect(vectors.subarray(i * dim, (i + 1) * dim)).toEqual(part.vectors.subarray(row * dim, (row + 1) * dim));
    });
  });

  test('of disjoint sides have the same elements and share no structure', async () => {
    const request = { sample: 12, seed: 42, draws: [2, 3] };
    const [source, target] = await samples.disjoint(run, plan, new Set(), request, 2, place.work());
    expect(source.rows.length).toBeGreaterThan(0);
    expect([...source.atomicNumbers].sort()).toEqual([...target.atomicNumbers].sort());
    const left = new Set(source.rows.map(({ materialId }) => materialId));
    expect(target.rows.some(({ materialId }) => left.has(materialId))).toBe(false);
  });

  test('are the same however many of the candidates fall out', async () => {
    const all = await draw(10_000);
    const most = [...structures.keys()].filter((_, i) => i % 4 !== 0); // more than the margin: the reach must grow
    const left = all.rows.filter(({ materialId }) => !most.includes(materialId));
    const sample = await draw(Math.min(6, left.length), most);
    expect(sample.rows).toHaveLength(Math.min(6, left.length));
    for (const row of sample.rows) expect(left).toContainEqual(row);
    const { vectors, dim } = await samples.gather(run, parts, 'coordinates', sample, place.work());
    expect(vectors).toHaveLength(sample.rows.length * dim);
  });

  test('that a user lists are those rows, less the excluded; an unknown or repeated atom is refused', async () => {
    const [first, second] = structures.keys();
    const atom = (materialId: string, atomIndex = 0) => ({ materialId, atomIndex });
    const listed = (atoms: { materialId: string; atomIndex: number }[], excluded: string[] = []) =>
      samples.listed(run, plan, new Set(excluded), atoms, place.work());
    expect((await listed([atom(second), atom(first, 1)])).rows).toEqual([atom(first, 1), atom(second)]);
    expect((await listed([atom(second), atom(first, 1)], [first])).rows).toEqual([atom(second)]);
    await expect(listed([atom('nowhere')])).rejects.toThrow(/the snapshot has no atom nowhere:0/);
    await expect(listed([atom(first, 99)])).rejects.toThrow(/has no atom \S+:99; the structure has \d+/);
    await expect(listed([atom(first), atom(first)])).rejects.toThrow(/1 atoms are named twice/);
  });

  test('name the structure a model has no vectors of', async () => {
    const sample = await draw(10_000);
    const none = { ...parts, coordinates: parts.coordinates.slice(1) };
    const gathered = samples.gather(run, none, 'coordinates', sample, place.work());
    await expect(gathered).rejects.toThrow(/mace-random-tiny has no coordinates of \S+/);
  });
});
