import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ObjectChanged, type ObjectStore } from '../../datasets/store/objectStore.js';
import { openStore } from '../../datasets/store/open.js';
import { StoreUnavailable, type StoreWait } from '../../datasets/store/patience.js';
import { countRequests } from '../../datasets/store/requestCounts.js';
import type { S3Options } from '../../datasets/store/s3Connection.js';
import { startFaultProxy, type Fault, type FaultProxy, type SeenRequest } from '../support/faultProxy.js';
import { startS3Server, type S3Server } from '../support/s3Server.js';

const text = (value: string) => Buffer.from(value, 'utf8');
const MiB = 2 ** 20;

let s3: S3Server;
let proxy: FaultProxy;
let faultOf: (request: SeenRequest) => Fault | Promise<Fault>;
/** The next requests have these faults, those after them none. */
const next = (...faults: Fault[]) => {
  faultOf = () => faults.shift() ?? 'pass';
  return faults;
};
beforeAll(async () => {
  s3 = await startS3Server();
  proxy = await startFaultProxy(s3.endpoint, { faultOf: (request) => faultOf(request), bytesBeforeFault: 100_000 });
});
afterAll(async () => {
  await proxy.close();
  await s3.stop();
});
beforeEach(() => {
  next();
  proxy.seen.length = 0;
});
const open = (options: S3Options = {}, endpoint = proxy.url) =>
  openStore(`${s3.url}/faults`, { endpoint, credentials: s3.credentials, ...options });
const collect = async (pieces: AsyncIterable<Uint8Array>) => {
  const all = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
};
/** Uploads that were begun and neither completed nor aborted. */
const uploads = async () => {
  const client = new S3Client({ ...s3, region: 'us-east-1', forcePathStyle: true });
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: s3.bucket }));
  client.destroy();
  return Uploads.length;
};

describe('a request', () => {
  test('rides out a burst of 503', async () => {
    const store = open();
    next('busy', 'busy', 'busy');
    await store.put('a', text('bytes'));
    next('busy', 'busy', 'busy');
    expect(Buffer.from(await store.get('a')).toString()).toBe('bytes');
    expect(proxy.seen.filter(({ fault }) => fault === 'busy')).toHaveLength(6);
  });

  test('is repeated when no answer comes, and its effect is one', async () => {
    const store = open({ timeouts: { silenceMs: 300 } });
    next('hang', 'swallow');
    expect(await store.putIfAbsent('silent', text('mine'))).toBe('written');
    next('hang');
    expect(Buffer.from(await store.get('silent')).toString()).toBe('mine');
  });

  test('survives a network that loses every tenth answer and resets every tenth connection', async () => {
    const store = open();
    let state = 7;
    const random = () => (state = (state * 48271) % 2147483647) / 2147483647;
    faultOf = () => {
      const draw = random();
      return draw < 0.1 ? 'lose' : draw < 0.2 ? 'reset' : 'pass';
    };
    const keys = Array.from({ length: 80 }, (_, i) => `bad/${i}`);
    await Promise.all(
      keys.map(async (key, i) => {
        expect(await store.putIfAbsent(key, text(`${i}`))).toBe('written');
        expect(await store.putIfAbsent(key, text('other'))).toBe('exists');
      }),
    );
    const { etag } = (await store.getWithEtag(keys[0])) ?? { etag: '' };
    expect(await store.putIfMatch(keys[0], text('next'), etag)).toBe('written');
    expect(await store.putIfMatch(keys[0], text('late'), etag)).toBe('conflict');
    const listed = [];
    for await (const { key } of store.list('bad/')) listed.push(key);
    expect(listed).toHaveLength(keys.length);
    const read = await Promise.all(keys.slice(1).map(async (key) => Buffer.from(await store.get(key)).toString()));
    expect(read).toEqual(keys.slice(1).map((_, i) => `${i + 1}`));
    await store.delete(keys);
    next();
    for await (const { key } of store.list('bad/')) expect(key).toBe('none is left');
  });

  test('waits for a store that is away, and this is said once for all that wait, and once when it is back', async () => {
    const waits: StoreWait[] = [];
    const store = open({ patience: { sayAfterMs: 300 }, onWait: (wait) => waits.push(wait) });
    await store.put('before', text('x'));
    faultOf = () => 'reset';
    const puts = Promise.all(Array.from({ length: 20 }, (_, i) => store.put(`away/${i}`, text('x'))));
    while (waits.length === 0) await sleep(20);
    await sleep(500);
    next();
    await puts;
    expect(waits).toMatchObject([
      { store: `${s3.url}/faults`, over: false, cause: expect.stringContaining('ECONNRESET') as string },
      { store: `${s3.url}/faults`, over: true },
    ]);
    expect(waits[1].seconds).toBeGreaterThan(waits[0].seconds);
  });

  test('gives up when its time is over, naming the store and what is wrong', async () => {
    const store = open({ patience: { totalMs: 500 } });
    faultOf = () => 'busy';
    await expect(store.get('a')).rejects.toThrow(StoreUnavailable);
    await expect(store.get('a')).rejects.toThrow(/faults has not answered for .* s \(SlowDown/);
  });

  test('that hangs ends when it is aborted, with the reason', async () => {
    next('hang');
    const stop = new AbortController();
    const pending = open().put('hung', Buffer.alloc(1_000_000), { signal: stop.signal });
    const outcome = expect(pending).rejects.toThrow('stop now');
    while (proxy.seen.length === 0) await sleep(5);
    stop.abort(new Error('stop now'));
    await outcome;
    expect(await open().head('hung')).toBeUndefined();
  });

  test('that is waiting for its next attempt ends when it is aborted', async () => {
    faultOf = () => 'busy';
    const stop = new AbortController();
    const outcome = expect(open().get('a', { signal: stop.signal })).rejects.toThrow('stop now');
    while (proxy.seen.length < 3) await sleep(5);
    stop.abort(new Error('stop now'));
    await outcome;
  });

  test('that cannot be granted is not repeated', async () => {
    next({ status: 403, code: 'AccessDenied' });
    await expect(open().get('a')).rejects.toThrow(
      /access to 'faults\/a' is denied; the credentials need s3:ListBucket/,
    );
    expect(proxy.seen).toHaveLength(1);
  });

  test('goes over one pool of connections, however often the store is opened', async () => {
    await open().put('a', text('bytes'));
    const before = proxy.connections;
    for (let i = 0; i < 30; i++) await open({ patience: { totalMs: 12_345 } }).get('a');
    expect(proxy.connections - before).toBe(1);
  });
});

describe('a conditional put', () => {
  test('knows that it won when the answer was lost', async () => {
    const store = open();
    next('lose');
    expect(await store.putIfAbsent('once', text('mine'))).toBe('written');
    expect(await store.putIfAbsent('once', text('mine'))).toBe('exists');
    const { etag } = (await store.getWithEtag('once')) ?? { etag: '' };
    next('lose');
    expect(await store.putIfMatch('once', text('next'), etag)).toBe('written');
    expect(await store.putIfMatch('once', text('late'), etag)).toBe('conflict');
  });

  test('knows that it lost when the answer was lost', async () => {
    const store = open();
    await store.put('taken', text('theirs'));
    next('lose');
    expect(await store.putIfAbsent('taken', text('mine'))).toBe('exists');
    expect(Buffer.from(await store.get('taken')).toString()).toBe('theirs');
  });
});

describe('reading', () => {
  const bytes = randomBytes(500_000);

  test('goes on from the byte reached when an answer breaks off or falls silent', async () => {
    const store = open({ timeouts: { silenceMs: 300 } });
    await store.put('long', bytes);
    for (const fault of ['cut', 'stall'] as const) {
      const left = next(fault, fault);
      proxy.seen.length = 0;
      expect(Buffer.compare(await store.get('long'), bytes)).toBe(0);
      expect(left).toHaveLength(0);
      const ranges = proxy.seen.map(({ headers }) => headers.range);
      expect(ranges[0]).toBeUndefined();
      expect(ranges.slice(1)).toEqual(['bytes=100000-', 'bytes=200000-']);
      next(fault);
      expect(
        Buffer.compare(await collect(store.stream('long', { start: 7, end: 300_000 })), bytes.subarray(7, 300_000)),
      ).toBe(0);
      next(fault);
      expect(Buffer.compare(await store.getRange('long', 250_000, 600_000), bytes.subarray(250_000))).toBe(0);
    }
  });

  test('never mixes two versions: a stream ends with an error, a whole read begins anew', async () => {
    const store = open();
    const other = randomBytes(500_000);
    const direct = open({}, s3.endpoint);
    const replaced = async (read: (of: ObjectStore) => Promise<Uint8Array>) => {
      await direct.put('moving', bytes);
      let requests = 0;
      faultOf = async () => {
        if (++requests === 2) await direct.put('moving', other); // after the first answer broke off
        return requests === 1 ? 'cut' : 'pass';
      };
      return read(store);
    };
    expect(Buffer.compare(await replaced((of) => of.get('moving')), other)).toBe(0);
    await expect(replaced((of) => collect(of.stream('moving')))).rejects.toThrow(ObjectChanged);
  });
});

describe('an object that is put in parts', () => {
  const bytes = randomBytes(70 * MiB);
  const isPart = ({ method, url }: SeenRequest) => method === 'PUT' && url.includes('partNumber=');
  const isComplete = ({ method, url }: SeenRequest) => method === 'POST' && url.includes('uploadId=');
  /** The nth request of a kind has a fault. */
  const nth = (n: number, is: (request: SeenRequest) => boolean, fault: Fault) => {
    let seen = 0;
    faultOf = (request) => (is(request) && seen++ === n ? fault : 'pass');
  };

  test('is whole, and one part that fails is repeated alone', async () => {
    const store = open();
    nth(2, isPart, 'lose');
    const { counts } = await countRequests(() => store.put('parts/a', bytes));
    expect(Buffer.compare(await store.get('parts/a'), bytes)).toBe(0);
    expect(counts).toMatchObject({ put: 8, retries: 1 }); // begin, five parts and one again, complete
    expect(counts.bytesOut).toBe(bytes.length + 16 * MiB);
    expect(await uploads()).toBe(0);
  });

  test('is put if absent, exactly, also where the last answer is lost', async () => {
    const store = open();
    nth(0, isComplete, 'lose');
    expect(await store.putIfAbsent('parts/once', bytes)).toBe('written');
    expect(await store.putIfAbsent('parts/once', randomBytes(65 * MiB))).toBe('exists');
    expect(Buffer.compare(await store.get('parts/once'), bytes)).toBe(0);
    nth(0, isComplete, 'lose');
    await store.put('parts/once', bytes);
    expect(await uploads()).toBe(0);
  });

  test('leaves nothing when it fails or is aborted', async () => {
    const store = open();
    nth(1, isPart, { status: 403, code: 'AccessDenied' });
    await expect(store.put('parts/denied', bytes)).rejects.toThrow(/is denied/);
    const stop = new AbortController();
    faultOf = (request) => {
      if (isPart(request)) stop.abort(new Error('stop now'));
      return 'pass';
    };
    await expect(store.put('parts/aborted', bytes, { signal: stop.signal })).rejects.toThrow('stop now');
    next();
    expect(await store.head('parts/denied')).toBeUndefined();
    expect(await store.head('parts/aborted')).toBeUndefined();
    expect(await uploads()).toBe(0);
  });

  test('is copied in parts where the server says that it is too large for one request', async () => {
    const store = open();
    await store.put('parts/source', text('small, but the server says otherwise'));
    next({ status: 400, code: 'InvalidRequest' });
    await store.copy('parts/source', 'parts/copy');
    expect(proxy.seen.some(({ method, headers }) => method === 'PUT' && headers['x-amz-copy-source-range'])).toBe(true);
    expect(Buffer.from(await store.get('parts/copy')).toString()).toBe('small, but the server says otherwise');
    expect(await uploads()).toBe(0);
  });
});
