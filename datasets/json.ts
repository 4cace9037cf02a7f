import { canonicalJsonBytes } from './canonicalJson.js';
import type { ObjectStore, StoreOptions } from './store/objectStore.js';

/** A JSON object of a store; undefined where there is none. */
export async function readJson<T>(store: ObjectStore, key: string, options: StoreOptions = {}): Promise<T | undefined> {
  const stored = await store.getWithEtag(key, options);
  return stored && (JSON.parse(Buffer.from(stored.bytes).toString('utf8')) as T);
}

/** Writes a JSON object in canonical form. */
export async function writeJson(
  store: ObjectStore,
  key: string,
  value: unknown,
  options: StoreOptions = {},
): Promise<void> {
  await store.put(key, canonicalJsonBytes(value), options);
}
