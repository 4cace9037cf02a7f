import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readSettings } from '../../config/settings.js';
import { openStore } from '../../datasets/store/open.js';
import type { ObjectStore } from '../../datasets/store/objectStore.js';
import { decodeEmbeddings } from '../../datasets/tables/embeddings.js';
import { fitLinearMap } from '../../latent/maps/linearMap.js';
import { matrix } from '../../latent/base/matrix.js';
import { hashUnit } from '../../latent/base/random.js';
import { applyMap } from '../../latent/maps/anchorMaps.js';
import type { Structure } from '../../structures/structure.js';
import { compiledEntry } from '../../threads/pool.js';
import { activityDependencies, type OwnedDependencies } from '../../workers/dependencies.js';
import { translate, TranslationRefused, type Translation } from '../../workers/translate.js';
import { StagePlace } from '../activities/stagePlace.js';
import { crystal, tinyCard, tinyNetwork, writeModel } from '../models/tinyNetwork.js';

const koine = compiledEntry('../../cli/main.js', import.meta.url).pathname;

describe('embeddings carried into the space of another model', () => {
  const folder = mkdtempSync(join(tmpdir(), 'koine-translate-'));
  let dependencies: OwnedDependencies;
  let place: StagePlace;
  let dataset: ObjectStore;

  /** Cubic crystals with two or three atoms, none of which the tiny network refuses. */
  const structures = Array.from({ length: 60 }, (_, i): Structure => ({
    materialId: `crystal-${i}`,
    source: 'test',
    ...crystal([3 + (i % 5), 11 + (i % 7), 19 + (i % 11)].slice(i % 2), 3 + (i % 13) / 7),
  }));

  beforeAll(async () => {
    dependencies = activityDependencies(readSettings({ KOINE_THREADS: '1' }));
    place = new StagePlace(dependencies);
    for (const [id, onnx] of [
      ['plain', tinyNetwork()],
      ['tilted', tinyNetwork(false, true)],
    ] as const)
      await writeModel(folder, onnx, tinyCard(onnx, { id }));
    await place.source(structures);
    const { request, run, summary } = await place.embedded({
      model_store: [folder],
      models: ['plain', 'tilted'],
      basis: { method: 'random', anchors: 4 },
      similarity: { sample: 20, draws: 1, neighbours: 2, nulls: { permutations: 9 } },
      transport: { sample: 20, draws: 1, baselines: [] },
      shards: { structures: 8 },
    });
    const basis = await place.basis(run, summary);
    await place.projected(run, summary, basis);
    await place.map({ stage: 'similarity', run, basis }, summary.pairs);
    await place.map({ stage: 'transport', run, basis }, summary.pairs);
    await place.diagnosed(run, summary, basis);
    await place.stages.publish(request, run, basis, place.work());
    dataset = openStore(place.output);
  });
  afterAll(async () => {
    await place.close();
    await dependencies.close();
    await rm(folder, { recursive: true, force: true });
  });

  const target = (name: string) => join(folder, name);
  /** Vectors by atom of the Parquet files below a folder. */
  const vectorsBelow = (path: string) => {
    const vectors = new Map<string, Float32Array>();
    for (const name of readdirSync(path).filter((file) => file.endsWith('.parquet'))) {
      const { materialIds, offsets, vectors: rows, dim } = decodeEmbeddings(readFileSync(join(path, name)));
      materialIds.forEach((id, s) => {
        for (let row = offsets[s]; row < offsets[s + 1]; row++)
          vectors.set(`${id}:${row - offsets[s]}`, rows.slice(row * dim, (row + 1) * dim));
      });
    }
    return vectors;
  };
  const published = (model: string) => {
    const [snapshot] = readdirSync(join(place.output, 'embeddings'));
    return vectorsBelow(join(place.output, 'embeddings', snapshot, `model=${model}`));
  };
  /** Error of vectors on the atoms of some structures: root mean square over that of the true ones about their mean. */
  const measured = (
    found: Map<string, Float32Array>,
    truth: Map<string, Float32Array>,
    chosen: (id: string) => boolean,
  ) => {
    const names = [...truth.keys()].filter((name) => chosen(name.split(':')[0]));
    const dim = truth.get(names[0])!.length;
    const mean = Array.from(
      { length: dim },
      (_, c) => names.reduce((sum, name) => sum + truth.get(name)![c], 0) / names.length,
    );
    let [rest, spread] = [0, 0];
    for (const name of names)
      truth.get(name)!.forEach((value, c) => {
        rest += (found.get(name)![c] - value) ** 2;
        spread += (value - mean[c]) ** 2;
      });
    return { error: Math.sqrt(rest / spread), atoms: names.length };
  };
  const heldOut = (id: string) => hashUnit(42, 'translate', id) < 0.2;

  test('the command states the error that its output has on structures it was not fitted on', async () => {
    const into = target('carried');
    const { stdout } = await promisify(execFile)(process.execPath, [koine, 'translate', place.output, '--from', 'plain', '--to', 'tilted', '--into', into, '--json']); // prettier-ignore
    const answer = JSON.parse(stdout) as Translation;
    const [found, truth] = [vectorsBelow(into), published('tilted')];
    expect([...found.keys()].sort()).toEqual([...truth.keys()].sort());
    expect([answer.structures, answer.atoms]).toEqual([60, truth.size]);
    const { error, atoms } = measured(found, truth, heldOut);
    expect(atoms).toBe(answer.held_out);
    expect(answer.fitted).toBe(truth.size - atoms);
    expect(answer.relativeError).toBeCloseTo(error, 5);
    expect(answer.relativeError).toBeGreaterThan(0.01); // the two networks do see different things
    expect(answer.relativeError).toBeLessThan(1); // and share some
    expect(JSON.parse(readFileSync(join(into, 'translation.json'), 'utf8'))).toMatchObject({
      from: 'plain',
      to: 'tilted',
      relativeError: answer.relativeError,
    });
  }, 60_000);

  test('the map is the one whose strength was chosen with all atoms of a structure on one side', async () => {
    await translate(dataset, openStore(target('map')), { from: 'plain', to: 'tilted' });
    const [found, x, y] = [vectorsBelow(target('map')), published('plain'), published('tilted')];
    const names = [...x.keys()].filter((name) => !heldOut(name.split(':')[0]));
    const ids = [...new Set(names.map((name) => name.split(':')[0]))];
    ids.sort((a, b) => hashUnit(42, 'half', a) - hashUnit(42, 'half', b));
    const rowsOf = (vectors: Map<string, Float32Array>, of: string[]) =>
      matrix(Float32Array.from(of.flatMap((name) => [...vectors.get(name)!])), of.length, vectors.get(of[0])!.length);
    /** Largest difference of what the map of such groups gives from what was written, over the largest value. */
    const apart = async (groups: number[]) => {
      const map = await fitLinearMap(rowsOf(x, names), rowsOf(y, names), groups);
      const all = [...x.keys()];
      const [mapped, written] = [applyMap(map, rowsOf(x, all)).data, rowsOf(found, all).data];
      const largest = (values: ArrayLike<number>) => Math.max(...Array.from(values, Math.abs));
      return largest(mapped.map((value, at) => value - written[at])) / largest(written);
    };
    expect(await apart(names.map((name) => ids.indexOf(name.split(':')[0])))).toBeLessThan(1e-6); // float32
    expect(await apart(names.map((_, row) => row))).toBeGreaterThan(1e-3); // by atom it would be another
  });

  test('the error is in words without --json', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [koine, 'translate', place.output, '--from', 'tilted', '--to', 'plain', '--into', target('words')]); // prettier-ignore
    const { error } = measured(vectorsBelow(target('words')), published('plain'), heldOut);
    expect(stdout).toContain(`expected error: ${Math.round(100 * error)} % of the spread of plain`);
  }, 60_000);

  test('a model carried into its own space stays where it is', async () => {
    const done = await translate(dataset, openStore(target('own')), { from: 'plain', to: 'plain' });
    expect(done.relativeError).toBeLessThan(1e-5);
    expect(done.meanCosine).toBeCloseTo(1, 9);
    const { error } = measured(vectorsBelow(target('own')), published('plain'), () => true);
    expect(error).toBeLessThan(1e-5);
  });

  test('another seed holds out other structures', async () => {
    const done = await translate(dataset, openStore(target('seed')), { from: 'plain', to: 'tilted', seed: 7 });
    const { error, atoms } = measured(
      vectorsBelow(target('seed')),
      published('tilted'),
      (id) => hashUnit(7, 'translate', id) < 0.2,
    );
    expect(done.held_out).toBe(atoms);
    expect(done.relativeError).toBeCloseTo(error, 5);
  });

  test.each([
    [{ from: 'plain', to: 'absent' }, /run 'stages' has no model 'absent'; it has plain, tilted/],
    [{ from: 'plain', to: 'tilted', run: 'other' }, /there is no run 'other' in .*; it has stages/],
  ])('%o is refused with what there is', async (asked, message) => {
    const refused = translate(dataset, openStore(target('refused')), asked);
    await expect(refused).rejects.toBeInstanceOf(TranslationRefused);
    await expect(refused).rejects.toThrow(message);
  });
});
