import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { PlanRef, PlanSummary, RequestRef, SnapshotDocument } from '../../activities/run/documents.js';
import { FAILURES } from '../../config/names.js';
import { readSettings } from '../../config/settings.js';
import { readJson } from '../../datasets/json.js';
import { snapshotDocument } from '../../datasets/keys.js';
import { decodeAnchorVectors } from '../../datasets/tables/anchorVectors.js';
import { decodeCoordinates } from '../../datasets/tables/coordinates.js';
import { decodeEmbeddings } from '../../datasets/tables/embeddings.js';
import { decodeStructureVectors } from '../../datasets/tables/structureVectors.js';
import { decodeStructures } from '../../datasets/tables/structures.js';
import { activityDependencies, type OwnedDependencies } from '../../workers/dependencies.js';
import { bundledStructures } from '../../structures/bundled/bundled.js';
import type { Structure } from '../../structures/structure.js';
import { digests } from '../orchestration/koine.js';
import { describeShared } from '../support/shared.js';
import { StagePlace } from './stagePlace.js';

/** Bundled crystals of two to eight atoms. */
const crystals = (count: number): Structure[] =>
  bundledStructures()
    .filter(({ atomicNumbers: { length } }) => length >= 2 && length <= 8)
    .slice(0, count);

describeShared('stages without an engine', () => {
  let dependencies: OwnedDependencies;
  let place: StagePlace;
  beforeAll(() => (dependencies = activityDependencies(readSettings({ KOINE_THREADS: '1' }))));
  afterAll(() => dependencies.close());
  beforeEach(() => (place = new StagePlace(dependencies)));
  afterEach(() => place.close());

  /** Pairs and diagnostics of a run whose models are projected, and its manifest. */
  const published = async (
    { request, run, summary }: { request: RequestRef; run: PlanRef; summary: PlanSummary },
    basis: string,
  ) => {
    await place.map({ stage: 'similarity', run, basis }, summary.pairs);
    await place.map({ stage: 'transport', run, basis }, summary.pairs);
    await place.stages.publish(request, run, basis, place.work());
  };

  describe('snapshot', () => {
    test('holds every structure of the sources once, in shards sorted by id', async () => {
      await place.source([...crystals(20), ...crystals(3)]);
      const { snapshot, structures } = await place.snapshot(await place.request({}));
      const entries = await place.shards(snapshot);
      const rows = await Promise.all(entries.map(async ({ key }) => decodeStructures(await place.store.get(key))));
      const ids = rows.flat().map(({ materialId }) => materialId);
      expect(ids).toEqual(
        crystals(20)
          .map(({ materialId }) => materialId)
          .sort(),
      );
      expect(entries.map(({ first, last }) => [first, last])).toEqual(
        rows.map((shard) => [shard[0].materialId, shard.at(-1)?.materialId]),
      );
      expect(structures).toBe(20);
      const document = await readJson<SnapshotDocument>(place.store, snapshotDocument(snapshot));
      expect(document).toMatchObject({ structures: 20, shards: entries.length, duplicates: 3 });
    });

    test('of files that did not change is read once', async () => {
      await place.source(crystals(10));
      const request = await place.request({});
      const first = await place.snapshot(request);
      const before = digests(place.output);
      place.restart();
      const again = await place.snapshot(request);
      expect([first, again].map(({ read }) => [read.done, read.reused])).toEqual([
        [1, 0],
        [1, 1],
      ]);
      expect(digests(place.output)).toEqual(before);
    });

    test('sees a file that changed, and leaves the snapshot of before as it was', async () => {
      await place.source(crystals(10));
      const request = await place.request({});
      const first = await place.snapshot(request);
      const before = digests(place.output, `snapshots/${first.snapshot}`);
      await place.source(crystals(11));
      const second = await place.snapshot(request);
      expect([second.read.done, second.read.reused]).toEqual([1, 0]);
      expect(second.snapshot).not.toBe(first.snapshot);
      expect(second.structures).toBe(11);
      expect(await place.keys('receipts/read/')).toHaveLength(2);
      expect(digests(place.output, `snapshots/${first.snapshot}`)).toEqual(before);
    });

    test.each(['bin', 'json'])('reads a file again where the %s of its chunk is gone', async (extension) => {
      await place.source(crystals(10));
      const request = await place.request({});
      const first = await place.snapshot(request);
      const before = digests(place.output);
      const chunk = (await place.keys('intermediate/chunks/')).find((key) => key.endsWith(extension));
      await place.store.delete([chunk!]);
      place.restart();
      const { read, ...again } = await place.snapshot(request);
      expect([read.done, read.reused]).toEqual([1, 0]);
      expect({ ...again, read: first.read }).toEqual(first);
      expect(digests(place.output)).toEqual(before);
    });

    test.each<[string, string, (key: string) => Promise<void>]>([
      ['shard is deleted', 'structures/', (key) => place.store.delete([key])],
      ['shard is cut short', 'structures/', (key) => truncate(join(place.output, key), 100)],
      ['list of shards is deleted', 'shards/', (key) => place.store.delete([key])],
    ])('is written again where a %s', async (_, folder, damage) => {
      await place.source(crystals(20));
      const request = await place.request({});
      const { snapshot } = await place.snapshot(request);
      const before = digests(place.output);
      await damage((await place.keys(`snapshots/${snapshot}/${folder}`))[0]);
      place.restart();
      expect((await place.snapshot(request)).snapshot).toBe(snapshot);
      expect(digests(place.output)).toEqual(before);
    });

    test('of sources without a usable structure is refused with the first reason', async () => {
      await place.source([{ ...crystals(1)[0], lattice: new Float64Array(9) }]);
      const snapshot = place.snapshot(await place.request({}));
      await expect(snapshot).rejects.toMatchObject({ type: FAILURES.invalidInput });
      await expect(snapshot).rejects.toThrow(/no usable structure \(1 quarantined, the first: source\.extxyz/);
    });
  });

  describe('embed', () => {
    const MODEL = 'mace-random-tiny';

    test('is done once for a shard', async () => {
      await place.source(crystals(12));
      const { run, summary } = await place.embedded({});
      const before = digests(place.output);
      place.restart();
      for (let item = 0; item < summary.shards; item++)
        expect(await place.embed(run, item)).toMatchObject({ done: 1, reused: 1, runSeconds: 0 });
      expect(digests(place.output)).toEqual(before);
    });

    test.each<[string, 'embeddings/' | 'intermediate/moments/', (path: string) => Promise<void>]>([
      ['an embedding part is deleted', 'embeddings/', (key) => place.store.delete([key])],
      ['an embedding part is cut short', 'embeddings/', (key) => truncate(join(place.output, key), 100)],
      ['moments are deleted', 'intermediate/moments/', (key) => place.store.delete([key])],
      ['moments are cut short', 'intermediate/moments/', (key) => truncate(join(place.output, key), 8)],
    ])('runs again where %s, to the same bytes', async (_, prefix, damage) => {
      await place.source(crystals(12));
      const { run, summary } = await place.embedded({});
      const before = digests(place.output);
      await damage((await place.keys(prefix))[0]);
      const task = { input: { stage: 'embed', run, model: MODEL }, start: 0, end: summary.shards } as const;
      const { missing, tally } = await place.stages.reuse(task, place.work());
      expect(missing).toHaveLength(1);
      expect(tally.done).toBe(summary.shards - 1);
      expect(await place.embed(run, missing[0])).toMatchObject({ done: 1, reused: 0 });
      expect(digests(place.output)).toEqual(before);
      expect((await place.stages.reuse(task, place.work())).missing).toEqual([]);
    });

    test('that is only looked up computes and writes nothing', async () => {
      await place.source(crystals(6));
      const { run } = await place.plan({});
      const before = digests(place.output);
      const task = { input: { stage: 'embed', run, model: MODEL }, start: 0, end: 1 } as const;
      expect(await place.stages.reuse(task, place.work())).toMatchObject({ tally: { done: 0 }, missing: [0] });
      expect(digests(place.output)).toEqual(before);
    });

    test('that is aborted rejects, leaves no receipt, and can be done afterwards', async () => {
      await place.source(crystals(12));
      const { run, plan } = await place.plan({
        shards: { structures: 100 },
        inference: { batch: { atoms: 8, edges: 500 } },
      });
      const early = AbortSignal.abort(new Error('stop'));
      await expect(place.embed(run, 0, place.work(early))).rejects.toThrow(/stop|aborted/);
      const controller = new AbortController();
      const beat = () => controller.abort(new Error('halfway'));
      await expect(place.embed(run, 0, { ...place.work(controller.signal), beat })).rejects.toThrow(/halfway|aborted/);
      expect(await place.keys('receipts/embed/')).toEqual([]);
      expect(await place.keys('embeddings/')).toEqual([]);
      expect(await place.embed(run, 0)).toMatchObject({ done: 1, reused: 0, structures: plan.snapshot.structures });
    });

    test('of a network that changed since the plan is refused', async () => {
      await place.source(crystals(4));
      const { run, plan } = await place.plan({});
      plan.models[0].identity.onnx_sha256 = '0'.repeat(64);
      await place.store.put(run.plan, Buffer.from(JSON.stringify(plan)));
      place.restart();
      const embed = place.embed(run, 0);
      await expect(embed).rejects.toMatchObject({ type: FAILURES.invalidInput });
      await expect(embed).rejects.toThrow(/planned with 0{64}; start a new run/);
    });
  });

  describe('basis', () => {
    const atoms = new Map(crystals(20).map(({ materialId, atomicNumbers }) => [materialId, atomicNumbers]));

    test.each(['direct', 'random', 'element-stratified', 'farthest-point', 'kmeans++'])(
      'by %s has K distinct atoms of the snapshot, the same every time',
      async (method) => {
        await place.source(crystals(20));
        const fields = { basis: { method, anchors: 7 } };
        const { run, summary } = await place.embedded(fields);
        expect(summary.anchorChoice).toBe(method === 'direct' ? 'clusters' : 'ranks');
        const basis = await place.basis(run, summary);
        const { record, rows } = await place.readBasis(basis);
        expect(record).toMatchObject({ basis, method, reference_model: 'mace-random-tiny', centre: 'none' });
        expect(rows).toEqual(record.anchors.map((anchor, i) => ({ anchor: i, ...anchor })));
        expect(new Set(rows.map(({ material_id, atom_index }) => `${material_id}:${atom_index}`)).size).toBe(7);
        for (const { material_id, atom_index, atomic_number } of rows)
          expect(atoms.get(material_id)?.[atom_index]).toBe(atomic_number);
        place.restart();
        expect(await place.basis(run, summary)).toBe(basis);
      },
    );

    test('by random is another for another seed', async () => {
      await place.source(crystals(20));
      const bases = [];
      for (const seed of [1, 2]) {
        const { run, summary } = await place.embedded({ basis: { method: 'random', anchors: 7, seed } });
        bases.push(await place.basis(run, summary));
      }
      expect(bases[0]).not.toBe(bases[1]);
    });

    test.each(['direct', 'random', 'element-stratified', 'farthest-point', 'kmeans++'])(
      'by %s of some sources is that of a run over them alone',
      async (method) => {
        const [calm, wild] = [crystals(20).slice(0, 12), crystals(20).slice(12)];
        const source = [
          { path: await place.source(calm, 'calm.extxyz') },
          { path: await place.source(wild, 'wild.extxyz') },
        ];
        // One shard, then several: where shards end does not decide which atoms are summarised.
        for (const structures of [256, 3]) {
          const fields = { shards: { structures }, basis: { method, anchors: 7, sources: ['calm'] } };
          const { run, summary } = await place.embedded({ ...fields, source });
          const { record, rows } = await place.readBasis(await place.basis(run, summary));
          expect(record.parameters.sources).toEqual(['calm']);
          const ids = calm.map(({ materialId }) => materialId);
          for (const { material_id } of rows) expect(ids).toContain(material_id);
          if (structures === 3) continue;
          const alone = await place.embedded({ ...fields, source: [source[0]], basis: { method, anchors: 7 } });
          const expected = await place.readBasis(await place.basis(alone.run, alone.summary));
          expect(rows).toEqual(expected.rows);
        }
      },
    );

    test.each(['direct', 'random'])(
      'by %s of sources that no structure is from is refused for good',
      async (method) => {
        await place.source(crystals(6));
        const { run, summary } = await place.embedded({ basis: { method, anchors: 3, sources: ['elsewhere'] } });
        const basis = place.basis(run, summary);
        await expect(basis).rejects.toMatchObject({ type: FAILURES.invalidInput, nonRetryable: true });
        await expect(basis).rejects.toThrow(/basis/);
      },
    );

    test('by explicit is what the spec names, in its order', async () => {
      await place.source(crystals(20));
      const [first, second] = crystals(20).map(({ materialId }) => materialId);
      const { run, summary } = await place.embedded({
        basis: { method: 'explicit', anchors: [`${second}:1`, `${first}:0`] },
      });
      const { rows } = await place.readBasis(await place.basis(run, summary));
      expect(rows).toEqual([
        { anchor: 0, material_id: second, atom_index: 1, atomic_number: atoms.get(second)?.[1] },
        { anchor: 1, material_id: first, atom_index: 0, atomic_number: atoms.get(first)?.[0] },
      ]);
    });

    test.each([
      ['a structure', () => 'nowhere-1:0'],
      ['an atom', () => `${crystals(1)[0].materialId}:99`],
    ])('by explicit with %s that is not in the snapshot is refused by name', async (_, name) => {
      await place.source(crystals(6));
      const { run, summary } = await place.embedded({ basis: { method: 'explicit', anchors: [name()] } });
      const basis = place.basis(run, summary);
      await expect(basis).rejects.toMatchObject({ type: FAILURES.invalidInput, nonRetryable: true });
      await expect(basis).rejects.toThrow(`'${name()}' is not an atom of the snapshot`);
    });

    test.each(['direct', 'random', 'element-stratified', 'farthest-point', 'kmeans++'])(
      'by %s with more anchors than the atoms give is refused for good',
      async (method) => {
        await place.source(crystals(3));
        const { run, summary } = await place.embedded({ basis: { method, anchors: 60 } });
        const basis = place.basis(run, summary);
        await expect(basis).rejects.toMatchObject({ type: FAILURES.invalidInput, nonRetryable: true });
        await expect(basis).rejects.toThrow(/60/);
      },
    );

    test('of another run is taken by its digest, and an unknown digest is refused', async () => {
      await place.source(crystals(20));
      const { run, summary } = await place.embedded({ basis: { anchors: 5 } });
      const basis = await place.basis(run, summary);
      const taken = await place.plan({ name: 'other', basis: { from: basis } });
      expect(taken.summary.pinnedBasis).toBe(basis);
      const unknown = place.plan({ basis: { from: '0123456789abcdef' } });
      await expect(unknown).rejects.toMatchObject({ type: FAILURES.invalidInput });
      await expect(unknown).rejects.toThrow('there is no basis 0123456789abcdef');
      const centred = place.plan({ basis: { from: basis }, coordinates: { centre: 'anchors' } });
      await expect(centred).rejects.toThrow(/coordinates\.centre 'none', the spec says 'anchors'/);
    });

    test('is pinned to the name of the run that published it, until what it depends on changes', async () => {
      await place.source(crystals(20));
      const { request, run, summary } = await place.embedded({ basis: { anchors: 5 } });
      expect(summary.pinnedBasis).toBeNull();
      const basis = await place.basis(run, summary);
      await place.projected(run, summary, basis);
      await published({ request, run, summary }, basis);

      const pinned = async (fields: Record<string, unknown>) => (await place.plan(fields)).summary.pinnedBasis;
      expect(await pinned({ basis: { anchors: 5 } })).toBe(basis);
      await place.source(crystals(25));
      expect(await pinned({ basis: { anchors: 5 } })).toBe(basis); // a grown database keeps it
      const models = ['mace-random-tiny', 'mace-random-tiny-all'];
      expect(await pinned({ models, basis: { anchors: 5 } })).toBe(basis); // so does a new model
      expect(await pinned({ basis: { anchors: 6 } })).toBeNull();
      expect(await pinned({ basis: { anchors: 5, method: 'random' } })).toBeNull();
      expect(await pinned({ basis: { anchors: 5, seed: 43 } })).toBeNull();
      expect(await pinned({ basis: { anchors: 5, sources: ['source'] } })).toBeNull();
      expect(await pinned({ basis: { anchors: 5, refit: true } })).toBeNull();
      expect(await pinned({ basis: { anchors: 5 }, coordinates: { centre: 'anchors' } })).toBeNull();
      expect(await pinned({ models, basis: { anchors: 5, reference_model: models[1] } })).toBeNull();
      expect(await pinned({ name: 'another', basis: { anchors: 5 } })).toBeNull();
    });

    test('is extended by the atoms farthest from its anchors, which stay first, and goes on under its own name', async () => {
      await place.source(crystals(20));
      const { request, run, summary } = await place.embedded({ basis: { anchors: 5 } });
      const short = await place.basis(run, summary);
      await place.projected(run, summary, short);
      await published({ request, run, summary }, short);

      const longer = { basis: { anchors: 8, extend: 'stages' } };
      const again = await place.plan(longer);
      expect(again.summary).toMatchObject({ pinnedBasis: null, anchorChoice: 'ranks' });
      await place.map({ stage: 'embed', run: again.run, model: 'mace-random-tiny' }, again.summary.shards);
      await place.map({ stage: 'embedded', run: again.run, model: 'mace-random-tiny' }, again.summary.pages);
      const long = await place.basis(again.run, again.summary);
      const [before, after] = [await place.readBasis(short), await place.readBasis(long)];
      expect(after.record).toMatchObject({ extends: short, method: 'direct' });
      expect(after.rows.slice(0, 5)).toEqual(before.rows);
      expect(new Set(after.rows.map(({ material_id, atom_index }) => `${material_id}:${atom_index}`)).size).toBe(8);

      await place.projected(again.run, again.summary, long);
      await published(again, long);
      expect((await place.plan(longer)).summary.pinnedBasis).toBe(long);
      expect((await place.plan({ name: 'other', basis: { from: 'stages' } })).summary.pinnedBasis).toBe(long);
      expect(
        (await place.plan({ name: 'other', basis: { anchors: 8, extend: short } })).summary.pinnedBasis,
      ).toBeNull();
    });

    test('is not extended to fewer anchors, around another centre, or from structures that are not there', async () => {
      await place.source(crystals(20));
      const { run, summary } = await place.embedded({ basis: { anchors: 5 } });
      const basis = await place.basis(run, summary);
      const extend = async (fields: Record<string, unknown>) => {
        const planned = await place.embedded(fields);
        return place.basis(planned.run, planned.summary);
      };
      await expect(extend({ basis: { anchors: 5, extend: basis } })).rejects.toThrow(/has 5 anchors; ask for more/);
      await expect(
        extend({ basis: { anchors: 9, extend: basis }, coordinates: { centre: 'anchors' } }),
      ).rejects.toThrow(/coordinates\.centre/);
      await place.source(crystals(25).slice(20));
      await expect(extend({ basis: { anchors: 9, extend: basis } })).rejects.toThrow(
        /extend a basis of these structures/,
      );
    });
  });

  describe('project', () => {
    /** cos(e - c, a - c) in float64, with c the mean of the anchors or zero. */
    function cosines(embeddings: Float32Array, anchors: Float32Array, dim: number, centred: boolean): number[] {
      const rowsOf = (x: Float32Array) =>
        Array.from({ length: x.length / dim }, (_, row) => Array.from(x.subarray(row * dim, (row + 1) * dim)));
      const anchorRows = rowsOf(anchors);
      const centre = Array.from({ length: dim }, (_, j) =>
        centred ? anchorRows.reduce((sum, anchor) => sum + anchor[j], 0) / anchorRows.length : 0,
      );
      const shifted = (row: number[]) => row.map((value, j) => value - centre[j]);
      const dot = (a: number[], b: number[]) => a.reduce((sum, value, j) => sum + value * b[j], 0);
      return rowsOf(embeddings)
        .map(shifted)
        .flatMap((e) => anchorRows.map(shifted).map((a) => dot(e, a) / Math.sqrt(dot(e, e)) / Math.sqrt(dot(a, a))));
    }

    test.each(['none', 'anchors'] as const)('with centre %s gives the cosines of the formula', async (centre) => {
      await place.source(crystals(12));
      const { run, summary } = await place.embedded({ basis: { anchors: 5 }, coordinates: { centre } });
      const basis = await place.basis(run, summary);
      await place.projected(run, summary, basis);
      const read = async (prefix: string) => Promise.all((await place.keys(prefix)).map((key) => place.store.get(key)));
      const [anchors] = (await read(`bases/${basis}/anchor_vectors/`)).map(decodeAnchorVectors);
      const embeddings = (await read('embeddings/')).map(decodeEmbeddings);
      const coordinates = (await read('coordinates/')).map(decodeCoordinates);
      const pooled = (await read('structure_vectors/')).map(decodeStructureVectors);
      expect(coordinates).toHaveLength(summary.shards);
      coordinates.forEach(({ vectors, dim, materialIds, offsets }, shard) => {
        expect(dim).toBe(5);
        expect(materialIds).toEqual(embeddings[shard].materialIds);
        const wanted = cosines(embeddings[shard].vectors, anchors.vectors, anchors.dim, centre === 'anchors');
        expect(vectors).toHaveLength(wanted.length);
        wanted.forEach((value, i) => expect(vectors[i]).toBeCloseTo(value, 6));
        materialIds.forEach((_, s) => {
          const rows = Array.from({ length: offsets[s + 1] - offsets[s] }, (_, atom) => offsets[s] + atom);
          for (let k = 0; k < dim; k++) {
            const mean = rows.reduce((sum, row) => sum + vectors[row * dim + k], 0) / rows.length;
            expect(pooled[shard].means[s * dim + k]).toBeCloseTo(mean, 6);
          }
        });
      });
    });

    test('runs again where a coordinate part is deleted, to the same bytes', async () => {
      await place.source(crystals(12));
      const { run, summary } = await place.embedded({ basis: { anchors: 5 } });
      const basis = await place.basis(run, summary);
      await place.projected(run, summary, basis);
      const before = digests(place.output);
      await place.store.delete([(await place.keys('coordinates/'))[0]]);
      await place.projected(run, summary, basis);
      expect(digests(place.output)).toEqual(before);
    });

    test('of anchors whose structures left the sources is refused with their names', async () => {
      await place.source(crystals(12));
      const { run, summary } = await place.embedded({ basis: { method: 'random', anchors: 10 } });
      const basis = await place.basis(run, summary);
      const { record } = await place.readBasis(basis);
      await place.source(crystals(12).filter(({ materialId }) => materialId !== record.anchors[3].material_id));
      const smaller = await place.embedded({ name: 'smaller', basis: { from: basis } });
      const vectors = place.stages.anchorVectors(smaller.run, basis, 'mace-random-tiny', place.work());
      await expect(vectors).rejects.toMatchObject({ type: FAILURES.invalidInput });
      await expect(vectors).rejects.toThrow(record.anchors[3].material_id);
    });
  });
});
