import { unpointRuns } from './catalog.js';
import * as keys from './keys.js';
import { manifestParts, type RunManifest } from './manifest.js';
import { nodesReferring, reachable, type ReferringNode } from './references.js';
import type { ObjectStore, StoreOptions } from './store/objectStore.js';
import { mapWindow, REQUESTS_AT_ONCE } from './store/window.js';

/** A leaf of a manifest that is being published: its objects where other pairs share the folder; null where it is the manifest's alone. */
export type PublishedLeaf = ReadonlySet<string> | null;

/**
 * Takes away what must not stay beside a run that is being published: strangers in its leaves and, where they are embeddings that a manifest
 * listed, everything that came from them, since the model was replaced. Before an object goes, everything goes that says that it is there:
 * pointers and manifests, marks of leaves.
 *
 * It ends when no manifest that lists such embeddings is left: one that was put meanwhile may have found its parts still there. A mark beside the
 * claim says that a replacement has begun, so that the next run that publishes the model goes on with one that broke off.
 * @param leaves of the run
 * @param strangers objects in them that are not of the manifest and that it owns
 * @param confirm called after what is to go was found and before it goes; throws where that is not this run's to decide
 */
export async function retire(
  store: ObjectStore,
  run: RunManifest,
  leaves: ReadonlyMap<string, PublishedLeaf>,
  strangers: readonly string[],
  confirm: () => Promise<void>,
  options: StoreOptions,
): Promise<void> {
  const replaced = await replacedModels(store, run.snapshot, leaves, strangers, options);
  if (replaced.length === 0 && strangers.length === 0) return confirm();
  const own = await ownEmbeddings(store, run, replaced, options);
  const isOld = (key: string) => replaced.some((model) => isEmbedding(key, run.snapshot, model)) && !own.has(key);
  const begun = replaced.map((model) => keys.replacement(run.snapshot, model));
  const isStranger = new Set(strangers);
  const isShared = (key: string) => leaves.get(keys.leafOf(key))?.has(key) === false;
  for (let first = true; ; first = false) {
    const gone = new Set([...strangers, ...(await derivedFrom(store, run.snapshot, replaced, leaves, options))]);
    const asked = (key: string) => gone.has(key) || isOld(key) || isShared(key);
    const nodes = await nodesReferring(store, asked, options);
    await confirm();
    const trees = treesOf(nodes, (key) => isStranger.has(key) || isOld(key));
    if (!first && trees.doomed.size === 0) break;
    if (first) for (const key of begun) await store.put(key, new Uint8Array(0), options);
    await removeManifests(store, nodes, trees.doomed, options);

    // What only those manifests listed would be a stranger in a folder that the run shares with other pairs.
    for (const node of trees.doomed) for (const key of nodes.get(node)?.listed ?? []) gone.add(key);
    for (const node of trees.kept) for (const key of nodes.get(node)?.listed ?? []) gone.delete(key);
    const marks = [...gone].filter((key) => !key.includes('~')).map((key) => keys.successMark(keys.leafOf(key)));
    await store.delete([...new Set(marks)], options);
    await store.delete([...gone], options);
  }
  await store.delete(begun, options);
}

/** Models of the run whose published embeddings are others than the run's. */
async function replacedModels(
  store: ObjectStore,
  snapshot: string,
  leaves: ReadonlyMap<string, PublishedLeaf>,
  strangers: readonly string[],
  options: StoreOptions,
): Promise<string[]> {
  const models = [...leaves.keys()].flatMap((leaf) => modelOf(leaf) ?? []);
  const begun = await mapWindow(
    models,
    REQUESTS_AT_ONCE,
    async (model) => ((await store.head(keys.replacement(snapshot, model), options)) ? model : undefined),
    options.signal,
  );
  const embeddings = new Set(strangers.filter((key) => modelOf(key) !== undefined));
  const listed: (string | undefined)[] = [];
  if (embeddings.size > 0)
    for (const node of (await nodesReferring(store, (key) => embeddings.has(key), options)).values())
      listed.push(...node.listed.map(modelOf));
  return [...new Set([...begun, ...listed])].filter((model) => model !== undefined);
}

function modelOf(key: string): string | undefined {
  return /^embeddings\/[^/]+\/model=([^/]+)\//.exec(key)?.[1];
}

function isEmbedding(key: string, snapshot: string, model: string): boolean {
  return key.startsWith(keys.embeddingsLeaf(snapshot, model));
}

async function ownEmbeddings(
  store: ObjectStore,
  run: RunManifest,
  models: readonly string[],
  options: StoreOptions,
): Promise<Set<string>> {
  const own = new Set<string>();
  if (models.length === 0) return own;
  for await (const { key } of manifestParts(store, run, 'embeddings', options))
    if (models.some((model) => isEmbedding(key, run.snapshot, model))) own.add(key);
  return own;
}

/** Objects that came from embeddings of some models and are not of the run. */
async function derivedFrom(
  store: ObjectStore,
  snapshot: string,
  models: readonly string[],
  leaves: ReadonlyMap<string, PublishedLeaf>,
  options: StoreOptions,
): Promise<string[]> {
  const found: string[] = [];
  for (const folder of models.length > 0 ? keys.derivedFolders(snapshot) : []) {
    for await (const { key } of store.list(folder, options)) {
      const leaf = keys.leafOf(key);
      const published = leaves.get(leaf);
      const isOwn = published === null || published?.has(key); // strangers in leaves that are the run's alone are known
      if (!isOwn && key !== keys.successMark(leaf) && models.some((model) => keys.isDerivedFrom(key, model)))
        found.push(key);
    }
  }
  return found;
}

/**
 * Nodes of the manifests that stay, and nodes that have to go: of manifests that list what is not to be there or that lack a node, and lists
 * of it that are of no manifest yet.
 */
function treesOf(
  nodes: ReadonlyMap<string, ReferringNode>,
  isUnwanted: (key: string) => boolean,
): { kept: Set<string>; doomed: Set<string> } {
  const lists = (key: string) => nodes.get(key)?.listed.some(isUnwanted) ?? true;
  const roots = [...nodes].flatMap(([key, { root }]) => (root ? [key] : []));
  const doomed = roots.filter((root) => [...reachable(nodes, [root])].some(lists));
  const kept = reachable(
    nodes,
    roots.filter((root) => !doomed.includes(root)),
  );
  const loose = [...nodes.keys()].filter((key) => lists(key));
  const below = [...reachable(nodes, [...doomed, ...loose])];
  return { kept, doomed: new Set(below.filter((key) => nodes.has(key) && !kept.has(key))) };
}

/** Removes manifests, pointers to them first, and those once more that were swapped to them meanwhile. */
async function removeManifests(
  store: ObjectStore,
  nodes: ReadonlyMap<string, ReferringNode>,
  doomed: ReadonlySet<string>,
  options: StoreOptions,
): Promise<void> {
  const roots = [...doomed].filter((key) => nodes.get(key)?.root);
  const digests = new Set(roots.map(keys.manifestDigest));
  await unpointRuns(store, digests, options);
  await store.delete(roots, options);
  await unpointRuns(store, digests, options);
  await store.delete([...doomed], options);
}
