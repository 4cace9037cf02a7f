import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import fc from 'fast-check';
import { mapWindow, prefetched } from '../../datasets/store/window.js';

/** Actions that end when they are told to, and how many were under way at once. */
function controlled() {
  const ends = new Map<number, { resolve: (value: number) => void; reject: (error: Error) => void }>();
  let most = 0;
  return {
    action: (item: number) =>
      new Promise<number>((resolve, reject) => {
        const end = <T>(settle: (value: T) => void) => {
          return (value: T) => {
            ends.delete(item);
            settle(value);
          };
        };
        ends.set(item, { resolve: end(resolve), reject: end(reject) });
        most = Math.max(most, ends.size);
      }),
    underWay: () => [...ends.keys()],
    end: (item: number) => ends.get(item)?.resolve(item * 10),
    fail: (item: number) => ends.get(item)?.reject(new Error(`item ${item} failed`)),
    most: () => most,
  };
}

async function* slowly(items: number[]): AsyncGenerator<number> {
  for (const item of items) {
    await turn();
    yield item;
  }
}

test('a window gives results in order of the items, and never has more under way than told, in whatever order they end', async () => {
  const property = fc.asyncProperty(
    fc.nat(20),
    fc.integer({ min: 1, max: 6 }),
    fc.boolean(),
    fc.infiniteStream(fc.nat()),
    async (count, atOnce, asynchronous, choices) => {
      const items = Array.from({ length: count }, (_, i) => i);
      const { action, underWay, end, most } = controlled();
      let done = false;
      const results = mapWindow(asynchronous ? slowly(items) : items, atOnce, action).finally(() => (done = true));
      while (!done) {
        const open = underWay();
        if (open.length > 0) end(open[(choices.next().value ?? 0) % open.length]);
        await turn();
      }
      expect(await results).toEqual(items.map((item) => item * 10));
      if (asynchronous) expect(most()).toBeLessThanOrEqual(atOnce);
      else expect(most()).toBe(Math.min(count, atOnce));
    },
  );
  await fc.assert(property, { numRuns: 100 });
});

test('the first failure in a window begins nothing more and is thrown once what is under way has ended', async () => {
  const { action, underWay, end, fail } = controlled();
  let settled = false;
  const results = mapWindow([0, 1, 2, 3, 4, 5], 3, action).finally(() => (settled = true));
  const outcome = expect(results).rejects.toThrow('item 1 failed');
  await turn();
  expect(underWay()).toEqual([0, 1, 2]);
  fail(1);
  fail(2);
  await turn();
  expect(underWay()).toEqual([0]);
  expect(settled).toBe(false);
  end(0);
  await outcome;
  expect(underWay()).toEqual([]);
});

test('a window that is aborted begins nothing more, and throws the reason once what is under way has ended', async () => {
  const { action, underWay, end } = controlled();
  const stop = new AbortController();
  let settled = false;
  const results = mapWindow([0, 1, 2, 3], 2, action, stop.signal).finally(() => (settled = true));
  const outcome = expect(results).rejects.toThrow('stop now');
  await turn();
  stop.abort(new Error('stop now'));
  end(0);
  await turn();
  expect(underWay()).toEqual([1]);
  expect(settled).toBe(false);
  end(1);
  await outcome;
});

test('a window whose items break off, or whose action throws at once, waits for what is under way too', async () => {
  async function* broken() {
    yield 0;
    await turn();
    throw new Error('no more items');
  }
  const first = controlled();
  const unread = expect(mapWindow(broken(), 4, first.action)).rejects.toThrow('no more items');
  await turn();
  await turn();
  expect(first.underWay()).toEqual([0]);
  first.end(0);
  await unread;

  const second = controlled();
  const thrown = mapWindow([0, 1], 4, (item) => {
    if (item === 1) throw new Error('at once');
    return second.action(item);
  });
  const outcome = expect(thrown).rejects.toThrow('at once');
  await turn();
  second.end(0);
  await outcome;
});

test('what is prefetched comes in order, with a bounded number ahead of the reader', async () => {
  const property = fc.asyncProperty(fc.nat(15), fc.integer({ min: 0, max: 5 }), async (count, ahead) => {
    const items = Array.from({ length: count }, (_, i) => i);
    let begun = 0;
    const results = prefetched(slowly(items), ahead, async (item) => {
      begun++;
      await turn();
      return item * 10;
    });
    let read = 0;
    for await (const result of results) {
      expect(result).toBe(read * 10);
      read++;
      expect(begun).toBeLessThanOrEqual(read + ahead);
      expect(begun).toBe(Math.min(count, read + ahead));
    }
    expect(read).toBe(count);
  });
  await fc.assert(property, { numRuns: 100 });
});

test('a failure that was prefetched is thrown when its turn comes, and never where its turn never comes', async () => {
  const action = (item: number) => (item === 2 ? Promise.reject(new Error('item 2 failed')) : Promise.resolve(item));
  const read: number[] = [];
  const reading = async () => {
    for await (const result of prefetched([0, 1, 2, 3], 4, action)) read.push(result);
  };
  await expect(reading()).rejects.toThrow('item 2 failed');
  expect(read).toEqual([0, 1]);
  for await (const result of prefetched([0, 1, 2, 3], 4, action)) {
    if (result === 1) break;
  }
  await turn(); // an unhandled rejection would fail the run
});

test('an abort ends prefetching at the next item', async () => {
  const stop = new AbortController();
  const begun: number[] = [];
  const action = async (item: number) => {
    begun.push(item);
    return item;
  };
  const reading = async () => {
    for await (const result of prefetched([0, 1, 2, 3, 4], 1, action, stop.signal))
      if (result === 0) stop.abort(new Error('stop now'));
  };
  await expect(reading()).rejects.toThrow('stop now');
  expect(begun).toEqual([0, 1]);
});
