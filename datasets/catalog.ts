import { canonicalJson, canonicalJsonBytes } from './canonicalJson.js';
import { parseJson } from './json.js';
import { CATALOG } from './keys.js';
import { StoreRefused, type ObjectStore, type StoreOptions } from './store/objectStore.js';

/** The basis that later runs of a name reuse while these fields stay what their spec says. */
export interface PinnedBasis {
  /** First 16 hex digits of the digest, as in paths. */
  digest: string;
  method: string;
  /** K */
  anchors: number;
  reference_model: string;
}

/** What the catalog says of one run name. */
export interface CatalogEntry {
  /** Digest of the newest manifest; absent while the first run is under way and only its basis is pinned. */
  manifest?: string;
  /** Snapshot of that manifest. */
  snapshot?: string;
  basis?: PinnedBasis;
}

/** `catalog.json`, the pointer that every reader starts at. */
export interface Catalog {
  version: 1;
  runs: Record<string, CatalogEntry>;
}

/** Reads the catalog; empty where nothing was ever published. @throws {StoreRefused} where it is no catalog of version 1 */
export async function readCatalog(store: ObjectStore, options: StoreOptions = {}): Promise<Catalog> {
  return parse(store, (await store.getWithEtag(CATALOG, options))?.bytes);
}

/**
 * Changes the catalog by compare-and-swap: `change` gets the present catalog and returns the wanted one; when another writer was
 * faster it is called again with what that one left, so entries of other names are never lost.
 * @returns the catalog as it now is
 */
export async function updateCatalog(
  store: ObjectStore,
  change: (catalog: Catalog) => Catalog,
  options: StoreOptions = {},
): Promise<Catalog> {
  for (;;) {
    options.signal?.throwIfAborted();
    const present = await store.getWithEtag(CATALOG, options);
    const before = parse(store, present?.bytes);
    const after = change(structuredClone(before));
    if (present && canonicalJson(after) === canonicalJson(before)) return before;
    const bytes = canonicalJsonBytes(after);
    const outcome = present
      ? await store.putIfMatch(CATALOG, bytes, present.etag, options)
      : await store.putIfAbsent(CATALOG, bytes, options);
    if (outcome === 'written') return after;
  }
}

/** Points a run name at its newest manifest, its pinned basis included. */
export async function pointRun(
  store: ObjectStore,
  name: string,
  entry: CatalogEntry,
  options: StoreOptions = {},
): Promise<void> {
  await updateCatalog(
    store,
    (catalog) => ({ ...catalog, runs: { ...catalog.runs, [name]: { ...catalog.runs[name], ...entry } } }),
    options,
  );
}

/** Removes the pointers to manifests that are to go or gone; bases stay pinned. */
export async function unpointRuns(
  store: ObjectStore,
  manifests: ReadonlySet<string>,
  options: StoreOptions = {},
): Promise<void> {
  const change = (catalog: Catalog) => {
    for (const [name, { manifest, basis }] of Object.entries(catalog.runs)) {
      if (manifest === undefined || !manifests.has(manifest)) continue;
      if (basis) catalog.runs[name] = { basis };
      else delete catalog.runs[name];
    }
    return catalog;
  };
  await updateCatalog(store, change, options);
}

function parse(store: ObjectStore, bytes: Uint8Array | undefined): Catalog {
  if (!bytes) return { version: 1, runs: {} };
  const remedy = 'put back a copy of it, or delete it and run again: each run writes its pointer anew';
  const catalog = parseJson(store, CATALOG, bytes, remedy) as Partial<Catalog> | null;
  if (catalog?.version !== 1 || typeof catalog.runs !== 'object') {
    throw new StoreRefused(
      `datasets: ${store.url}/${CATALOG} is no catalog of version 1; it was written by another version of koine`,
    );
  }
  return catalog as Catalog;
}
