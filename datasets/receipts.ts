import { writeJson } from './json.js';
import * as keys from './keys.js';
import type { PartEntry } from './manifest.js';
import type { ObjectStore, StoreOptions } from './store/objectStore.js';
import { mapWindow, REQUESTS_AT_ONCE } from './store/window.js';

/**
 * "This input gave these objects": what makes a second run reuse the first. Stages extend it with the small facts that later
 * stages need: counts, quarantine rows.
 */
export interface Receipt {
  /** Objects by role; null where the input was empty. */
  outputs: Record<string, PartEntry | null>;
}

/** What a receipt says of itself, so that one under another's name is noticed. */
interface Receipted {
  of: { stage: string; key: string };
}

/**
 * The receipt of a stage under a key (the digest of everything that decides the result), if its outputs are still there with
 * their sizes; undefined otherwise: then the stage runs again. One that is cut short, or is another's, counts as none. (Digests are
 * checked by `verifyDataset`, not here: a run over cached parts must not read them all.)
 */
export async function findReceipt<R extends Receipt>(
  store: ObjectStore,
  stage: string,
  key: string,
  options: StoreOptions = {},
): Promise<R | undefined> {
  const stored = await store.getWithEtag(keys.receipt(stage, key), options);
  const receipt = stored && readReceipt<R>(stage, key, stored.bytes);
  if (!receipt) return undefined;
  const outputs = Object.values(receipt.outputs).filter((output) => output !== null);
  const found = await mapWindow(outputs, REQUESTS_AT_ONCE, ({ key: output }) => store.head(output, options));
  return outputs.every((output, i) => found[i]?.bytes === output.bytes) ? receipt : undefined;
}

function readReceipt<R extends Receipt>(stage: string, key: string, bytes: Uint8Array): R | undefined {
  let stored: unknown;
  try {
    stored = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined; // the stage runs again and writes it anew
  }
  const { of, ...receipt } = (stored ?? {}) as Partial<Receipted & R>;
  const its = of?.stage === stage && of.key === key && typeof receipt.outputs === 'object' && receipt.outputs !== null;
  return its ? (receipt as unknown as R) : undefined;
}

/** Writes a receipt, after its outputs. */
export async function writeReceipt<R extends Receipt>(
  store: ObjectStore,
  stage: string,
  key: string,
  receipt: R,
  options: StoreOptions = {},
): Promise<void> {
  const stored: R & Receipted = { ...receipt, of: { stage, key } };
  await writeJson(store, keys.receipt(stage, key), stored, options);
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
  if (newKey === part.key) return part;
  const there = await store.head(newKey, options);
  if (there?.bytes !== part.bytes) await store.copy(part.key, newKey, options);
  return { ...part, key: newKey };
}
