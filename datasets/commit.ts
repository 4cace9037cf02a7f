import { compareCodePoints } from '../text/codePoints.js';
import { pointRun, readCatalog, unpointRuns, type PinnedBasis } from './catalog.js';
import { ModelConflict, checkClaims, type ModelClaim } from './claim.js';
import * as keys from './keys.js';
import {
  MAX_PARTS_PER_LIST,
  ManifestCorrupt,
  manifestParts,
  putManifestTree,
  readManifest,
  type RunContent,
  type RunManifest,
} from './manifest.js';
import { retire, type PublishedLeaf } from './retire.js';
import { ObjectNotFound, type ObjectStore, type StoreOptions } from './store/objectStore.js';
import { mapWindow, REQUESTS_AT_ONCE } from './store/window.js';

/** Leaves that are compared with the store at once; one may have as many parts as a snapshot has shards. */
const LEAVES_AT_ONCE = 8;

/** Not all objects of a run are there: computing them again mends it. */
export class RunIncomplete extends Error {
  override readonly name = 'RunIncomplete';
}

/**
 * Publishes a run whose parts are all written: the manifest tree, then the leaves (strangers out, `_SUCCESS` last), then the
 * catalog pointer. Every step can be repeated: after a crash, or beside a racing run of equal content, the same call ends in the
 * same place.
 *
 * Beside a run that replaces a model (`--replace`), whatever the order of their steps, a pointer that stays names a manifest that is
 * there, and a manifest that stays has all its parts. Both sides write before they look:
 * - this one puts its manifest, then looks whether its parts are there; the other removes parts, then looks for manifests that list them;
 * - this one swaps the pointer, then looks whether its manifest is still there; the other removes a manifest, then pointers to it.
 *
 * So one of the two sees the other. A run whose model was taken over before is refused by its claim, before it removes anything and after it
 * has found what to remove: what the other has written since is not among it.
 * @param options.claims what this run claimed; none are checked where it is left out
 * @returns the digest of the manifest
 * @throws {ModelConflict} where another run has replaced a model meanwhile
 * @throws {RunIncomplete} where an object of the manifest is not in the store, or was removed while it was published
 */
export async function commitRun(
  store: ObjectStore,
  content: RunContent,
  options: StoreOptions & { basis?: PinnedBasis; claims?: readonly ModelClaim[] } = {},
): Promise<string> {
  const { digest, written } = await putManifestTree(store, content, options);
  let leaves: Survey['leaves'];
  try {
    leaves = await makeRoom(store, await readManifest(store, digest, options), options);
  } catch (error) {
    // A part of the tree that was just put is gone: a replacement takes away every list of what it replaces.
    const isGone = error instanceof ManifestCorrupt && error.cause instanceof ObjectNotFound;
    const reason = isGone ? replaced(content, error) : error;
    const isUntrue = reason instanceof RunIncomplete || reason instanceof ModelConflict;
    if (isUntrue && written) await withdraw(store, digest, options);
    throw reason;
  }
  await mapWindow(
    leaves.keys(),
    REQUESTS_AT_ONCE,
    (leaf) => store.putIfAbsent(keys.successMark(leaf), new Uint8Array(0), options),
    options.signal,
  );
  const pointer = { manifest: digest, snapshot: content.snapshot };
  await pointRun(store, content.name, options.basis ? { ...pointer, basis: options.basis } : pointer, options);
  if (await store.head(keys.manifest(digest), options)) return digest;
  await unpointRuns(store, new Set([digest]), options);
  throw replaced(content);
}

function replaced({ name }: RunContent, cause?: unknown): RunIncomplete {
  return new RunIncomplete(`datasets: a model of run '${name}' was replaced while it was published; run again`, {
    cause,
  });
}

/** Finds whether all objects of a manifest are there, and removes what must not stay beside them. @returns its leaves */
async function makeRoom(
  store: ObjectStore,
  run: RunManifest,
  options: StoreOptions & { claims?: readonly ModelClaim[] },
): Promise<Survey['leaves']> {
  const { leaves, strangers, missing } = await survey(store, run, options);
  if (missing.length > 0) {
    const example = `${missing.length} objects of the manifest are missing in ${store.url}, e.g. '${missing[0]}'`;
    throw new RunIncomplete(`datasets: ${example}; run again`);
  }
  const confirm = () => checkClaims(store, run.snapshot, options.claims ?? [], options);
  await retire(store, run, leaves, strangers, confirm, options);
  return leaves;
}

/** Takes back a manifest that was just put and is not true; it is put back where a run of equal content has published it meanwhile. */
async function withdraw(store: ObjectStore, digest: string, options: StoreOptions): Promise<void> {
  const isPointedAt = async () =>
    Object.values((await readCatalog(store, options)).runs).some(({ manifest }) => manifest === digest);
  const root = await store.getWithEtag(keys.manifest(digest), options);
  if (!root || (await isPointedAt())) return;
  await store.delete([keys.manifest(digest)], options);
  if (await isPointedAt()) await store.putIfAbsent(keys.manifest(digest), root.bytes, options);
}

/** What a store holds beside what a manifest wants. */
interface Survey {
  leaves: Map<string, PublishedLeaf>;
  /** Objects in the leaves that are the manifest's to remove: in folders that pairs share, only other files of its own pairs are. */
  strangers: string[];
  /** Objects of the manifest. */
  missing: string[];
}

/** Compares every leaf of a manifest with the store, leaf by leaf. */
async function survey(store: ObjectStore, run: RunManifest, options: StoreOptions): Promise<Survey> {
  const surveyed = await mapWindow(
    wantedLeaves(store, run, options),
    LEAVES_AT_ONCE,
    ([leaf, wanted]) => surveyLeaf(store, leaf, wanted, options),
    options.signal,
  );
  return {
    leaves: new Map(surveyed.map(({ leaf, published }) => [leaf, published])),
    strangers: surveyed.flatMap(({ strangers }) => strangers),
    missing: surveyed.flatMap(({ missing }) => missing),
  };
}

/** Keys of the manifest's objects, in order, a leaf at a time. */
async function* wantedLeaves(
  store: ObjectStore,
  run: RunManifest,
  options: StoreOptions,
): AsyncGenerator<[leaf: string, wanted: string[]]> {
  // Small tables and documents may share a leaf; a table with many parts has its leaves one after the other.
  const small = new Map<string, string[]>();
  const addSmall = (key: string) => {
    const leaf = keys.leafOf(key);
    const known = small.get(leaf);
    if (known) known.push(key);
    else small.set(leaf, [key]);
  };
  for (const { key } of run.documents) addSmall(key);
  for (const { table, part_count } of run.tables)
    if (part_count <= MAX_PARTS_PER_LIST)
      for await (const { key } of manifestParts(store, run, table, options)) addSmall(key);
  for (const [leaf, wanted] of small) yield [leaf, wanted.sort(compareCodePoints)];

  const given = new Set(small.keys());
  for (const { table, part_count } of run.tables) {
    if (part_count <= MAX_PARTS_PER_LIST) continue;
    let current: [leaf: string, wanted: string[]] | undefined;
    for await (const { key } of manifestParts(store, run, table, options)) {
      const leaf = keys.leafOf(key);
      if (current?.[0] !== leaf) {
        if (current) yield current;
        if (given.has(leaf)) throw new Error(`datasets: table '${table}' comes back to leaf '${leaf}'`);
        given.add(leaf);
        current = [leaf, []];
      }
      current[1].push(key);
    }
    if (current) yield current;
  }
}

/** @param wanted in code-point order, as the store lists */
async function surveyLeaf(
  store: ObjectStore,
  leaf: string,
  wanted: readonly string[],
  options: StoreOptions,
): Promise<{ leaf: string; published: PublishedLeaf; strangers: string[]; missing: string[] }> {
  const others: string[] = [];
  const missing: string[] = [];
  let next = 0;
  for await (const { key } of store.list(leaf, options)) {
    while (next < wanted.length && compareCodePoints(wanted[next], key) < 0) missing.push(wanted[next++]);
    if (wanted[next] === key) next++;
    else if (keys.leafOf(key) === leaf && key !== keys.successMark(leaf)) others.push(key);
  }
  missing.push(...wanted.slice(next));
  const owned = new Set(wanted.map(keys.ownedPrefix));
  return {
    leaf,
    published: owned.has(leaf) ? null : new Set(wanted),
    strangers: others.filter((key) => owned.has(keys.ownedPrefix(key))),
    missing,
  };
}
