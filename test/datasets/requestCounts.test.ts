import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ObjectStore } from '../../datasets/store/objectStore.js';
import { openStore } from '../../datasets/store/open.js';
import { countRequests, countsBetween, none, requestCounts } from '../../datasets/store/requestCounts.js';
import { mapWindow } from '../../datasets/store/window.js';
import { startS3Server, type S3Server } from '../support/s3Server.js';

let s3: S3Server;
let folder: string;
beforeAll(async () => {
  s3 = await startS3Server();
  folder = await mkdtemp(join(tmpdir(), 'koine-counts-'));
});
afterAll(async () => {
  await s3.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Every operation once. */
async function everything(store: ObjectStore): Promise<void> {
  await store.put('a', Buffer.alloc(100));
  await store.putIfAbsent('b', Buffer.alloc(10));
  const { etag } = (await store.getWithEtag('b')) ?? { etag: '' };
  await store.putIfMatch('b', Buffer.alloc(20), etag);
  await store.get('a');
  await store.getRange('a', 0, 30);
  for await (const piece of store.stream('a')) expect(piece.length).toBe(100);
  await store.head('a');
  await store.copy('a', 'c');
  for await (const { key } of store.list('')) expect(key).toMatch(/[abc]/);
  await store.delete(['a']);
}

test.each(['folder', 's3'])(
  'every request to a %s is counted by its kind, conditional ones on their own',
  async (kind) => {
    const store = kind === 's3' ? openStore(`${s3.url}/counts`, s3) : openStore(join(folder, 'counts'));
    const { counts } = await countRequests(() => everything(store));
    expect(counts).toMatchObject({ put: 1, putIf: 2, head: 1, copy: 1, list: 1, delete: 1, retries: 0, bytesOut: 130 });
    // A folder reads an object to compare it before it is swapped.
    const swapRead = kind === 's3' ? 0 : 1;
    expect(counts).toMatchObject({ get: 4 + swapRead, bytesIn: 10 + 100 + 30 + 100 + 10 * swapRead });
  },
);

test('requests are attributed to the work that made them, whatever runs beside it on the same store', async () => {
  const store = openStore(`${s3.url}/attributed`, s3);
  const before = requestCounts();
  const works = Array.from({ length: 8 }, (_, i) =>
    countRequests(async () => {
      const items = Array.from({ length: i + 1 }, (_, item) => item);
      await mapWindow(items, 3, (item) => store.put(`${i}/${item}`, Buffer.alloc(i)));
      const inner = await countRequests(() => store.head(`${i}/0`));
      expect(inner.counts).toEqual({ ...none(), head: 1 });
    }),
  );
  for (const [i, { counts }] of (await Promise.all(works)).entries())
    expect(counts).toEqual({ ...none(), put: i + 1, head: 1, bytesOut: i * (i + 1) });
  expect(countsBetween(before, requestCounts())).toMatchObject({ put: 36, head: 8 });
});
