import { canonicalJsonBytes } from './canonicalJson.js';
import { StoreRefused, type ObjectStore, type StoreOptions } from './store/objectStore.js';

/** A JSON object of a store; undefined where there is none. @throws {StoreRefused} where it is damaged */
export async function readJson<T>(store: ObjectStore, key: string, options: StoreOptions = {}): Promise<T | undefined> {
  const stored = await store.getWithEtag(key, options);
  return stored && (parseJson(store, key, stored.bytes, 'delete it and run again') as T);
}

/**
 * A JSON object that is none: cut short, empty, or overwritten by something else. No retry mends it.
 * @param remedy what a person can do
 */
export function parseJson(store: ObjectStore, key: string, bytes: Uint8Array, remedy: string): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as unknown;
  } catch (error) {
    const size = bytes.length === 0 ? 'is empty' : `is no JSON (${(error as Error).message})`;
    throw new StoreRefused(`datasets: '${key}' in ${store.url} ${size}; ${remedy}`, { cause: error });
  }
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
