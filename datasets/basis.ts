import { readCatalog } from './catalog.js';
import { readJson } from './json.js';
import { basisRecord, isDigest } from './keys.js';
import type { ObjectStore, StoreOptions } from './store/objectStore.js';

/** An atom of a snapshot by name. */
export interface AnchorAtom {
  material_id: string;
  /** From 0 in source order. */
  atom_index: number;
  atomic_number: number;
}

/** A basis as its output keeps it: K anchors in order, and how they were chosen. Its name is a digest of all the rest. */
export interface BasisRecord {
  basis: string;
  method: string;
  /** Basis whose anchors these begin with, where it was extended. */
  extends?: string;
  reference_model: string;
  anchors: AnchorAtom[];
  /** What is subtracted before the cosines. */
  centre: 'none' | 'anchors';
  /** Snapshot it was fitted on. */
  snapshot: string;
  parameters: Record<string, string | number | string[]>;
}

/**
 * Finds a basis by its digest or by the name of a run, which stands for the basis that the run has pinned.
 * @returns undefined where the output knows neither
 */
export async function findBasis(
  store: ObjectStore,
  digestOrRun: string,
  options: StoreOptions = {},
): Promise<BasisRecord | undefined> {
  const digest = (await readCatalog(store, options)).runs[digestOrRun]?.basis?.digest ?? digestOrRun;
  return isDigest(digest) ? readJson<BasisRecord>(store, basisRecord(digest), options) : undefined;
}
