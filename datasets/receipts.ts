import { canonicalJsonBytes, type Json } from './canonicalJson.js';
import * as keys from './keys.js';
import type { PartEntry } from './manifest.js';
import type { ObjectStore, StoreOptions } from './store/objectStore.js';
import type { QuarantineRow } from './tables/quarantine.js';

/** "This input gave these objects": what makes a second run reuse the first. */
export interface Receipt {
  stage: string;
  /** Digest of everything that decides the result. */
  key: string;
  outputs: PartEntry[];
  /** Structures, atoms, ... */
  counts: Record<string, number>;
  quarantine: QuarantineRow[];
  /** Small results that later stages need, e.g. the key of partial moments. */
  extra: Json;
}

/**
 * The receipt of a stage and key if its outputs are still there with their sizes; undefined otherwise: then the stage runs
 * again. (Digests are checked by `verifyDataset`, not here: a run over cached parts must not read them all.)
 */
export async function findReceipt(
  store: ObjectStore,
  stage: string,
  key: string,
  options: StoreOptions = {},
): Promise<Receipt | undefined> {
  const stored = await store.getWithEtag(keys.receipt(stage, key), options);
  if (!stored) return undefined;
  const receipt = JSON.parse(Buffer.from(stored.bytes).toString('utf8')) as Receipt;
  if (receipt.stage !== stage || receipt.key !== key || !Array.isArray(receipt.outputs)) return undefined;
  const sizes = await Promise.all(receipt.outputs.map((output) => store.head(output.key, options)));
  return receipt.outputs.every((output, i) => sizes[i]?.bytes === output.bytes) ? receipt : undefined;
}

/**
 * Writes a receipt, after its outputs. Where a sound receipt of the same stage and key is there already, that one stays and is
 * returned: two racing runs then go on with the same parts even where the hardware does not give equal bytes twice.
 */
export async function writeReceipt(store: ObjectStore, receipt: Receipt, options: StoreOptions = {}): Promise<Receipt> {
  const key = keys.receipt(receipt.stage, receipt.key);
  const bytes = canonicalJsonBytes(receipt);
  if ((await store.putIfAbsent(key, bytes, options)) === 'written') return receipt;
  const first = await findReceipt(store, receipt.stage, receipt.key, options);
  if (first) return first;
  await store.put(key, bytes, options);
  return receipt;
}

/**
 * Makes a part that is already in the store appear under another key as well (a part that a new snapshot shares with an old
 * one), without moving its bytes through this process. Nothing is done where it is there already.
 * @throws {ObjectNotFound} where the part is gone
 */
export async function placePart(
  store: ObjectStore,
  part: PartEntry,
  newKey: string,
  options: StoreOptions = {},
): Promise<PartEntry> {
  const there = await store.head(newKey, options);
  if (there?.bytes !== part.bytes) await store.copy(part.key, newKey, options);
  return { ...part, key: newKey };
}
