import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareCodePoints } from '../../text/codePoints.js';
import { DryRunStore } from '../../datasets/store/dryRun.js';
import { ObjectNotFound, type ObjectStore } from '../../datasets/store/objectStore.js';
import { openStore } from '../../datasets/store/open.js';
import { startS3Server, type S3Server } from '../support/s3Server.js';

let server: S3Server;
let folder: string;
beforeAll(async () => {
  server = await startS3Server();
  folder = await mkdtemp(join(tmpdir(), 'koine-store-'));
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

const text = (value: string) => Buffer.from(value, 'utf8');
const keysOf = async (store: ObjectStore, prefix: string) => {
  const keys = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
};

let places = 0;
/** Several clients of one fresh place. */
const backends: Record<string, () => ObjectStore[]> = {
  folder: () => {
    const path = join(folder, `place-${places++}`);
    return Array.from({ length: 8 }, () => openStore(path));
  },
  s3: () => {
    const url = `${server.url}/place-${places++}`;
    return Array.from({ length: 8 }, () => openStore(url, server));
  },
  'dry run over a folder': () => {
    const store = new DryRunStore(openStore(join(folder, `place-${places++}`)));
    return Array.from({ length: 8 }, () => store);
  },
};

describe.each(Object.entries(backends))('%s store', (_, clientsOf) => {
  test('gives back what was put, whole and in ranges', async () => {
    const [store] = clientsOf();
    await store.put('a/b.bin', text('0123456789'));
    expect(Buffer.from(await store.get('a/b.bin')).toString()).toBe('0123456789');
    const range = async (start: number, end: number) =>
      Buffer.from(await store.getRange('a/b.bin', start, end)).toString();
    expect(await range(2, 5)).toBe('234');
    expect(await range(8, 100)).toBe('89');
    expect(await range(3, 3)).toBe('');
    expect(await range(10, 20)).toBe('');
    await expect(store.getRange('a/b.bin', 5, 2)).rejects.toThrow(/\[5, 2\)/);
    expect(await store.head('a/b.bin')).toMatchObject({ key: 'a/b.bin', bytes: 10 });
    await store.put('a/b.bin', text('new'));
    expect(Buffer.from(await store.get('a/b.bin')).toString()).toBe('new');
    await store.put('a/empty', new Uint8Array(0));
    expect(await store.get('a/empty')).toHaveLength(0);
  });

  test('says which key is missing', async () => {
    const [store] = clientsOf();
    await expect(store.get('no/such')).rejects.toThrow(ObjectNotFound);
    await expect(store.get('no/such')).rejects.toThrow("'no/such'");
    await expect(store.getRange('no/such', 0, 1)).rejects.toThrow(ObjectNotFound);
    await expect(store.getRange('no/such', 0, 0)).rejects.toThrow(ObjectNotFound);
    await expect(store.copy('no/such', 'to')).rejects.toThrow(ObjectNotFound);
    expect(await store.head('no/such')).toBeUndefined();
    expect(await store.getWithEtag('no/such')).toBeUndefined();
    expect(await store.putIfMatch('no/such', text('x'), '"etag"')).toBe('conflict');
    await store.delete(['no/such']);
    expect(await keysOf(store, '')).toEqual([]);
  });

  test.each(['', '/a', 'a/', 'a//b', '../a', 'a/../b', './a', 'a\\b', 'a\nb', '.tmp/x'])(
    'refuses %j as a key',
    async (key) => {
      const [store] = clientsOf();
      await expect(store.put(key, text('x'))).rejects.toThrow(RangeError);
      await expect(store.get(key)).rejects.toThrow(RangeError);
      await expect(store.delete([key])).rejects.toThrow(RangeError);
    },
  );

  test('lists a prefix in code-point order of whole keys, across pages', async () => {
    const [store] = clientsOf();
    const awkward = ['a.b', 'a/b', 'a/b.c', 'a/bc', 'a-b', 'ab', 'é/x', '\u{1F600}', '\uFF5E', 'Z', 'a/z/y', 'a/z.y'];
    const many = Array.from({ length: 1100 }, (_, i) => `many/part-${String((i * 7919) % 1100).padStart(5, '0')}`);
    for (const key of awkward) await store.put(key, text(key));
    for (let at = 0; at < many.length; at += 100) {
      await Promise.all(many.slice(at, at + 100).map((key) => store.put(key, text('x'))));
    }
    expect(await keysOf(store, '')).toEqual([...awkward, ...many].sort(compareCodePoints));
    expect(await keysOf(store, 'a/b')).toEqual(['a/b', 'a/b.c', 'a/bc']);
    expect(await keysOf(store, 'a/z/')).toEqual(['a/z/y']);
    expect(await keysOf(store, 'a')).toEqual(awkward.filter((key) => key.startsWith('a')).sort(compareCodePoints));
    await store.delete(many);
    expect(await keysOf(store, 'many/')).toEqual([]);
  });

  test('of eight clients that put one absent key, exactly one writes it, fifty times', async () => {
    const clients = clientsOf();
    for (let round = 0; round < 50; round++) {
      const outcomes = await Promise.all(
        clients.map((client, i) => client.putIfAbsent(`race/${round}`, text(`client ${i}`))),
      );
      const winners = outcomes.flatMap((outcome, i) => (outcome === 'written' ? [i] : []));
      expect(winners).toHaveLength(1);
      expect(Buffer.from(await clients[0].get(`race/${round}`)).toString()).toBe(`client ${winners[0]}`);
    }
  });

  test('of eight clients that swap one etag, exactly one succeeds, and no increment is lost', async () => {
    const clients = clientsOf();
    await clients[0].putIfAbsent('pointer', text('0'));
    for (let round = 0; round < 10; round++) {
      const { etag } = (await clients[0].getWithEtag('pointer')) ?? { etag: '' };
      const outcomes = await Promise.all(
        clients.map((client, i) => client.putIfMatch('pointer', text(`round ${round} client ${i}`), etag)),
      );
      expect(outcomes.filter((outcome) => outcome === 'written')).toHaveLength(1);
    }
    await clients[0].put('counter', text('0'));
    await Promise.all(
      clients.map(async (client) => {
        for (let done = 0; done < 5;) {
          const { bytes, etag } = (await client.getWithEtag('counter')) ?? { bytes: text(''), etag: '' };
          const next = text(String(Number(Buffer.from(bytes).toString()) + 1));
          if ((await client.putIfMatch('counter', next, etag)) === 'written') done++;
        }
      }),
    );
    expect(Buffer.from(await clients[0].get('counter')).toString()).toBe('40');
  });

  test('copies without sharing fate: replacing or deleting one leaves the other', async () => {
    const [store] = clientsOf();
    await store.put('from/ä b+c%41.bin', text('bytes'));
    await store.copy('from/ä b+c%41.bin', 'to/x');
    await store.copy('to/x', 'to/x');
    await store.put('from/ä b+c%41.bin', text('other'));
    expect(Buffer.from(await store.get('to/x')).toString()).toBe('bytes');
    await store.delete(['from/ä b+c%41.bin']);
    expect(Buffer.from(await store.get('to/x')).toString()).toBe('bytes');
    await store.copy('to/x', 'to/y');
    await store.copy('to/x', 'to/y'); // over itself, one file already in a folder
    expect(await keysOf(store, '')).toEqual(['to/x', 'to/y']);
  });

  test('holds objects of tens of megabytes', async () => {
    const [store] = clientsOf();
    const bytes = randomBytes(70 * 1024 * 1024);
    await store.put('big', bytes);
    expect(Buffer.compare(await store.get('big'), bytes)).toBe(0);
    const end = bytes.length;
    expect(Buffer.compare(await store.getRange('big', end - 1000, end), bytes.subarray(end - 1000))).toBe(0);
  });

  test('streams an object and ranges of it', async () => {
    const [store] = clientsOf();
    const bytes = randomBytes(3_000_000);
    await store.put('streamed', bytes);
    await store.put('empty', new Uint8Array(0));
    const streamed = async (key: string, range?: { start?: number; end?: number }) => {
      const pieces = [];
      for await (const piece of store.stream(key, range)) pieces.push(piece);
      return Buffer.concat(pieces);
    };
    expect(Buffer.compare(await streamed('streamed'), bytes)).toBe(0);
    expect(Buffer.compare(await streamed('streamed', { start: 2_500_000 }), bytes.subarray(2_500_000))).toBe(0);
    expect(Buffer.compare(await streamed('streamed', { end: 10 }), bytes.subarray(0, 10))).toBe(0);
    expect(Buffer.compare(await streamed('streamed', { start: 5, end: 9e9 }), bytes.subarray(5))).toBe(0);
    expect(await streamed('streamed', { start: 4_000_000 })).toHaveLength(0);
    expect(await streamed('streamed', { start: 8, end: 8 })).toHaveLength(0);
    expect(await streamed('empty')).toHaveLength(0);
    await expect(streamed('none')).rejects.toThrow(ObjectNotFound);
    await expect(streamed('streamed', { start: 3, end: 2 })).rejects.toThrow(RangeError);
    for await (const piece of store.stream('streamed')) {
      expect(piece.length).toBeGreaterThan(0);
      break; // a reader may leave
    }
  });

  test('tells by an etag whether an object was replaced, without reading it', async () => {
    const [store, other] = clientsOf();
    await store.put('versioned', text('one'));
    const first = await store.head('versioned');
    expect(first?.etag).toBeTruthy();
    expect((await other.head('versioned'))?.etag).toBe(first?.etag);
    for await (const { etag } of store.list('versioned')) expect(etag).toBe(first?.etag);
    await other.put('versioned', text('two'));
    expect((await store.head('versioned'))?.etag).not.toBe(first?.etag);
  });

  test('an aborted operation rejects and leaves nothing', async () => {
    const [store] = clientsOf();
    const aborted = AbortSignal.abort(new Error('stop now'));
    await expect(store.put('k', text('x'), { signal: aborted })).rejects.toThrow();
    await expect(store.get('k', { signal: aborted })).rejects.toThrow();
    await expect(keysOfAborted(store, aborted)).rejects.toThrow();
    expect(await keysOf(store, '')).toEqual([]);
  });
});

async function keysOfAborted(store: ObjectStore, signal: AbortSignal): Promise<void> {
  for await (const { key } of store.list('', { signal })) expect(key).toBe('never');
}

test('a store is opened by folder path, file URL and s3 URL, and nothing else', () => {
  expect(openStore('/data/out').url).toBe('file:///data/out');
  expect(openStore('file:///data/out/').url).toBe('file:///data/out');
  expect(openStore('./out').url).toBe(`file://${process.cwd()}/out`);
  expect(openStore('s3://bucket/a/b/').url).toBe('s3://bucket/a/b');
  expect(openStore('s3://bucket').url).toBe('s3://bucket');
  expect(() => openStore('gs://bucket/x')).toThrow(/'gs:\/\/bucket\/x' is no store/);
  expect(() => openStore('s3://B/x')).toThrow(/no bucket name/);
  expect(() => openStore('')).toThrow(/is no store/);
});
