import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { InferencePool, structureEmbeddings } from '../../models/inferencePool.js';
import { readNpz } from '../../models/npz.js';
import { compareWithReference, embeddingError, PARITY_GATES, readReference } from '../../models/parity.js';
import { ModelStore } from '../../models/store.js';
import { verifyModel } from '../../models/verify.js';
import type { Structure } from '../../structures/structure.js';
import { describeShared, hasShared, sharedPath } from '../support/shared.js';
import { devStructures } from './devStructures.js';
import { crystal, NAN_ELEMENT, tinyCard, tinyNetwork, writeModel } from './tinyNetwork.js';

let pool: InferencePool;
beforeAll(() => void (pool = new InferencePool({ threads: 2, provider: 'cpu' })));
afterAll(() => pool.close());

describe('embeddingError', () => {
  test('is the largest difference of each structure over the RMS of all wanted values', () => {
    // RMS of (3, 4, 0, 0) is 2.5; differences are 0, 1 and 0.5.
    expect(embeddingError([[3], [5], [0.5, 0]], [[3], [4], [0, 0]])).toEqual({ median: 0.2, max: 0.4, worst: 1 });
  });

  test('counts a NaN as infinitely wrong', () => {
    expect(embeddingError([[1], [NaN]], [[1], [1]])).toMatchObject({ max: Infinity, worst: 1 });
  });

  test('refuses structures of different size', () => {
    expect(() => embeddingError([[1, 2]], [[1]])).toThrow(/structure 0 has 2 embedding values where 1 are wanted/);
  });
});

test('a file that is no .npz is refused', async () => {
  await expect(
    readNpz(Buffer.from('no zip at all, but long enough to look for its directory'), 'x.npz'),
  ).rejects.toThrow();
});

describeShared("parity with the official code, from koine's own neighbour lists", () => {
  const ids = hasShared ? readdirSync(sharedPath('models')).filter((name) => !name.endsWith('.extxyz')) : [];

  test('covers all sixteen models', () => expect(ids).toHaveLength(16));

  test.each(ids)('%s', async (id) => {
    const structures = await devStructures();
    const model = await new ModelStore([sharedPath('models')]).resolve(id);
    const reference = await readReference(readFileSync(sharedPath(`models/${id}/reference-dev.npz`)), id);
    expect(reference.ids).toEqual(structures.map(({ materialId }) => materialId));
    const result = await pool.embed(model, structures);
    expect(result.rejections).toEqual([]);
    const report = compareWithReference(
      reference,
      model.card,
      reference.ids,
      structureEmbeddings(result, structures),
      result.energies,
    );
    expect(report.structures).toBe(60);
    expect(report.float32.median).toBeLessThanOrEqual(PARITY_GATES.median);
    expect(report.float32.max).toBeLessThanOrEqual(id === 'orb-random-small' ? 1e-2 : 1e-3);
    if (report.float64) expect(report.float64.max).toBeLessThanOrEqual(3e-4);
    expect(report.energyMevPerAtom ?? 0).toBeLessThanOrEqual(0.1);
    expect(report.ok).toBe(true);
    if (/chgnet|sevennet/.test(id)) expect(report.float64).not.toBeNull();
    if (!/tiny$|orb/.test(id)) expect(report.energyMevPerAtom).not.toBeNull();
  });

  test('a wrong embedding or energy does not pass', async () => {
    const structures = await devStructures();
    const { card } = await new ModelStore([sharedPath('models')]).resolve('chgnet-0.3.0');
    const reference = await readReference(readFileSync(sharedPath('models/chgnet-0.3.0/reference-dev.npz')), 'x');
    const native = structures.map((_, s) =>
      Float32Array.from(reference.embedding.subarray(64 * reference.offsets[s], 64 * reference.offsets[s + 1])),
    );
    const compare = (embeddings: Float32Array[], energies: number[]) =>
      compareWithReference(reference, card, reference.ids, embeddings, energies);
    expect(compare(native, reference.energy!).ok).toBe(true);
    const offByOneMev = reference.energy!.map((energy, s) => energy + 0.001 * structures[s].atomicNumbers.length);
    const wrong = compare(native, offByOneMev);
    expect(wrong.ok).toBe(false);
    expect(wrong.energyMevPerAtom).toBeCloseTo(1, 6);
    native[7][0] += 0.1;
    expect(compare(native, reference.energy!)).toMatchObject({ ok: false, float32: { worst: 7 } });
  });

  test('verify passes a good model and measures what the card claims', async () => {
    const structures = (await devStructures()).slice(0, 16);
    const model = await new ModelStore([sharedPath('models')]).resolve('mace-random-tiny');
    const reference = await readReference(readFileSync(sharedPath('models/mace-random-tiny/reference-dev.npz')), 'x');
    const checks = await verifyModel(pool, model, structures, reference);
    expect(checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(checks.map(({ check }) => check)).toEqual([
      'contract',
      'parity',
      'atom order',
      'edge order',
      'batches',
      'repetition',
      'rotation',
      'inversion',
      'supercell',
      'isolated atoms',
      'elements',
    ]);
  });
});

describe('verifyModel', () => {
  const structures = Array.from({ length: 6 }, (_, k): Structure => ({
    ...crystal([11 + k, 17, 30], 4.05 + k / 7),
    materialId: `m${k}`,
    source: 'test',
  }));
  const failed = async (onnx: Uint8Array, overrides: Record<string, unknown>) => {
    const folder = await mkdtemp(join(tmpdir(), 'koine-verify-'));
    await writeModel(folder, onnx, tinyCard(onnx, overrides));
    const checks = await verifyModel(pool, await new ModelStore([folder]).resolve('tiny'), structures);
    await rm(folder, { recursive: true });
    return Object.fromEntries(checks.filter(({ ok }) => !ok).map(({ check, detail }) => [check, detail]));
  };

  test('finds the elements that a card lists and the network cannot do', async () => {
    expect(await failed(tinyNetwork(), {})).toEqual({
      elements: "F (non_finite_embedding), Ne (zero_norm_embedding): remove them from the card's elements",
    });
    const elements = Array.from({ length: 40 }, (_, k) => k + 1).filter((z) => z !== NAN_ELEMENT && z !== 10);
    expect(await failed(tinyNetwork(), { elements })).toEqual({});
  });

  test('reports a card that contradicts its network instead of throwing', async () => {
    expect(await failed(tinyNetwork(), { opset: 18 })).toEqual({
      contract: expect.stringContaining('opset 18') as string,
    });
  });

  test('finds that a crystal is not invariant under rotation', async () => {
    expect(await failed(tinyNetwork(false, true), { elements: [11, 12, 13, 14, 15, 16, 17, 30] })).toMatchObject({
      rotation: expect.stringContaining('claims invariant') as string,
    });
  });
});
