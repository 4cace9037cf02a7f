import { readCatalog } from './catalog.js';
import { CheckList, type Check } from './checkList.js';
import { sha256Hex } from './digest.js';
import * as keys from './keys.js';
import {
  listManifests,
  manifestNodeKeys,
  manifestParts,
  manifestSchema,
  readManifest,
  type ObjectEntry,
  type RunManifest,
} from './manifest.js';
import { canonicalJson } from './canonicalJson.js';
import type { ObjectStore, StoreOptions } from './store/objectStore.js';
import { TABLE_SCHEMAS, schemaOf } from './tables/schemas.js';
import { TableChecks } from './verifyTables.js';

/** How far a verification is: parts read of parts known. */
export interface VerifyProgress {
  done: number;
  total: number;
  key: string;
}

/** Tables in the order in which they are read: what others refer to comes first. */
const READING_ORDER = Object.keys(TABLE_SCHEMAS);

/**
 * Checks a dataset from its catalog down: digests of manifests and objects, schemas, row counts, order and uniqueness of ids,
 * references between tables, and that leaves are marked and hold nothing else. One part is in memory at a time, beside the ids
 * of the structures.
 * @returns one entry a kind of check; nothing is thrown for what is wrong with the data
 */
export async function verifyDataset(
  store: ObjectStore,
  options: StoreOptions & { onProgress?: (progress: VerifyProgress) => void } = {},
): Promise<Check[]> {
  const list = new CheckList();
  const runs = await readRuns(store, list, options);
  const objects = new Map<string, ObjectEntry & { table?: string; rows?: number }>();
  for (const [digest, run] of runs) await collectObjects(store, digest, run, objects, list, options);

  const tables = new TableChecks(list);
  const order = [...objects.values()].sort((a, b) => rank(a.table) - rank(b.table));
  for (const [done, object] of order.entries()) {
    options.onProgress?.({ done, total: order.length, key: object.key });
    options.signal?.throwIfAborted();
    const bytes = await store.getWithEtag(object.key, options).then((found) => found?.bytes);
    const damage = !bytes
      ? `'${object.key}' is missing`
      : bytes.length !== object.bytes
        ? `'${object.key}' has ${bytes.length} bytes, its manifest says ${object.bytes}`
        : sha256Hex(bytes) !== object.sha256
          ? `'${object.key}' does not have the sha256 of its manifest`
          : undefined;
    list.add('objects have their sizes and digests', damage);
    if (bytes && !damage && object.table !== undefined) {
      await tables.part({ table: object.table, key: object.key, rows: object.rows ?? 0 }, bytes);
    }
  }
  tables.finish();
  await checkLeaves(store, objects, list, options);
  options.onProgress?.({ done: order.length, total: order.length, key: '' });
  return list.checks;
}

function rank(table: string | undefined): number {
  const at = READING_ORDER.indexOf(table ?? '');
  return at < 0 ? READING_ORDER.length : at;
}

/** Roots of all manifest trees: those the catalog points at and older ones. */
async function readRuns(store: ObjectStore, list: CheckList, options: StoreOptions): Promise<Map<string, RunManifest>> {
  const runs = new Map<string, RunManifest>();
  try {
    const catalog = await readCatalog(store, options);
    const entries = Object.entries(catalog.runs);
    list.add('the catalog names runs', entries.length > 0 ? undefined : `${store.url} has no published run`);
    for (const [name, { manifest }] of entries) {
      if (manifest === undefined) continue; // its first run is under way
      await attempt(list, 'the catalog points at manifests', `run '${name}'`, async () => {
        runs.set(manifest, await readManifest(store, manifest, options));
      });
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    list.add('the catalog names runs', (error as Error).message);
  }
  await attempt(list, 'manifests read', keys.MANIFESTS, async () => {
    for await (const { digest } of listManifests(store, options)) {
      if (runs.has(digest)) continue;
      await attempt(list, 'manifests read', keys.manifest(digest), async () => {
        runs.set(digest, await readManifest(store, digest, options));
      });
    }
  });
  return runs;
}

async function collectObjects(
  store: ObjectStore,
  digest: string,
  run: RunManifest,
  objects: Map<string, ObjectEntry & { table?: string; rows?: number }>,
  list: CheckList,
  options: StoreOptions,
): Promise<void> {
  const collect = (entry: ObjectEntry & { table?: string; rows?: number }) => {
    const known = objects.get(entry.key);
    const disagrees = known && known.sha256 !== entry.sha256;
    list.add('manifests agree on objects', disagrees ? `'${entry.key}' has two digests in two manifests` : undefined);
    if (!known) objects.set(entry.key, entry);
  };
  for (const document of run.documents) collect(document);
  for (const { table, rows, part_count } of run.tables) {
    await attempt(list, 'manifests read', `table '${table}' of ${keys.manifest(digest)}`, async () => {
      let [rowSum, count] = [0, 0];
      for await (const part of manifestParts(store, run, table, options)) {
        collect({ ...part, table });
        rowSum += part.rows;
        count++;
      }
      const wrong = rowSum !== rows || count !== part_count;
      list.add(
        'manifests count their rows and parts',
        wrong
          ? `table '${table}' of ${digest} lists ${rowSum} rows in ${count} parts, its root says ${rows} in ${part_count}`
          : undefined,
      );
      if (!(table in TABLE_SCHEMAS)) return;
      const schema = await manifestSchema(store, run, table, options);
      const same = canonicalJson(schema) === canonicalJson(schemaOf(table));
      list.add(
        'manifests state the schemas',
        same ? undefined : `table '${table}' of ${digest} has schema ${canonicalJson(schema)}`,
      );
    });
  }
  await attempt(list, 'manifests read', keys.manifest(digest), async () => {
    for await (const key of manifestNodeKeys(store, digest, run, options)) {
      const present = await store.head(key, options);
      list.add('manifest trees are whole', present ? undefined : `'${key}' is missing`);
    }
  });
}

async function checkLeaves(
  store: ObjectStore,
  objects: ReadonlyMap<string, ObjectEntry>,
  list: CheckList,
  options: StoreOptions,
): Promise<void> {
  const leaves = new Set([...objects.keys()].map(keys.leafOf));
  for (const leaf of leaves) {
    let marked = false;
    for await (const { key } of store.list(leaf, options)) {
      if (keys.leafOf(key) !== leaf) continue;
      if (key === keys.successMark(leaf)) marked = true;
      else {
        const stranger = objects.has(key) ? undefined : `'${key}' is in no manifest; \`koine gc\` removes it`;
        list.add('leaves hold nothing else', stranger);
      }
    }
    list.add('leaves are marked _SUCCESS', marked ? undefined : `'${leaf}' is not`);
  }
}

async function attempt(list: CheckList, name: string, what: string, action: () => Promise<void>): Promise<void> {
  try {
    await action();
    list.add(name);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    list.add(name, `${what}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
