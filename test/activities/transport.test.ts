import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PlanRef, PlanSummary } from '../../activities/run/documents.js';
import { readSettings } from '../../config/settings.js';
import { elementTransportTable, type ElementTransportRow } from '../../datasets/tables/elementTransport.js';
import { decodeCoordinates } from '../../datasets/tables/coordinates.js';
import { decodeTransportBarycentric, type TransportBarycentric } from '../../datasets/tables/transportBarycentric.js';
import { transportTable, type TransportRow } from '../../datasets/tables/transport.js';
import { transportSummaryTable, type TransportSummaryRow } from '../../datasets/tables/transportSummary.js';
import { bundledStructures } from '../../structures/bundled/bundled.js';
import { activityDependencies, type OwnedDependencies } from '../../workers/dependencies.js';
import { digests } from '../orchestration/koine.js';
import { describeShared } from '../support/shared.js';
import { StagePlace } from './stagePlace.js';

const transport = { sample: 40, draws: 2, baselines: ['orthogonal', 'gromov'], epsilon: 0.1 };

describeShared('the transport stage', () => {
  let dependencies: OwnedDependencies;
  let place: StagePlace;
  let run: PlanRef;
  let summary: PlanSummary;
  let basis: string;
  let rows: TransportRow[];
  let summaries: TransportSummaryRow[];
  let elements: ElementTransportRow[];
  let images: TransportBarycentric;

  const onlyPart = async (prefix: string): Promise<Uint8Array> => {
    const keys = (await place.keys(prefix)).filter((key) => key.endsWith('.parquet'));
    expect(keys).toHaveLength(1);
    return place.store.get(keys[0]);
  };
  const only = async <R>(prefix: string, table: { decode(bytes: Uint8Array): Promise<{ rows: R[] }> }): Promise<R[]> =>
    (await table.decode(await onlyPart(prefix))).rows;
  const solve = () => place.stages.transport({ stage: 'transport', run, item: 0, basis }, place.work());

  beforeAll(async () => {
    dependencies = activityDependencies(readSettings({ KOINE_THREADS: '1' }));
    place = new StagePlace(dependencies);
    const fewAtoms = bundledStructures().filter(({ atomicNumbers: { length } }) => length >= 2 && length <= 8);
    await place.source(fewAtoms.filter((_, i) => i % 4 === 0).slice(0, 150));
    ({ run, summary } = await place.embedded({
      models: ['mace-random-tiny', 'mace-random-tiny-all'],
      basis: { method: 'random', anchors: 20 },
      transport,
      shards: { structures: 30 },
    }));
    basis = await place.basis(run, summary);
    await place.projected(run, summary, basis);
    expect(await solve()).toMatchObject({ done: 1, reused: 0 });
    rows = await only('transport/', transportTable);
    summaries = await only('transport_summary/', transportSummaryTable);
    elements = await only('element_transport/', elementTransportTable);
    images = decodeTransportBarycentric(await onlyPart('transport_barycentric/'));
  });
  afterAll(async () => {
    await place.close();
    await dependencies.close();
  });

  test('has a summary for every draw of both designs, and for every baseline', () => {
    expect(summaries.map(({ draw, design, space, solver }) => [draw, design, space, solver])).toEqual([
      [0, 'same', 'coordinates', 'exact'],
      [1, 'same', 'coordinates', 'exact'],
      [2, 'disjoint', 'coordinates', 'exact'],
      [3, 'disjoint', 'coordinates', 'exact'],
      [0, 'same', 'orthogonal', 'exact'],
      [0, 'same', 'gromov', 'gromov'],
    ]);
    for (const { converged, gap, mass, dropped_mass, space } of summaries) {
      expect(converged).toBe(1);
      expect(mass).toBeCloseTo(1, 9);
      if (space !== 'gromov') expect(Math.abs(gap ?? NaN) + dropped_mass).toBeLessThan(1e-9);
    }
  });

  test('publishes plans whose rows give the figures of the summary', () => {
    for (const { draw, n, cost, identity_mass } of summaries.filter(({ space }) => space === 'coordinates')) {
      const plan = rows.filter((row) => row.draw === draw);
      expect(plan).toHaveLength(n); // equal sizes: a permutation
      expect(plan.reduce((sum, row) => sum + row.mass * row.cost, 0)).toBeCloseTo(cost, 12);
      const stays = plan.filter(
        (row) => row.source_material_id === row.target_material_id && row.source_atom_index === row.target_atom_index,
      );
      if (identity_mass === null) expect(stays).toEqual([]);
      else expect(stays.length / n).toBeCloseTo(identity_mass, 12);
    }
  });

  test('holds identity and element match against chance, floor and ceiling', () => {
    for (const { design, space, ...row } of summaries) {
      expect(row.identity_chance).toBe(design === 'same' ? 1 / row.n : null);
      expect(row.element_match_chance).toBeGreaterThan(0);
      if (space !== 'coordinates') expect([row.element_match_floor, row.element_match_ceiling]).toEqual([null, null]);
      else {
        expect(row.element_match_floor).toBeGreaterThan(row.element_match_chance);
        expect(row.element_match_ceiling).toBeLessThanOrEqual(1);
        if (design === 'same') expect(row.element_match_ceiling).toBe(1);
      }
    }
  });

  test('faces other structures with the same elements in the disjoint design', () => {
    const plan = rows.filter(({ draw }) => draw === 2);
    const sources = new Set(plan.map((row) => row.source_material_id));
    for (const row of plan) expect(sources.has(row.target_material_id)).toBe(false);
    const sides = new Map<number, [number, number]>();
    for (const { design, source_element, target_element, mass } of elements) {
      if (design !== 'disjoint') continue;
      for (const [side, element] of [source_element, target_element].entries()) {
        const shares = sides.get(element) ?? [0, 0];
        shares[side] += mass;
        sides.set(element, shares);
      }
    }
    for (const [source, target] of sides.values()) expect(source).toBeCloseTo(target, 12);
  });

  test('publishes where the first plan of each design sends the atoms: plan times coordinates over mass', async () => {
    const coordinates = new Map<string, Map<string, Float32Array>>();
    for (const model of summary.models) {
      const atoms = new Map<string, Float32Array>();
      for (const key of await place.keys('coordinates/')) {
        if (!key.includes(`model=${model}/`) || !key.endsWith('.parquet')) continue;
        const { materialIds, offsets, vectors, dim } = decodeCoordinates(await place.store.get(key));
        materialIds.forEach((id, s) => {
          for (let row = offsets[s]; row < offsets[s + 1]; row++)
            atoms.set(`${id}:${row - offsets[s]}`, vectors.subarray(row * dim, (row + 1) * dim));
        });
      }
      coordinates.set(model, atoms);
    }
    const [from, to] = summary.models.map((model) => coordinates.get(model)!);
    expect(new Set(images.draws)).toEqual(new Set([0, 2]));
    images.draws.forEach((draw, row) => {
      const name = `${images.materialIds[row]}:${images.atomIndices[row]}`;
      const image = new Float64Array(images.dim);
      let mass = 0;
      for (const arc of rows) {
        if (arc.draw !== draw || `${arc.source_material_id}:${arc.source_atom_index}` !== name) continue;
        mass += arc.mass;
        const target = to.get(`${arc.target_material_id}:${arc.target_atom_index}`)!;
        target.forEach((value, c) => (image[c] += arc.mass * value));
      }
      const published = images.images.subarray(row * images.dim, (row + 1) * images.dim);
      image.forEach((value, c) => expect(published[c]).toBeCloseTo(value / mass, 6));
      const residual = Math.hypot(...from.get(name)!.map((value, c) => value - image[c] / mass));
      expect(images.residuals[row]).toBeCloseTo(residual, 5);
    });
    expect(images.draws).toHaveLength(summaries[0].n + summaries[2].n);
  });

  test('is reused, and runs again to the same bytes from gathered vectors or without', async () => {
    const before = digests(place.output);
    expect(await solve()).toMatchObject({ reused: 1 });
    place.restart();
    const receipts = await place.keys('receipts/transport/');
    await place.store.delete(receipts);
    await place.store.delete(await place.keys('receipts/gather/'));
    await place.store.delete(await place.keys('intermediate/gather/'));
    await place.projected(run, summary, basis);
    await solve();
    place.restart();
    await place.store.delete(receipts);
    await solve();
    expect(digests(place.output)).toEqual(before);
  });
});
