import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ModelRefused } from '../../models/card.js';
import type { Crystal } from '../../models/graphBatch.js';
import { ENCODER_VERSION, InferencePool, structureEmbeddings } from '../../models/inferencePool.js';
import { ProviderUnavailable } from '../../models/session.js';
import { ModelStore, type ResolvedModel } from '../../models/store.js';
import { ThreadCrashed } from '../../threads/pool.js';
import { crystal, NAN_ELEMENT, tinyCard, tinyEmbedding, tinyNetwork, writeModel, ZERO_ELEMENT } from './tinyNetwork.js';

let folder: string;
let pool: InferencePool;
let tiny: ResolvedModel;
let leaky: ResolvedModel;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'koine-pool-'));
  await writeModel(folder, tinyNetwork(), tinyCard(tinyNetwork()));
  await writeModel(folder, tinyNetwork(true), tinyCard(tinyNetwork(true), { id: 'leaky' }));
  const store = new ModelStore([folder]);
  tiny = await store.resolve('tiny');
  leaky = await store.resolve('leaky');
  pool = new InferencePool({ threads: 2, provider: 'cpu' });
});
afterAll(async () => {
  await pool.close();
  await rm(folder, { recursive: true });
});

/** Crystals of one to four atoms, all embeddable. */
const many = (count: number): Crystal[] =>
  Array.from({ length: count }, (_, k) =>
    crystal(
      Array.from({ length: 1 + (k % 4) }, (_, atom) => 11 + ((k + atom) % 25)),
      4 + (k % 5) / 10,
    ),
  );

/** Resolves another model without the store's own checks, as if the file had changed behind its back. */
async function resolved(id: string, onnx: Uint8Array, overrides: Record<string, unknown> = {}): Promise<ResolvedModel> {
  await writeModel(folder, onnx, tinyCard(onnx, { id, ...overrides }));
  return new ModelStore([folder]).resolve(id);
}

describe('embed', () => {
  test('gives every atom its vector and every structure its energy, in input order', async () => {
    const structures = many(40);
    const result = await pool.embed(tiny, structures, { budget: { atoms: 7, edges: 500 } });
    expect(result.accepted).toEqual(structures.map((_, index) => index));
    expect(result.rejections).toEqual([]);
    structureEmbeddings(result, structures).forEach((embedding, index) => {
      const wanted = tinyEmbedding(structures[index]);
      wanted.forEach((value, k) => expect(embedding[k]).toBeCloseTo(value, 3));
      expect(result.energies![index]).toBeCloseTo(
        wanted.reduce((sum, value) => sum + value),
        2,
      );
    });
  });

  test('does not depend on the number of threads, to the last bit', async () => {
    const structures = many(60);
    const other = new InferencePool({ threads: 1, provider: 'cpu', graphThreads: 3 });
    const [two, one] = await Promise.all(
      [pool, other].map((each) => each.embed(tiny, structures, { budget: { atoms: 9, edges: 900 } })),
    );
    await other.close();
    expect(Buffer.from(one.embedding.buffer).equals(Buffer.from(two.embedding.buffer))).toBe(true);
    expect(one.energies).toEqual(two.energies);
  });

  test('leaves the structures of the caller untouched and usable', async () => {
    const structures = many(3);
    await pool.embed(tiny, structures);
    expect(structures).toEqual(many(3));
  });

  test('of nothing is nothing', async () => {
    expect(await pool.embed(tiny, [])).toMatchObject({
      embedding: new Float32Array(0),
      accepted: [],
      rejections: [],
      energies: new Float64Array(0),
    });
  });

  test('rejects what the model cannot take and embeds the rest as if it had been given alone', async () => {
    const good = many(6);
    const structures = [
      crystal([92]),
      good[0],
      crystal([3, ZERO_ELEMENT]),
      good[1],
      crystal([NAN_ELEMENT, 3]),
      ...good.slice(2),
    ];
    const result = await pool.embed(tiny, structures);
    expect(result.rejections).toMatchObject([
      { index: 0, code: 'unsupported_element' },
      { index: 2, code: 'zero_norm_embedding', message: expect.stringContaining('atom 1 by tiny is zero') as string },
      {
        index: 4,
        code: 'non_finite_embedding',
        message: expect.stringContaining('atom 0 by tiny holds NaN') as string,
      },
    ]);
    expect(result.accepted).toEqual([1, 3, 5, 6, 7, 8]);
    expect(result.embedding).toEqual((await pool.embed(tiny, good)).embedding);
  });

  test('does not reject a structure for the NaN of its neighbour in the batch', async () => {
    const good = many(4);
    const result = await pool.embed(leaky, [good[0], crystal([NAN_ELEMENT]), ...good.slice(1)]);
    expect(result.rejections).toMatchObject([{ index: 1, code: 'non_finite_embedding' }]);
    expect(result.embedding).toEqual((await pool.embed(tiny, good)).embedding);
  });

  test('reports progress that grows to the number of structures', async () => {
    const seen: number[] = [];
    await pool.embed(tiny, [crystal([92]), ...many(30)], {
      budget: { atoms: 5, edges: 500 },
      onProgress: (done) => seen.push(done),
    });
    expect(seen.at(-1)).toBe(31);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.length).toBeGreaterThan(5);
  });

  test('calls that run together do not mix, and their thread time adds up to that of the pool', async () => {
    const own = new InferencePool({ threads: 2, provider: 'cpu' });
    const shards = [many(30), many(50).reverse(), many(10)];
    const together = await Promise.all(shards.map((shard) => own.embed(tiny, shard)));
    for (const [k, shard] of shards.entries()) {
      expect(together[k].embedding).toEqual((await pool.embed(tiny, shard)).embedding);
    }
    const usage = own.usage();
    const sum = (of: 'runSeconds' | 'threadSeconds') => together.reduce((total, { timing }) => total + timing[of], 0);
    expect(sum('threadSeconds')).toBeCloseTo(usage.threadSeconds, 6);
    expect(sum('runSeconds')).toBeCloseTo(usage.runSeconds, 6);
    expect(usage.runSeconds).toBeGreaterThan(0);
    expect(usage.runSeconds).toBeLessThanOrEqual(usage.threadSeconds);
    await own.close();
  });
});

describe('cancellation', () => {
  test('a signal that is already aborted starts nothing', async () => {
    const before = pool.usage().threadSeconds;
    await expect(pool.embed(tiny, many(3), { signal: AbortSignal.abort(new Error('stop')) })).rejects.toThrow('stop');
    expect(pool.usage().threadSeconds).toBe(before);
  });

  test('an abort in the middle rejects with its reason, stops feeding and keeps the threads', async () => {
    const started: Worker[] = [];
    const count = (worker: Worker) => started.push(worker);
    const own = new InferencePool({ threads: 1, provider: 'cpu' });
    await own.embed(tiny, many(1));
    process.on('worker', count);
    const controller = new AbortController();
    let done = 0;
    const structures = many(4000);
    const running = own.embed(tiny, structures, {
      budget: { atoms: 4, edges: 1 },
      signal: controller.signal,
      onProgress: (structuresDone) => {
        done = structuresDone;
        controller.abort(new Error('enough'));
      },
    });
    await expect(running).rejects.toThrow('enough');
    expect(done).toBeLessThan(structures.length);
    const after = await own.embed(tiny, many(5)); // served by the same threads
    process.off('worker', count);
    expect(after.accepted).toHaveLength(5);
    expect(started).toHaveLength(0);
    await own.close();
  });
});

describe('failures', () => {
  test('a thread that dies fails the call it was serving, and the pool goes on', async () => {
    const threads: Worker[] = [];
    const collect = (worker: Worker) => threads.push(worker);
    process.on('worker', collect);
    const own = new InferencePool({ threads: 1, provider: 'cpu' });
    await own.embed(tiny, many(1));
    const running = own.embed(tiny, many(2000), {
      budget: { atoms: 4, edges: 1 },
      onProgress: () => threads.forEach((thread) => void thread.terminate()),
    });
    await expect(running).rejects.toThrow(ThreadCrashed);
    process.off('worker', collect);
    expect((await own.embed(tiny, many(8))).accepted).toHaveLength(8);
    await own.close();
  });

  test('a file that is no ONNX model is refused, and the pool goes on', async () => {
    const rubbish = await resolved('rubbish', new TextEncoder().encode('this is not a model'));
    await expect(pool.embed(rubbish, many(2))).rejects.toThrow(ModelRefused);
    const onnx = tinyNetwork();
    const halved = await resolved('halved', onnx.slice(0, onnx.length / 2));
    await expect(pool.embed(halved, many(2))).rejects.toThrow(/halved.*(cut short|not an ONNX model|cannot load)/);
    expect((await pool.embed(tiny, many(2))).accepted).toHaveLength(2);
  });

  test('a file that changes after it was resolved is refused', async () => {
    const model = await resolved('changing', tinyNetwork());
    await writeFile(model.onnxPath, tinyNetwork(true));
    const fresh = new InferencePool({ threads: 1, provider: 'cpu' }); // has not loaded this digest
    await expect(fresh.embed(model, many(2))).rejects.toThrow(/changed on disk, resolve it again/);
    await fresh.close();
  });

  const tinyInputs = tinyCard(tinyNetwork())['inputs'] as Record<string, unknown>;
  test.each<[string, Record<string, unknown>, RegExp]>([
    ['another opset', { opset: 18 }, /card of 'liar' says opset 18, its ONNX file imports 17/],
    [
      'another width',
      {
        embedding: { layer: 'x', dim: 5, invariant: true },
        outputs: { node_embedding: { type: 'float32', shape: ['n_atoms', 5] } },
      },
      /output 'node_embedding' is float32 \[n_atoms, 5\] on the card but float32 \[n_atoms, 4\] in the ONNX file/,
    ],
    [
      'an input too many',
      { inputs: { ...tinyInputs, structure_index: { type: 'int64', shape: ['n_atoms'] } } },
      /input 'structure_index' of the card is not in the ONNX file \(it has atomic_numbers, edge_index, edge_vectors\)/,
    ],
    [
      'an input too few',
      { inputs: { atomic_numbers: tinyInputs['atomic_numbers'], edge_index: tinyInputs['edge_index'] } },
      /the network asks for input 'edge_vectors', which the card does not list/,
    ],
  ])('a card that states %s is refused, naming both', async (_, overrides, message) => {
    const model = await resolved('liar', tinyNetwork(), overrides);
    const fresh = new InferencePool({ threads: 1, provider: 'cpu' });
    const failure = fresh.embed(model, many(2));
    await expect(failure).rejects.toThrow(ModelRefused);
    await expect(failure).rejects.toThrow(message);
    await fresh.close();
  });

  const cudaLibrary = join(
    dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json')),
    `bin/napi-v6/${process.platform}/${process.arch}/libonnxruntime_providers_cuda.so`,
  );
  test.skipIf(existsSync(cudaLibrary))(
    'a provider that is not installed is named with the way to add it, never replaced',
    async () => {
      const cuda = new InferencePool({ threads: 1, provider: 'cuda' });
      const failure = cuda.embed(tiny, many(2));
      await expect(failure).rejects.toThrow(ProviderUnavailable);
      await expect(failure).rejects.toThrow(/provider 'cuda' is not available.*or choose provider 'cpu'/s);
      await cuda.close();
    },
  );
});

test('the encoder version names the pinned ONNX Runtime, whose arithmetic is part of every number', async () => {
  const { dependencies } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  expect(ENCODER_VERSION).toMatch(/^\d+\+ort/);
  expect(ENCODER_VERSION.split('+ort')[1]).toBe(dependencies['onnxruntime-node']);
});
