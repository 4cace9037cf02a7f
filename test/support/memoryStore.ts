import { createHash } from 'node:crypto';
import { compareCodePoints } from '../../text/codePoints.js';
import {
  ObjectNotFound,
  checkKey,
  type ByteRange,
  type ObjectInfo,
  type ObjectStore,
  type StoreOptions,
} from '../../datasets/store/objectStore.js';

/**
 * A store in memory whose every operation happens at one moment, and whose clock is the test's: for exploring orders of operations. It does
 * what the real ones are tested to do in `objectStore.test.ts`.
 */
export class MemoryStore implements ObjectStore {
  readonly url = 'memory://test';
  readonly objects = new Map<string, { bytes: Uint8Array; modified: number }>();
  /** Milliseconds. */
  now = 0;

  async get(key: string): Promise<Uint8Array> {
    return this.present(key).bytes;
  }

  async getRange(key: string, start: number, end: number): Promise<Uint8Array> {
    return this.present(key).bytes.slice(start, end);
  }

  async *stream(key: string, { start, end }: ByteRange = {}): AsyncIterable<Uint8Array> {
    yield this.present(key).bytes.slice(start, end);
  }

  async getWithEtag(key: string): Promise<{ bytes: Uint8Array; etag: string } | undefined> {
    const kept = this.objects.get(key);
    return kept && { bytes: kept.bytes, etag: etagOf(kept.bytes) };
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    const kept = this.objects.get(key);
    return kept && { key, bytes: kept.bytes.length, modified: new Date(kept.modified), etag: etagOf(kept.bytes) };
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    this.keep(key, bytes);
  }

  async putIfAbsent(key: string, bytes: Uint8Array): Promise<'written' | 'exists'> {
    if (this.objects.has(key)) return 'exists';
    this.keep(key, bytes);
    return 'written';
  }

  async putIfMatch(key: string, bytes: Uint8Array, etag: string): Promise<'written' | 'conflict'> {
    const kept = this.objects.get(key);
    if (!kept || etagOf(kept.bytes) !== etag) return 'conflict';
    this.keep(key, bytes);
    return 'written';
  }

  async copy(from: string, to: string): Promise<void> {
    this.keep(to, this.present(from).bytes);
  }

  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    const listed = [...this.objects.keys()].filter((key) => key.startsWith(prefix)).sort(compareCodePoints);
    const infos = await Promise.all(listed.map((key) => this.head(key)));
    for (const info of infos) if (info) yield info;
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (const key of keys) this.objects.delete(key);
  }

  /** Another store that holds the same. */
  clone(): MemoryStore {
    const other = new MemoryStore();
    for (const [key, kept] of this.objects) other.objects.set(key, kept);
    other.now = this.now;
    return other;
  }

  private keep(key: string, bytes: Uint8Array): void {
    checkKey(key);
    this.objects.set(key, { bytes: Uint8Array.from(bytes), modified: this.now });
  }

  private present(key: string): { bytes: Uint8Array; modified: number } {
    const kept = this.objects.get(key);
    if (!kept) throw new ObjectNotFound(this.url, key);
    return kept;
  }
}

function etagOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Which of the clients that want to go on does so, by position; asked at every step. */
export type Schedule = (waiting: readonly string[], step: number) => number;

/**
 * Runs programs over one store in an order that a schedule decides: each waits before every operation until it is its turn, and an operation
 * is done before the next begins. A listing comes in two pages, and what happens between them may be in neither or both.
 * @param programs by name; each gets the store as it sees it
 * @returns how each program ended
 */
export async function interleave<Name extends string>(
  store: ObjectStore,
  programs: Record<Name, (store: ObjectStore) => Promise<unknown>>,
  schedule: Schedule,
): Promise<Record<Name, PromiseSettledResult<unknown>>> {
  const waiting: { name: string; go: () => Promise<void> }[] = [];
  let running = 0;
  const names = Object.keys(programs) as Name[];
  const endings = names.map(async (name) => {
    running++;
    const step = <T>(operation: () => Promise<T>) =>
      new Promise<T>((resolve, reject) => {
        waiting.push({ name, go: () => operation().then(resolve, reject) });
      });
    try {
      return await programs[name](steppedStore(store, step));
    } finally {
      running--;
    }
  });
  const all = Promise.allSettled(endings);
  for (let at = 0; ; at++) {
    await settled();
    if (running === 0) break;
    if (waiting.length === 0) throw new Error('every program waits for something else than the store');
    const clients = [...new Set(waiting.map(({ name }) => name))].sort();
    const chosen = clients[schedule(clients, at) % clients.length];
    const [{ go }] = waiting.splice(
      waiting.findIndex(({ name }) => name === chosen),
      1,
    );
    await go();
  }
  const ended = await all;
  return Object.fromEntries(names.map((name, i) => [name, ended[i]])) as Record<Name, PromiseSettledResult<unknown>>;
}

/** A store whose every operation is a step. */
export function steppedStore(store: ObjectStore, step: <T>(operation: () => Promise<T>) => Promise<T>): ObjectStore {
  return {
    url: store.url,
    get: (key, options) => step(() => store.get(key, options)),
    getRange: (key, start, end, options) => step(() => store.getRange(key, start, end, options)),
    stream: (key, range, options) => store.stream(key, range, options),
    getWithEtag: (key, options) => step(() => store.getWithEtag(key, options)),
    head: (key, options) => step(() => store.head(key, options)),
    put: (key, bytes, options) => step(() => store.put(key, bytes, options)),
    putIfAbsent: (key, bytes, options) => step(() => store.putIfAbsent(key, bytes, options)),
    putIfMatch: (key, bytes, etag, options) => step(() => store.putIfMatch(key, bytes, etag, options)),
    copy: (from, to, options) => step(() => store.copy(from, to, options)),
    delete: (keys, options) => step(() => store.delete(keys, options)),
    async *list(prefix: string, options?: StoreOptions) {
      const whole = async () => {
        const found: ObjectInfo[] = [];
        for await (const info of store.list(prefix, options)) found.push(info);
        return found;
      };
      const first = await step(whole);
      if (first.length < 2) return yield* first;
      const page = first.slice(0, first.length >> 1);
      yield* page;
      const last = page[page.length - 1].key;
      yield* (await step(whole)).filter(({ key }) => compareCodePoints(key, last) > 0);
    },
  };
}

/** Lets everything go on that waits for nothing but promises. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
