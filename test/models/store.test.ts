import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ModelRefused } from '../../models/card.js';
import { ModelStore, sha256Hex, type ModelFetcher } from '../../models/store.js';
import { tinyCard, tinyNetwork, writeModel } from './tinyNetwork.js';

const onnx = tinyNetwork();
let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'koine-store-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A bucket in memory that counts what is fetched. */
function bucket(objects: Record<string, Uint8Array>): ModelFetcher & { fetched: string[] } {
  const fetched: string[] = [];
  return {
    name: 's3://bucket/models',
    fetched,
    list: () => Promise.resolve(Object.keys(objects)),
    fetch: (path) => {
      fetched.push(path);
      return Promise.resolve(objects[path]);
    },
  };
}
const remoteTiny = (card = tinyCard(onnx), file = onnx) =>
  bucket({
    'tiny/model.onnx': file,
    'tiny/card.json': Buffer.from(JSON.stringify(card)),
    'tiny/notes/card.json': new Uint8Array(),
    'README.md': new Uint8Array(),
  });

test('a model in a folder is used in place', async () => {
  await writeModel(folder, onnx, tinyCard(onnx));
  const model = await new ModelStore([folder]).resolve('tiny');
  expect(model).toMatchObject({ id: 'tiny', onnxSha256: sha256Hex(onnx), onnxPath: join(folder, 'tiny/model.onnx') });
  expect(model.cardSha256).toBe(sha256Hex(await readFile(join(folder, 'tiny/card.json'))));
});

test('the first location that has an id wins, and list shows it once', async () => {
  await writeModel(join(folder, 'a'), onnx, tinyCard(onnx, { name: 'first' }));
  await writeModel(join(folder, 'b'), onnx, tinyCard(onnx, { name: 'second' }));
  await writeModel(join(folder, 'b'), onnx, tinyCard(onnx, { id: 'other' }));
  const store = new ModelStore([join(folder, 'a'), join(folder, 'missing'), join(folder, 'b')]);
  expect((await store.resolve('tiny')).card.name).toBe('first');
  expect((await store.list()).map(({ id }) => id)).toEqual(['tiny', 'other']);
});

test('list keeps a model whose card is refused, with the reason', async () => {
  await writeModel(folder, onnx, tinyCard(onnx, { opset: 3 }));
  expect(await new ModelStore([folder]).list()).toEqual([
    { id: 'tiny', location: folder, refused: expect.stringContaining('opset is 3') as string },
  ]);
});

test('a file that is not the one on the card is refused with both digests', async () => {
  await writeModel(folder, onnx, tinyCard(onnx));
  const store = new ModelStore([folder]);
  await store.resolve('tiny');
  await writeFile(join(folder, 'tiny/model.onnx'), Buffer.concat([onnx, Buffer.from([0])])); // after a first, good look
  await expect(store.resolve('tiny')).rejects.toThrow(ModelRefused);
  await expect(store.resolve('tiny')).rejects.toThrow(
    new RegExp(`has SHA-256 [0-9a-f]{64}, but its card's onnx_sha256 is ${sha256Hex(onnx)}`),
  );
});

test.each<[string, (folder: string) => Promise<unknown>, RegExp]>([
  [
    'a card of another id',
    (at) =>
      writeModel(at, onnx, tinyCard(onnx)).then(() =>
        writeFile(join(at, 'tiny/card.json'), JSON.stringify(tinyCard(onnx, { id: 'huge' }))),
      ),
    /says id 'huge', but its folder is 'tiny'/,
  ],
  [
    'a card that is not JSON',
    (at) => writeModel(at, onnx, tinyCard(onnx)).then(() => writeFile(join(at, 'tiny/card.json'), '{')),
    /tiny\/card\.json is not JSON/,
  ],
  [
    'a card without its ONNX file',
    (at) => writeModel(at, onnx, tinyCard(onnx)).then(() => rm(join(at, 'tiny/model.onnx'))),
    /model\.onnx is missing beside its card/,
  ],
])('refuses %s', async (_, arrange, message) => {
  await arrange(folder);
  await expect(new ModelStore([folder]).resolve('tiny')).rejects.toThrow(message);
});

test('a remote model is fetched once and kept under its digest', async () => {
  const remote = remoteTiny();
  const model = await new ModelStore([remote], folder).resolve('tiny');
  expect(model.onnxPath).toBe(join(folder, sha256Hex(onnx), 'model.onnx'));
  expect(await readFile(model.onnxPath)).toEqual(Buffer.from(onnx));
  await new ModelStore([remote], folder).resolve('tiny'); // another process
  expect(remote.fetched.filter((path) => path.endsWith('.onnx'))).toHaveLength(1);
});

test('a damaged copy in the cache is fetched again', async () => {
  const { onnxPath } = await new ModelStore([remoteTiny()], folder).resolve('tiny');
  await writeFile(onnxPath, 'half');
  const again = remoteTiny();
  await new ModelStore([again], folder).resolve('tiny');
  expect(again.fetched).toContain('tiny/model.onnx');
  expect(await readFile(onnxPath)).toEqual(Buffer.from(onnx));
});

test('a remote file that is not the one on the card never enters the cache', async () => {
  const remote = remoteTiny(tinyCard(onnx), onnx.slice(1));
  await expect(new ModelStore([remote], folder).resolve('tiny')).rejects.toThrow(
    /s3:\/\/bucket\/models\/tiny\/model\.onnx has SHA-256/,
  );
  expect(await readdir(folder)).toEqual([]);
});

test('stores that fetch the same model at once all end with it whole', async () => {
  const models = await Promise.all(
    Array.from({ length: 8 }, () => new ModelStore([remoteTiny()], folder).resolve('tiny')),
  );
  expect(new Set(models.map(({ onnxPath }) => onnxPath)).size).toBe(1);
  expect(await readdir(join(folder, sha256Hex(onnx)))).toEqual(['model.onnx']);
});

test('an unknown id names the stores searched and the ids there, closest first', async () => {
  for (const id of ['mace-s', 'chgnet-0.3.0', 'chgnet-0.2.0']) await writeModel(folder, onnx, tinyCard(onnx, { id }));
  await expect(new ModelStore([folder, remoteTiny()]).resolve('chgnet-0.3')).rejects.toThrow(
    `models/store: no model 'chgnet-0.3' in ${folder}, s3://bucket/models; there are chgnet-0.3.0, chgnet-0.2.0, `,
  );
});
