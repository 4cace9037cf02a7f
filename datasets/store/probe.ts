import { randomUUID } from 'node:crypto';
import * as keys from '../keys.js';
import type { ObjectStore, StoreOptions } from './objectStore.js';

/** A store that looks at a condition before it writes, not while it does, loses a race in some of these only. */
const ROUNDS = 3;

/**
 * Whether conditional puts are what the commit protocol needs: races two puts of an absent key, two swaps of one etag, and a swap of an etag
 * that is gone, on a key of its own, which it removes. Some servers take `If-None-Match` and `If-Match` without a word and ignore them; then
 * two runs would take each other's claims and lose each other's pointers.
 * @returns what is wrong, undefined where nothing is
 */
export async function probeConditionalWrites(
  store: ObjectStore,
  options: StoreOptions = {},
): Promise<string | undefined> {
  for (let round = 0; round < ROUNDS; round++) {
    const key = keys.probe(randomUUID());
    const [first, second, third, fourth, late] = [1, 2, 3, 4, 5].map((i) => Buffer.from(`${round} ${i}`));
    try {
      const made = await Promise.all([store.putIfAbsent(key, first, options), store.putIfAbsent(key, second, options)]);
      if (made.filter((outcome) => outcome === 'written').length !== 1)
        return `of two racing puts of one absent object ${made.join(' and ')}: If-None-Match is not honoured`;
      const present = await store.getWithEtag(key, options);
      if (!present || Buffer.compare(present.bytes, made[0] === 'written' ? first : second) !== 0)
        return 'a put that was answered with success is not what is read back';
      const swapped = await Promise.all([
        store.putIfMatch(key, third, present.etag, options),
        store.putIfMatch(key, fourth, present.etag, options),
      ]);
      if (swapped.filter((outcome) => outcome === 'written').length !== 1)
        return `of two racing swaps of one version ${swapped.join(' and ')}: If-Match is not honoured`;
      if ((await store.putIfMatch(key, late, present.etag, options)) === 'written')
        return 'a version that was replaced could be swapped: If-Match is not honoured';
    } finally {
      await store.delete([key], options);
    }
  }
  return undefined;
}
