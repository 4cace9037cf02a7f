import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { canonicalJsonBytes } from '../../datasets/canonicalJson.js';
import { CATALOG, embeddingsLeaf, manifest, structuresLeaf } from '../../datasets/keys.js';
import type { PartEntry, RunContent } from '../../datasets/manifest.js';
import { DryRunStore } from '../../datasets/store/dryRun.js';
import { openStore } from '../../datasets/store/open.js';
import type { ObjectStore } from '../../datasets/store/objectStore.js';
import { analogiesTable } from '../../datasets/tables/analogies.js';
import { atypicalTable } from '../../datasets/tables/atypical.js';
import { elementTransportTable } from '../../datasets/tables/elementTransport.js';
import { decodeEmbeddings, encodeEmbeddings } from '../../datasets/tables/embeddings.js';
import { similarityRowsTable } from '../../datasets/tables/similarityRows.js';
import { decodeTransportBarycentric, encodeTransportBarycentric } from '../../datasets/tables/transportBarycentric.js';
import { sha256Hex } from '../../datasets/digest.js';
import type { Check } from '../../datasets/checkList.js';
import { verifyDataset } from '../../datasets/verify.js';
import { SNAPSHOT, writeSample } from './sampleDataset.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'koine-verify-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

let store: ObjectStore;
beforeEach(() => {
  store = new DryRunStore(openStore(join(folder, 'never-made'))); // in memory: no flushes to wait for
});

const failed = (checks: readonly Check[]) => checks.filter(({ ok }) => !ok);

test('a sound dataset passes every check, parts are counted as they are read', async () => {
  store = openStore(join(folder, 'sound'));
  const { parts } = await writeSample(store);
  const seen: number[] = [];
  const checks = await verifyDataset(store, { onProgress: ({ done, total }) => seen.push(done / total) });
  expect(failed(checks)).toEqual([]);
  expect(checks.map(({ name }) => name)).toMatchInlineSnapshot(`
    [
      "the catalog names runs",
      "the catalog points at manifests",
      "manifests read",
      "manifests agree on objects",
      "manifests count their rows and parts",
      "manifests state the schemas",
      "manifest trees are whole",
      "objects have their sizes and digests",
      "ids are unique",
      "parts have their schema, order and rows",
      "a leaf has one dimension",
      "embeddings refer to structures",
      "anchors are distinct atoms of the data",
      "anchor vectors are one an anchor",
      "coordinates refer to structures",
      "vectors have the dimension of their basis",
      "structure_vectors refer to structures",
      "tables name embedded models",
      "similarity_rows refer to embedded atoms",
      "transport refer to embedded atoms",
      "transport_barycentric refer to embedded atoms",
      "atypical refer to embedded atoms",
      "analogies refer to embedded atoms",
      "coordinates cover exactly the embedded structures",
      "structure_vectors cover exactly the embedded structures",
      "leaves hold nothing else",
      "leaves are marked _SUCCESS",
    ]
  `);
  expect(seen).toHaveLength([...parts.values()].flat().length + 1);
  expect(seen.at(-1)).toBe(1);
});

test('several runs over one output are sound together', async () => {
  await writeSample(store);
  await writeSample(store, { name: 'more', models: ['model-a', 'model-b', 'model-c'] });
  await writeSample(store, { name: 'fewer', models: ['model-a', 'model-c'] });
  expect(failed(await verifyDataset(store))).toEqual([]);
});

test('an empty store is no dataset', async () => {
  expect(failed(await verifyDataset(store))).toMatchObject([{ name: 'the catalog names runs' }]);
});

describe('damage is found and named', () => {
  const part = (parts: Map<string, PartEntry[]>, table: string) => (parts.get(table) as PartEntry[])[0];

  const damages: Record<
    string,
    [check: string, damage: (parts: Map<string, PartEntry[]>, digest: string) => Promise<unknown>]
  > = {
    'a flipped byte': [
      'objects have their sizes and digests',
      async (parts) => {
        const { key } = part(parts, 'embeddings');
        const bytes = Uint8Array.from(await store.get(key));
        bytes[bytes.length >> 1] ^= 1;
        return store.put(key, bytes);
      },
    ],
    'a truncated object': [
      'objects have their sizes and digests',
      async (parts) => {
        const { key } = part(parts, 'transport');
        return store.put(key, (await store.get(key)).subarray(0, -1));
      },
    ],
    'a deleted object': [
      'objects have their sizes and digests',
      (parts) => store.delete([part(parts, 'similarity').key]),
    ],
    'a stranger in a leaf': [
      'leaves hold nothing else',
      () => store.put(`${embeddingsLeaf(SNAPSHOT, 'model-a')}part-99999-0123456789abcdef.parquet`, Buffer.from('x')),
    ],
    'a missing mark': ['leaves are marked _SUCCESS', () => store.delete([`${structuresLeaf(SNAPSHOT)}_SUCCESS`])],
    'a deleted manifest': ['the catalog points at manifests', (_, digest) => store.delete([manifest(digest)])],
    'a changed manifest': [
      'the catalog points at manifests',
      async (_, digest) => {
        const text = Buffer.from(await store.get(manifest(digest))).toString();
        return store.put(manifest(digest), Buffer.from(text.replace('"atoms":11', '"atoms":12')));
      },
    ],
    'a foreign catalog': ['the catalog names runs', () => store.put(CATALOG, canonicalJsonBytes({ version: 7 }))],
  };

  test.each(Object.entries(damages))('%s', async (_, [check, damage]) => {
    const { parts, digest } = await writeSample(store);
    await damage(parts, digest);
    const wrong = failed(await verifyDataset(store));
    expect(wrong.map(({ name }) => name)).toContain(check);
  });
});

describe('tables that do not belong together are found, though every digest is right', () => {
  /** Commits the sample with one part of one table replaced. */
  const withPart =
    (table: string, change: (bytes: Uint8Array) => Promise<{ bytes: Uint8Array; rows: number }>) => async () => {
      const { content, parts } = await writeSample(store, { name: 'first' });
      const [old, ...others] = parts.get(table) as PartEntry[];
      const { bytes, rows } = await change(await store.get(old.key));
      const sha256 = sha256Hex(bytes);
      const entry = {
        key: old.key.replace(old.sha256.slice(0, 16), sha256.slice(0, 16)),
        bytes: bytes.length,
        rows,
        sha256,
      };
      await store.put(entry.key, bytes);
      const tables = content.tables.map((item) =>
        item.table === table ? { ...item, parts: [entry, ...others] } : item,
      );
      await writeSample(store, { name: 'changed', draft: (): RunContent => ({ ...content, name: 'changed', tables }) });
    };

  const faults: Record<string, [check: string, commit: () => Promise<void>]> = {
    'an embedding of a structure that is not in the snapshot': [
      'embeddings refer to structures',
      withPart('embeddings', (bytes) => {
        const rows = decodeEmbeddings(bytes);
        const changed = encodeEmbeddings({ ...rows, materialIds: ['mp-1', 'mp-10', 'mp-77'] });
        return Promise.resolve({ bytes: changed, rows: rows.atomicNumbers.length });
      }),
    ],
    'coordinates without an embedding': [
      'coordinates cover exactly the embedded structures',
      withPart('embeddings', (bytes) => {
        const rows = decodeEmbeddings(bytes);
        const n = rows.offsets[2];
        const changed = encodeEmbeddings({
          materialIds: rows.materialIds.slice(0, 2),
          offsets: rows.offsets.slice(0, 3),
          atomicNumbers: rows.atomicNumbers.slice(0, n),
          vectors: rows.vectors.slice(0, n * rows.dim),
          dim: rows.dim,
        });
        return Promise.resolve({ bytes: changed, rows: n });
      }),
    ],
    'a row of a pair that no model embedded': [
      'similarity_rows refer to embedded atoms',
      withPart('similarity_rows', async () => {
        const rows = [{ draw: 0, material_id: 'mp-1', atom_index: 2, place: 0 }];
        return { bytes: await similarityRowsTable.encode(rows), rows: 1 };
      }),
    ],
    'an image of an atom that is not in its structure': [
      'transport_barycentric refer to embedded atoms',
      withPart('transport_barycentric', (bytes) => {
        const rows = decodeTransportBarycentric(bytes);
        const changed = encodeTransportBarycentric({ ...rows, atomIndices: Int32Array.of(1, 4) });
        return Promise.resolve({ bytes: changed, rows: 2 });
      }),
    ],
    'an image in another basis': [
      'vectors have the dimension of their basis',
      withPart('transport_barycentric', (bytes) => {
        const rows = decodeTransportBarycentric(bytes);
        const changed = encodeTransportBarycentric({ ...rows, images: new Float32Array(4), dim: 2 });
        return Promise.resolve({ bytes: changed, rows: 2 });
      }),
    ],
    'a score of a structure that is not in the snapshot': [
      'atypical refer to embedded atoms',
      withPart('atypical', async (bytes) => {
        const { rows } = await atypicalTable.decode(bytes);
        return { bytes: await atypicalTable.encode([{ ...rows[0], material_id: 'mp-77' }, rows[1]]), rows: 2 };
      }),
    ],
    'an analogy whose target is not in the snapshot': [
      'analogies refer to embedded atoms',
      withPart('analogies', async (bytes) => {
        const { rows } = await analogiesTable.decode(bytes);
        return { bytes: await analogiesTable.encode([{ ...rows[0], target_material_id: 'mp-77' }]), rows: 1 };
      }),
    ],
    'a row of a model that embedded nothing': [
      'tables name embedded models',
      withPart('element_transport', async (bytes) => {
        const { rows } = await elementTransportTable.decode(bytes);
        return { bytes: await elementTransportTable.encode([{ ...rows[0], model_b: 'model-z' }]), rows: 1 };
      }),
    ],
    'a wrong row count': [
      'parts have their schema, order and rows',
      withPart('similarity_rows', (bytes) => Promise.resolve({ bytes: Buffer.from(bytes), rows: 7 })),
    ],
    'another table under the name': [
      'parts have their schema, order and rows',
      withPart('coordinates', () => {
        const vectors = new Float32Array(3 * atoms().atomicNumbers.length);
        return Promise.resolve({ bytes: encodeEmbeddings({ ...atoms(), vectors, dim: 3 }), rows: 6 });
      }),
    ],
  };
  const atoms = () => ({
    materialIds: ['mp-1', 'mp-10', 'mp-2'],
    offsets: Int32Array.of(0, 2, 3, 6),
    atomicNumbers: Int32Array.of(11, 17, 11, 11, 17, 11),
  });

  test.each(Object.entries(faults))('%s', async (_, [check, commit]) => {
    await commit();
    const wrong = failed(await verifyDataset(store));
    expect(wrong.map(({ name }) => name)).toContain(check);
  });
});
