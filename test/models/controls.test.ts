import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readSettings } from '../../config/settings.js';
import { parseCard } from '../../models/card.js';
import { InferencePool, structureEmbeddings } from '../../models/inferencePool.js';
import { floatArrays } from '../../onnx/reader.js';
import { shuffledNetwork } from '../../models/shuffle.js';
import { ModelStore } from '../../models/store.js';
import { verifyModel } from '../../models/verify.js';
import { addControl, addShuffled } from '../../workers/modelControls.js';
import { encodeOnnxModel } from '../../onnx/writer.js';
import { describeShared, sharedPath } from '../support/shared.js';
import { devStructures } from './devStructures.js';
import { crystal, tinyNetwork } from './tinyNetwork.js';

let folder: string;
let pool: InferencePool;
const settings = () =>
  readSettings({ KOINE_MODELS: folder, KOINE_CACHE_DIR: join(folder, 'cache'), KOINE_THREADS: '1' });
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'koine-controls-'));
  pool = new InferencePool({ threads: 1, provider: 'cpu' });
});
afterAll(async () => {
  await pool.close();
  rmSync(folder, { recursive: true, force: true });
});

const rows = (values: ArrayLike<number>, dim: number) =>
  Array.from({ length: values.length / dim }, (_, k) => Array.from(values).slice(k * dim, (k + 1) * dim));

test('one-hot gives every element an axis of its own, whatever surrounds it', async () => {
  const { card } = await addControl(settings(), { kind: 'one-hot', id: 'control-one-hot', seed: 0, dim: 1 }, false);
  expect(card).toMatchObject({ control: 'one-hot', lineage: 'control-one-hot', random_weights: false });
  const model = await new ModelStore([folder]).resolve('control-one-hot');
  const { embedding, dim, rejections } = await pool.embed(model, [
    crystal([1, 118]),
    crystal([26], 2),
    crystal([1], 9),
  ]);
  expect(rejections).toEqual([]);
  const axes = rows(embedding, dim).map((row) => row.flatMap((value, k) => (value === 0 ? [] : [[k, value]])));
  expect(axes).toEqual([[[0, 1]], [[117, 1]], [[25, 1]], [[0, 1]]]);
});

test('random-element gives equal atoms equal vectors, other elements and other seeds others', async () => {
  const make = async (seed: number) => {
    const id = `control-random-element-${seed}`;
    await addControl(settings(), { kind: 'random-element', id, seed, dim: 16 }, false);
    const { embedding } = await pool.embed(await new ModelStore([folder]).resolve(id), [
      crystal([3, 3, 8]),
      crystal([8]),
    ]);
    return rows(embedding, 16);
  };
  const [a, b, c, d] = await make(1);
  expect(a).toEqual(b);
  expect(c).toEqual(d);
  expect(a).not.toEqual(c);
  expect((await make(2))[0]).not.toEqual(a);
  await expect(make(1)).rejects.toThrow(/control-random-element-1 is there already; add --replace/);
});

test('controls hold every check of koine models verify', async () => {
  const model = await new ModelStore([folder]).resolve('control-one-hot');
  const structures = [crystal([11, 17], 4), crystal([29], 2.5)].map((cell, k) => ({
    ...cell,
    materialId: `c${k}`,
    source: '',
  }));
  const checks = await verifyModel(pool, model, structures);
  expect(checks.filter(({ ok }) => !ok)).toEqual([]);
});

test('a network without large arrays cannot be shuffled', () => {
  expect(() => shuffledNetwork(tinyNetwork(), 0)).toThrow(/no array of 256 weights or more/);
});

test('what a network does not know stays where it is', () => {
  const data = Float32Array.from({ length: 600 }, (_, k) => (k % 5 === 0 ? NaN : k));
  const onnx = encodeOnnxModel({
    name: 'gaps',
    inputs: { x: { type: 'float32', shape: [600] } },
    outputs: { y: { type: 'float32', shape: [600] } },
    constants: { table: { shape: [600], data } },
    nodes: [{ op: 'Add', inputs: ['x', 'table'], outputs: ['y'] }],
  });
  const { onnx: shuffled, entries } = shuffledNetwork(onnx, 1);
  const [{ start }] = floatArrays(shuffled);
  const view = new DataView(shuffled.buffer, shuffled.byteOffset + start);
  const after = Array.from(data, (_, k) => view.getFloat32(4 * k, true));
  expect(entries).toBe(480);
  expect(after.map(Number.isNaN)).toEqual(Array.from(data, Number.isNaN));
  const known = (values: Iterable<number>) => [...values].filter((value) => !Number.isNaN(value));
  expect(known(after)).not.toEqual(known(data));
  expect(known(after).sort((a, b) => a - b)).toEqual(known(data));
});

describeShared('a real potential', () => {
  test('shuffled keeps its weights as a set, its contract and its invariance; its embeddings are others', async () => {
    const stores = [sharedPath('models')];
    const request = { stores, model: 'chgnet-0.3.0', id: 'chgnet-shuffled', seed: 7, replace: false };
    const { card } = await addShuffled(settings(), request);
    expect(card).toMatchObject({ control: 'shuffled', random_weights: true, lineage: 'chgnet-shuffled' });
    expect(card.derived_from).toMatchObject({ parent: 'chgnet-0.3.0', operation: 'weight-shuffle', seed: 7 });
    expect(card.embedding.invariant).toBe(true);

    const original = readFileSync(sharedPath('models/chgnet-0.3.0/model.onnx'));
    const copy = readFileSync(join(folder, 'chgnet-shuffled/model.onnx'));
    expect(parseCard(JSON.parse(readFileSync(join(folder, 'chgnet-shuffled/card.json'), 'utf8')), 'card')).toEqual(
      card,
    );
    expect(Buffer.from(shuffledNetwork(original, 7).onnx).equals(copy)).toBe(true);
    expect(Buffer.from(shuffledNetwork(original, 8).onnx).equals(copy)).toBe(false);
    let moved = 0;
    let all = 0;
    for (const { start, count, width } of floatArrays(original)) {
      const [before, after] = [original, copy].map((bytes) =>
        Array.from({ length: count }, (_, k) => bytes.readFloatLE(start + width * k)),
      );
      all += count;
      if (before.some((value, k) => value !== after[k])) moved += count;
      expect([...after].sort((a, b) => a - b)).toEqual([...before].sort((a, b) => a - b));
    }
    expect(moved / all).toBeGreaterThan(0.9);

    const structures = (await devStructures()).slice(0, 8);
    const models = new ModelStore([folder, ...stores]);
    const [real, shuffled] = await Promise.all(
      ['chgnet-0.3.0', 'chgnet-shuffled'].map(async (id) => pool.embed(await models.resolve(id), structures)),
    );
    expect(structureEmbeddings(shuffled, structures)[0]).not.toEqual(structureEmbeddings(real, structures)[0]);
    expect(shuffled.embedding.every(Number.isFinite)).toBe(true);
  });
});
