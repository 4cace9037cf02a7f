/** Requests to a store that one piece of work has under way: hides the latency of S3, and stays far below what a server takes from one client. */
export const REQUESTS_AT_ONCE = 32;

/**
 * `action` for every item, at most `atOnce` at a time.
 * @returns results in the order of the items
 * @throws the first failure, or the reason of `signal`, once those under way have ended; what was not begun never begins
 */
export async function mapWindow<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  atOnce: number,
  action: (item: T, index: number) => Promise<R>,
  signal?: AbortSignal,
): Promise<R[]> {
  const results: R[] = [];
  const underWay = new Set<Promise<void>>();
  let failure: { error: unknown } | undefined;
  let index = 0;
  try {
    for await (const item of items) {
      signal?.throwIfAborted();
      const at = index++;
      const one = action(item, at)
        .then(
          (result) => void (results[at] = result),
          (error: unknown) => void (failure ??= { error }),
        )
        .finally(() => underWay.delete(one));
      underWay.add(one);
      if (underWay.size >= atOnce) await Promise.race(underWay);
      if (failure) break;
    }
  } finally {
    await Promise.all(underWay);
  }
  if (failure) throw failure.error;
  return results;
}

/**
 * Results of `action` in the order of the items, while up to `ahead` further ones are under way: for what is too large to hold all at once.
 * A reader that leaves early waits for none of them.
 * @throws what an action throws, when its turn comes
 */
export async function* prefetched<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  ahead: number,
  action: (item: T) => Promise<R>,
  signal?: AbortSignal,
): AsyncGenerator<R> {
  const underWay: Promise<R>[] = [];
  for await (const item of items) {
    signal?.throwIfAborted();
    const one = action(item);
    one.catch(() => undefined); // it is thrown when its turn comes, if it comes
    underWay.push(one);
    if (underWay.length > ahead) yield await underWay.shift()!;
  }
  for (const one of underWay) yield await one;
}
