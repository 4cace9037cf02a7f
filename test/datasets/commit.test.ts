import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { canonicalJsonBytes } from '../../datasets/canonicalJson.js';
import { pointRun, readCatalog, updateCatalog } from '../../datasets/catalog.js';
import { ModelConflict, claimModel, type ModelIdentity } from '../../datasets/claim.js';
import { RunIncomplete, commitRun } from '../../datasets/commit.js';
import { digestJson, sha256Hex } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import {
  ManifestCorrupt,
  manifestNodeKeys,
  manifestParts,
  putManifest,
  putPartList,
  readManifest,
  type PartEntry,
  type PartListEntry,
  type RunContent,
} from '../../datasets/manifest.js';
import { findReceipt, placePart, writeReceipt, type Receipt } from '../../datasets/receipts.js';
import { DryRunStore } from '../../datasets/store/dryRun.js';
import { ObjectNotFound, StoreRefused, type ObjectStore } from '../../datasets/store/objectStore.js';
import { openStore } from '../../datasets/store/open.js';
import { verifyDataset } from '../../datasets/verify.js';
import { MemoryStore } from '../support/memoryStore.js';
import { startS3Server, type S3Server } from '../support/s3Server.js';
import { SNAPSHOT, writeSample } from './sampleDataset.js';

let folder: string;
let s3: S3Server;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'koine-commit-'));
  s3 = await startS3Server();
});
afterAll(async () => {
  await s3.stop();
  await rm(folder, { recursive: true, force: true });
});

let store: ObjectStore;
beforeEach(() => {
  store = new DryRunStore(openStore(join(folder, 'never-made'))); // in memory
});

const keysOf = async (prefix: string, of = store) => {
  const found = [];
  for await (const { key } of of.list(prefix)) found.push(key);
  return found;
};
const wrongIn = async (of: ObjectStore) => (await verifyDataset(of)).filter(({ ok }) => !ok);

const content: RunContent = {
  name: 'run',
  snapshot: SNAPSHOT,
  basis: null,
  inputs: { models: ['a'] },
  params: {},
  counts: { atoms: 3 },
  documents: [],
  tables: [],
};
const part = (i: number): PartEntry => ({ key: `leaf/part-${i}`, bytes: i, rows: i, sha256: sha256Hex(String(i)) });

describe('a manifest', () => {
  test('has a digest that depends on content only, not on the order it was given in', async () => {
    const tables = (parts: PartEntry[]) => [
      { table: 'b', schema: { x: 'int32', y: 'string' }, parts },
      { table: 'a', schema: { y: 'string', x: 'int32' }, parts: [] },
    ];
    const first = await putManifest(store, { ...content, tables: tables([part(1), part(2)]) });
    const turned = { ...content, tables: tables([part(2), part(1)]).reverse() };
    expect(await putManifest(store, turned)).toBe(first);
    expect(await putManifest(store, { ...turned, counts: { atoms: 4 } })).not.toBe(first);
    expect(first).toBe(sha256Hex(await store.get(keys.manifest(first))));
  });

  test('is a tree: part lists hold a bounded number of parts, and every node truthfully lists its children', async () => {
    async function* parts() {
      for (let i = 24; i >= 0; i--) yield Promise.resolve(part(i));
    }
    const tables = [{ table: 't', schema: {}, parts: parts() }];
    const digest = await putManifest(store, { ...content, tables }, { partsPerList: 10 });
    const run = await readManifest(store, digest);
    expect(run.tables).toMatchObject([{ table: 't', rows: 300, part_count: 25 }]);
    const read = [];
    for await (const entry of manifestParts(store, run, 't')) read.push(entry);
    expect(read).toHaveLength(25);
    expect(read.map(({ key }) => key)).toEqual(read.map(({ key }) => key).sort());
    const nodes = [];
    for await (const key of manifestNodeKeys(store, digest, run)) nodes.push(key);
    expect(nodes.sort()).toEqual(await keysOf(keys.MANIFESTS)); // root, table, three lists
    expect(nodes).toHaveLength(5);
    for (const key of nodes) {
      const bytes = await store.get(key);
      expect(key).toBe(keys.manifest(sha256Hex(bytes)));
      const listed = JSON.stringify(JSON.parse(Buffer.from(bytes).toString()));
      for (const [, child, sha256] of listed.matchAll(/"key":"(manifests[^"]+)"[^}]*"sha256":"([^"]+)"/g)) {
        expect(sha256Hex(await store.get(child))).toBe(sha256);
      }
    }
  });

  test('refuses a table or a part that is listed twice', async () => {
    const twice = { table: 't', schema: {}, parts: [part(1), part(1)] };
    await expect(putManifest(store, { ...content, tables: [twice] })).rejects.toThrow(/lists 'leaf\/part-1' twice/);
    const once = { table: 't', schema: {}, parts: [part(1)] };
    await expect(putManifest(store, { ...content, tables: [once, once] })).rejects.toThrow(/table 't' twice/);
  });

  test('that is missing or changed does not read', async () => {
    await expect(readManifest(store, digestJson('none'))).rejects.toThrow(ManifestCorrupt);
    const digest = await putManifest(store, content);
    await store.put(keys.manifest(digest), canonicalJsonBytes({ kind: 'run', version: 1 }));
    await expect(readManifest(store, digest)).rejects.toThrow(/digest in its name/);
  });
});

describe('the catalog', () => {
  test('keeps what racing writers of other names wrote', async () => {
    const s3Store = openStore(`${s3.url}/catalog`, s3);
    for (const of of [openStore(join(folder, 'catalog')), s3Store]) {
      const names = Array.from({ length: 8 }, (_, i) => `run-${i}`);
      await Promise.all(names.map((name) => pointRun(of, name, { manifest: digestJson(name) })));
      const { runs } = await readCatalog(of);
      expect(Object.keys(runs).sort()).toEqual(names);
      for (const name of names) expect(runs[name].manifest).toBe(digestJson(name));
    }
  });

  test('is not rewritten where nothing changes, and keeps a pinned basis beside a new manifest', async () => {
    const basis = { digest: digestJson('b'), method: 'direct', anchors: 3, reference_model: 'm' };
    await updateCatalog(store, (catalog) => ({ ...catalog, runs: { run: { basis } } }));
    const before = await store.getWithEtag(keys.CATALOG);
    await updateCatalog(store, (catalog) => catalog);
    expect((await store.getWithEtag(keys.CATALOG))?.etag).toBe(before?.etag);
    await pointRun(store, 'run', { manifest: digestJson('m') });
    expect((await readCatalog(store)).runs.run).toEqual({ basis, manifest: digestJson('m') });
  });

  test.each(['', '{"version":1,"ru'])(
    'that is damaged (%j) is named with the way out, and not overwritten',
    async (text) => {
      await store.put(keys.CATALOG, Buffer.from(text));
      await expect(pointRun(store, 'run', {})).rejects.toThrow(StoreRefused);
      await expect(readCatalog(store)).rejects.toThrow(/'catalog.json' in .*(is empty|is no JSON).*run again/);
    },
  );

  test('of another version is not overwritten', async () => {
    await store.put(keys.CATALOG, canonicalJsonBytes({ version: 2, runs: {} }));
    await expect(pointRun(store, 'run', {})).rejects.toThrow(/another version of koine/);
  });
});

describe('a claim', () => {
  const identity: ModelIdentity = {
    onnx_sha256: digestJson('onnx'),
    encoder_version: '1',
    provider: 'cpu',
    contract_sha256: 'c'.repeat(64),
    batch_budget: { atoms: 1000, edges: 50000 },
  };
  const other = { ...identity, provider: 'cuda' };

  test('is held by one identity; another is refused with both values and the way out', async () => {
    expect(await claimModel(store, SNAPSHOT, 'm', identity)).toBe('claimed');
    expect(await claimModel(store, SNAPSHOT, 'm', { ...identity })).toBe('held');
    expect(await claimModel(store, digestJson('another snapshot'), 'm', other)).toBe('claimed');
    const refused = claimModel(store, SNAPSHOT, 'm', other);
    await expect(refused).rejects.toThrow(ModelConflict);
    await expect(refused).rejects.toThrow(/provider is "cpu" there and "cuda" here.*--replace/);
    await expect(refused).rejects.not.toThrow(/encoder_version is/);
  });

  test('that is damaged is named with the way out, or replaced', async () => {
    await store.put(keys.claim(SNAPSHOT, 'm'), Buffer.from('{"onnx'));
    await expect(claimModel(store, SNAPSHOT, 'm', identity)).rejects.toThrow(StoreRefused);
    await expect(claimModel(store, SNAPSHOT, 'm', identity)).rejects.toThrow(/claims.*m\.json.*is no JSON.*--replace/);
    expect(await claimModel(store, SNAPSHOT, 'm', identity, { replace: true })).toBe('replaced');
    expect(await claimModel(store, SNAPSHOT, 'm', identity)).toBe('held');
  });

  test('that replaces another takes the marks of everything made from the old numbers, and of nothing else', async () => {
    await writeSample(store, { models: ['model-a', 'model-b', 'model-c'] });
    await claimModel(store, SNAPSHOT, 'model-b', identity);
    const marksBefore = (await keysOf('')).filter((key) => key.endsWith('_SUCCESS'));
    expect(await claimModel(store, SNAPSHOT, 'model-b', other, { replace: true })).toBe('replaced');
    expect(await claimModel(store, SNAPSHOT, 'model-b', other)).toBe('held');
    const marks = new Set((await keysOf('')).filter((key) => key.endsWith('_SUCCESS')));
    const taken = marksBefore.filter((key) => !marks.has(key));
    expect(taken.length).toBeGreaterThanOrEqual(7); // embeddings, coordinates, structure vectors, two pairs' rows and plans
    for (const key of taken) expect(key).toMatch(/=(model-b|all)\//);
  });
});

describe('a committed run', () => {
  test('can be committed again, changes nothing, and has the same digest in a folder and on S3', async () => {
    const onDisk = openStore(join(folder, 'committed'));
    const first = await writeSample(onDisk);
    const before = await keysOf('', onDisk);
    expect((await writeSample(onDisk)).digest).toBe(first.digest);
    expect(await keysOf('', onDisk)).toEqual(before);
    const onS3 = openStore(`${s3.url}/committed`, s3);
    expect((await writeSample(onS3)).digest).toBe(first.digest);
    expect(await keysOf('', onS3)).toEqual(before);
    expect(await wrongIn(onS3)).toEqual([]);
  });

  test('two racing commits of equal content meet at one digest and lose no part', async () => {
    const place = join(folder, 'racing');
    const [a, b] = await Promise.all([writeSample(openStore(place)), writeSample(openStore(place))]);
    expect(a.digest).toBe(b.digest);
    expect(await wrongIn(openStore(place))).toEqual([]);
  });

  test('is refused where a part is missing, and the catalog stays as it was', async () => {
    const draft = (wanted: RunContent): RunContent => ({
      ...wanted,
      tables: wanted.tables.map((item) =>
        item.table === 'embeddings'
          ? {
              ...item,
              parts: [
                ...(item.parts as PartEntry[]),
                { ...part(1), key: `${keys.embeddingsLeaf(SNAPSHOT, 'model-a')}part-1` },
              ],
            }
          : item,
      ),
    });
    await expect(writeSample(store, { draft })).rejects.toThrow(/1 objects of the manifest are missing.*part-1'/);
    expect((await readCatalog(store)).runs).toEqual({});
  });

  test('clears its leaves of what a crashed run left, and leaves the pairs of other runs alone', async () => {
    const debris = `${keys.embeddingsLeaf(SNAPSHOT, 'model-a')}part-00000-ffffffffffffffff.parquet`;
    await store.put(debris, Buffer.from('left behind'));
    await writeSample(store, { name: 'three', models: ['model-a', 'model-b', 'model-c'] });
    expect(await store.head(debris)).toBeUndefined();
    const before = await keysOf('');
    await writeSample(store, { name: 'two' });
    expect((await keysOf('')).filter((key) => !key.startsWith('manifests/'))).toEqual(
      before.filter((key) => !key.startsWith('manifests/')),
    );
    expect(await wrongIn(store)).toEqual([]);
  });

  test('of many thousands of parts is compared leaf by leaf, whatever the order of its lists', async () => {
    const many = new MemoryStore();
    const models = ['model-b', 'model-a'];
    const perModel = 6_000;
    const lists: PartListEntry[] = [];
    for (const model of models)
      for (const page of [1, 0]) {
        const parts = Array.from({ length: perModel / 2 }, (_, i) => {
          const index = page * (perModel / 2) + i;
          const key = keys.embeddingsPart(SNAPSHOT, model, index, digestJson(index));
          return { key, bytes: 1, rows: 1, sha256: digestJson(index) };
        });
        for (const { key } of parts) await many.put(key, Buffer.from('x'));
        lists.push(await putPartList(many, 'embeddings', parts.reverse()));
      }
    const wanted = { ...content, tables: [{ table: 'embeddings', schema: {}, lists }] };
    const digest = await commitRun(many, wanted);
    expect(await putManifest(many, { ...wanted, tables: [{ ...wanted.tables[0], lists: [...lists].reverse() }] })).toBe(
      digest,
    );
    const listed = [];
    for await (const { key } of manifestParts(many, await readManifest(many, digest), 'embeddings')) listed.push(key);
    expect(listed).toEqual([...many.objects.keys()].filter((key) => /part-/.test(key)).sort());
    expect(listed).toHaveLength(models.length * perModel);

    const stranger = keys.embeddingsPart(SNAPSHOT, 'model-a', 3, digestJson('stranger'));
    await many.put(stranger, Buffer.from('x'));
    await commitRun(many, wanted);
    expect(many.objects.has(stranger)).toBe(false);
    await many.delete([listed[17], listed[9_000]]);
    await expect(commitRun(many, wanted)).rejects.toThrow(RunIncomplete);
    await expect(commitRun(many, wanted)).rejects.toThrow(/2 objects of the manifest are missing.*part-00017/);
  });

  test('is refused where its lists reach into each other', async () => {
    const [first, second] = await Promise.all(
      [
        [1, 4],
        [2, 3],
      ].map((indices) => putPartList(store, 't', indices.map(part))),
    );
    const tables = [{ table: 't', schema: {}, lists: [first, second] }];
    await expect(commitRun(store, { ...content, tables })).rejects.toThrow(/lists 'leaf\/part-2' after 'leaf\/part-4'/);
  });

  test('with replaced embeddings removes all that came from the old ones, manifests and pointers included', async () => {
    const old = await writeSample(store, { name: 'old', models: ['model-a', 'model-b', 'model-c'] });
    const unrelated = await writeSample(store, { name: 'new', models: ['model-a', 'model-b'], seed: 2 });
    const { runs } = await readCatalog(store);
    expect(runs.old.manifest).toBeUndefined();
    expect(runs.old.basis).toBeDefined();
    expect(runs.new.manifest).toBe(unrelated.digest);
    await expect(readManifest(store, old.digest)).rejects.toThrow(ManifestCorrupt);
    const left = new Set(await keysOf(''));
    for (const entry of old.parts.get('similarity') ?? []) expect(left.has(entry.key)).toBe(false);
    for (const entry of old.parts.get('transport') ?? []) expect(left.has(entry.key)).toBe(false);
    const unpublished = (await wrongIn(store)).map(({ name }) => name);
    expect(unpublished).toEqual([]);
  });
});

describe('a receipt', () => {
  const bytes = Buffer.from('part');
  const output: PartEntry = { key: 'leaf/part', bytes: bytes.length, rows: 1, sha256: sha256Hex(bytes) };
  const receipt: Receipt & { atoms: number } = { outputs: { part: output, moments: null }, atoms: 1 };
  const key = digestJson('input');
  const find = () => findReceipt<typeof receipt>(store, 'embed', key);

  test('is found while its outputs are there with their sizes', async () => {
    expect(await find()).toBeUndefined();
    await store.put(output.key, bytes);
    await writeReceipt(store, 'embed', key, receipt);
    expect(await find()).toEqual(receipt);
    expect(await findReceipt(store, 'project', key)).toBeUndefined();
    await store.put(output.key, Buffer.from('shorter or longer'));
    expect(await find()).toBeUndefined();
    await store.delete([output.key]);
    expect(await find()).toBeUndefined();
  });

  test.each([
    ['empty', () => ''],
    ['cut short', (stored: string) => stored.slice(0, -5)],
    ['no object', () => 'null'],
    ['without outputs', () => JSON.stringify({ of: { stage: 'embed', key } })],
    ["another input's", (stored: string) => stored.replace(key, digestJson('another input'))],
    ["another stage's", (stored: string) => stored.replace('"embed"', '"project"')],
  ])('counts as none where it is %s, and is written anew', async (_, damaged) => {
    await store.put(output.key, bytes);
    await writeReceipt(store, 'embed', key, receipt);
    const stored = Buffer.from(await store.get(keys.receipt('embed', key))).toString();
    await store.put(keys.receipt('embed', key), Buffer.from(damaged(stored)));
    expect(await find()).toBeUndefined();
    await writeReceipt(store, 'embed', key, receipt);
    expect(await find()).toEqual(receipt);
  });

  test('lets a part appear in another snapshot', async () => {
    await store.put(output.key, bytes);
    const placed = await placePart(store, output, 'other/part');
    expect(placed).toEqual({ ...output, key: 'other/part' });
    expect(Buffer.from(await store.get('other/part')).equals(bytes)).toBe(true);
    await expect(placePart(store, { ...output, key: 'gone' }, 'x')).rejects.toThrow(ObjectNotFound);
  });
});

test('keys take digests and names as they are and refuse what would need escaping', () => {
  const pair = { snapshot: SNAPSHOT, basis: SNAPSHOT, params: SNAPSHOT, modelA: 'a-1.5', modelB: 'b_2' };
  const short = SNAPSHOT.slice(0, 16);
  const sha = digestJson('x');
  expect(keys.embeddingsPart(SNAPSHOT, 'm-1.0', 17, sha)).toBe(
    `embeddings/snapshot=${short}/model=m-1.0/part-00017-${sha.slice(0, 16)}.parquet`,
  );
  expect(keys.embeddingsLeaf(short, 'm')).toBe(keys.embeddingsLeaf(SNAPSHOT, 'm'));
  expect(keys.pairPart('similarity', pair, sha)).toBe(
    `similarity/snapshot=${short}/basis=${short}/params=${short}/a-1.5~b_2~${sha.slice(0, 16)}.parquet`,
  );
  expect(keys.isDerivedFrom(keys.pairPart('similarity', pair, sha), 'b_2')).toBe(true);
  expect(keys.isDerivedFrom(keys.pairPart('similarity', pair, sha), 'b')).toBe(false);
  expect(keys.isDerivedFrom(keys.pairRowsPart('transport', pair, 0, sha), 'a-1.5')).toBe(true);
  for (const bad of ['', '.', '..', 'a/b', 'a b', 'é', 'a~b', 'a=b', '.hidden']) {
    expect(() => keys.embeddingsLeaf(SNAPSHOT, bad)).toThrow(RangeError);
  }
  expect(() => keys.structuresLeaf('../../etc')).toThrow(/no digest/);
  expect(() => keys.partName(-1, sha)).toThrow(RangeError);
});
