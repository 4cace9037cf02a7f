import { canonicalJsonBytes } from './canonicalJson.js';
import type { ObjectStore, StoreOptions } from './store/objectStore.js';

/** A JSON object of a store; undefined where there is none. */
export async function readJson<T>(store: ObjectStore, key: string, options: StoreOptions = {}): Promise<T | undefined> {
  const stored = await store.getWithEtag(key, options);
  return stored && (JSON.parse(Buffer.from(stored.bytes).toString('utf8')) as T);
}

/** Writes a JSON object in canonical form, if it changed. */
export async function writeJson(
  store: ObjectStore,
  key: string,
  value: unknown,
  options: StoreOptions = {},
): Promise<void> {
  await putIfChanged(store, key, canonicalJsonBytes(value), options);
}

/** Writes an object; one that is there already with the same bytes is left untouched. */
export async function putIfChanged(
  store: ObjectStore,
  key: string,
  bytes: Uint8Array,
  options: StoreOptions = {},
): Promise<void> {
  const present = await store.getWithEtag(key, options);
  if (!present || Buffer.compare(present.bytes, bytes) !== 0) await store.put(key, bytes, options);
}
