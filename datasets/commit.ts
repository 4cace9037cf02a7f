import { pointRun, updateCatalog, type PinnedBasis } from './catalog.js';
import * as keys from './keys.js';
import { manifestParts, putManifest, readManifest, type RunContent, type RunManifest } from './manifest.js';
import type { ObjectStore, StoreOptions } from './store/objectStore.js';

/**
 * Publishes a run whose parts are all written: the manifest tree, then the leaves (strangers out, `_SUCCESS` last), then the
 * catalog pointer. Every step can be repeated: after a crash, or beside a racing run of equal content, the same call ends in the
 * same place.
 * @returns the digest of the manifest
 * @throws Error where an object of the manifest is not in the store
 */
export async function commitRun(
  store: ObjectStore,
  content: RunContent,
  options: StoreOptions & { basis?: PinnedBasis } = {},
): Promise<string> {
  const digest = await putManifest(store, content, options);
  const run = await readManifest(store, digest, options);
  await publishLeaves(store, run, options);
  const pointer = { manifest: digest, snapshot: run.snapshot };
  await pointRun(store, run.name, options.basis ? { ...pointer, basis: options.basis } : pointer, options);
  return digest;
}

/**
 * Makes every leaf of a manifest hold its objects and nothing else, then marks it `_SUCCESS`. In folders that pairs share,
 * only other files of this manifest's pairs are strangers. Where embeddings that a manifest published are among the strangers,
 * the model was replaced: everything computed from the old ones goes too, and so do the manifests that list any of it.
 */
export async function publishLeaves(store: ObjectStore, run: RunManifest, options: StoreOptions = {}): Promise<void> {
  const leaves = await leavesOf(store, run, options);
  const gone = await strangers(store, leaves, options);
  if (gone.length > 0) {
    const nodes = await manifestNodes(store, options);
    const published = new Set([...nodes.values()].flatMap((node) => [...node.listed]));
    for (const model of replacedModels(gone, published)) {
      gone.push(...(await derivedFrom(store, run.snapshot, model, leaves, options)));
    }
    // What only they listed would be a stranger in a leaf that this run shares with them.
    const orphans = await retireManifests(store, nodes, new Set(gone), options);
    gone.push(...orphans.filter((key) => leaves.has(keys.leafOf(key)) && !gone.includes(key)));
    // Embeddings last: while one is there, a repetition after a crash still sees that the model was replaced.
    const order = gone.sort((a, b) => Number(a.startsWith('embeddings/')) - Number(b.startsWith('embeddings/')));
    const marks = new Set(order.filter((key) => !key.includes('~')).map((key) => keys.successMark(keys.leafOf(key))));
    await store.delete([...marks], options);
    await store.delete(order, options);
  }
  for (const leaf of leaves.keys()) await store.putIfAbsent(keys.successMark(leaf), new Uint8Array(0), options);
}

/** Keys of the manifest's objects by leaf. */
async function leavesOf(
  store: ObjectStore,
  run: RunManifest,
  options: StoreOptions,
): Promise<Map<string, Set<string>>> {
  const leaves = new Map<string, Set<string>>();
  const add = (key: string) => {
    const leaf = keys.leafOf(key);
    const inLeaf = leaves.get(leaf);
    if (inLeaf) inLeaf.add(key);
    else leaves.set(leaf, new Set([key]));
  };
  for (const { key } of run.documents) add(key);
  for (const { table } of run.tables) for await (const { key } of manifestParts(store, run, table, options)) add(key);
  return leaves;
}

/** Objects that lie in the leaves and are not of the manifest. @throws Error where one of the manifest is missing */
async function strangers(
  store: ObjectStore,
  leaves: Map<string, Set<string>>,
  options: StoreOptions,
): Promise<string[]> {
  const found: string[] = [];
  for (const [leaf, wanted] of leaves) {
    const owned = new Set([...wanted].map(keys.ownedPrefix));
    const missing = new Set(wanted);
    for await (const { key } of store.list(leaf, options)) {
      if (missing.delete(key) || keys.leafOf(key) !== leaf || key === keys.successMark(leaf)) continue;
      if (owned.has(keys.ownedPrefix(key))) found.push(key);
    }
    if (missing.size > 0) {
      const [example] = missing;
      throw new Error(
        `datasets: ${missing.size} objects of the manifest are missing in ${store.url}, e.g. '${example}'; run again`,
      );
    }
  }
  return found;
}

function replacedModels(gone: readonly string[], published: ReadonlySet<string>): Set<string> {
  const models = new Set<string>();
  for (const key of gone) {
    const model = /^embeddings\/[^/]+\/model=([^/]+)\//.exec(key)?.[1];
    if (model !== undefined && published.has(key)) models.add(model);
  }
  return models;
}

async function derivedFrom(
  store: ObjectStore,
  snapshot: string,
  model: string,
  leaves: Map<string, Set<string>>,
  options: StoreOptions,
): Promise<string[]> {
  const stale: string[] = [];
  for (const folder of keys.derivedFolders(snapshot)) {
    for await (const { key } of store.list(folder, options)) {
      const mark = key === keys.successMark(keys.leafOf(key));
      if (!mark && keys.isDerivedFrom(key, model) && !leaves.get(keys.leafOf(key))?.has(key)) stale.push(key);
    }
  }
  return stale;
}

/** Every node of every manifest tree, with the keys it lists. */
async function manifestNodes(
  store: ObjectStore,
  options: StoreOptions,
): Promise<Map<string, { digest: string; listed: Set<string> }>> {
  const nodes = new Map<string, { digest: string; listed: Set<string> }>();
  for await (const { key } of store.list(keys.MANIFESTS, options)) {
    const listed = new Set<string>();
    collectKeys(JSON.parse(Buffer.from(await store.get(key, options)).toString('utf8')), listed);
    nodes.set(key, { digest: key.slice(keys.MANIFESTS.length, -'.json'.length), listed });
  }
  return nodes;
}

function collectKeys(value: unknown, into: Set<string>): void {
  if (Array.isArray(value)) for (const item of value) collectKeys(item, into);
  else if (typeof value === 'object' && value !== null) {
    const record = value as Record<string, unknown>;
    if (typeof record.key === 'string' && typeof record.sha256 === 'string') into.add(record.key);
    for (const member of Object.values(record)) collectKeys(member, into);
  }
}

/**
 * Removes the manifests that list what is about to go, pointers to them first: what a manifest says is true while it is there.
 * @returns objects that no manifest lists any longer
 */
async function retireManifests(
  store: ObjectStore,
  nodes: Map<string, { digest: string; listed: Set<string> }>,
  gone: ReadonlySet<string>,
  options: StoreOptions,
): Promise<string[]> {
  const doomed = new Set<string>();
  for (let before = -1; before !== doomed.size;) {
    before = doomed.size;
    for (const [key, { listed }] of nodes) {
      if ([...listed].some((item) => gone.has(item) || doomed.has(item))) doomed.add(key);
    }
  }
  if (doomed.size === 0) return [];
  const digests = new Set([...doomed].map((key) => nodes.get(key)?.digest));
  await updateCatalog(
    store,
    (catalog) => {
      for (const [name, entry] of Object.entries(catalog.runs)) {
        if (!digests.has(entry.manifest)) continue;
        if (entry.basis) catalog.runs[name] = { basis: entry.basis };
        else delete catalog.runs[name];
      }
      return catalog;
    },
    options,
  );
  await store.delete([...doomed], options);
  const kept = new Set([...nodes].flatMap(([key, { listed }]) => (doomed.has(key) ? [] : [...listed])));
  const retired = new Set([...doomed].flatMap((key) => [...(nodes.get(key)?.listed ?? [])]));
  return [...retired].filter((key) => !kept.has(key) && !doomed.has(key));
}
