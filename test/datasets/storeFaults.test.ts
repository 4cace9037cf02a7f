import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StoreRefused } from '../../datasets/store/objectStore.js';
import { openStore } from '../../datasets/store/open.js';
import { compiledEntry } from '../../threads/pool.js';
import { startChild } from '../support/child.js';
import { startFaultProxy, type Fault, type FaultProxy } from '../support/faultProxy.js';
import { startS3Server, type S3Server } from '../support/s3Server.js';

const compiled = (module: string) => compiledEntry(`../../datasets/store/${module}`, import.meta.url).href;
const text = (value: string) => Buffer.from(value, 'utf8');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'koine-faults-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs an ES module in a process of its own; `ready` resolves when it prints a line. */
function child(source: string, prefix: string[] = []) {
  const command = [...prefix, process.execPath, '--input-type=module', '-e', source];
  const process_ = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  const ready = new Promise<void>((resolve) =>
    process_.stdout.on('data', (chunk: Buffer) => {
      lines.push(...chunk.toString().split('\n').filter(Boolean));
      resolve();
    }),
  );
  const ended = new Promise<number | null>((resolve) => process_.once('exit', (code) => resolve(code)));
  return { process: process_, lines, ready, ended };
}

describe('a folder store', () => {
  test('shows no half object after kill -9 in the middle of puts', async () => {
    const root = join(folder, 'killed');
    const size = 3_000_000;
    for (let round = 0; round < 5; round++) {
      const writer = child(`
        import { openStore } from ${JSON.stringify(compiled('open.js'))};
        const store = openStore(${JSON.stringify(root)});
        console.log('go');
        for (let i = 0; ; i++) await store.put('leaf/object-' + (i % 7), Buffer.alloc(${size}, i % 251));
      `);
      await writer.ready;
      await sleep(60 + 37 * round);
      writer.process.kill('SIGKILL');
      await writer.ended;
      const store = openStore(root);
      let seen = 0;
      for await (const { key } of store.list('')) {
        const bytes = await store.get(key);
        expect(bytes.length).toBe(size);
        expect(bytes.every((byte) => byte === bytes[0])).toBe(true);
        seen++;
      }
      expect(seen).toBeGreaterThan(0);
    }
    expect((await readdir(root)).sort()).toEqual(['.tmp', 'leaf']);
  });

  test('a swap goes on after the holder of the lock was killed', async () => {
    const root = join(folder, 'lock-killed');
    const store = openStore(root);
    await store.putIfAbsent('pointer', text('first'));
    const { etag } = (await store.getWithEtag('pointer')) ?? { etag: '' };
    const locks = join(root, '.tmp/locks', createHash('sha256').update('pointer').digest('hex').slice(0, 32));
    const holder = startChild(new URL('../locks/children/hold.mjs', import.meta.url), [locks]);
    await holder.firstLine;
    const swap = store.putIfMatch('pointer', text('second'), etag);
    await sleep(200);
    expect(Buffer.from(await store.get('pointer')).toString()).toBe('first'); // the holder lives: wait for it
    holder.process.kill('SIGKILL');
    expect(await swap).toBe('written');
    expect(Buffer.from(await store.get('pointer')).toString()).toBe('second');
  });

  test('processes that are killed at random lose no swap of those who saw it written', async () => {
    const root = join(folder, 'swaps');
    await openStore(root).putIfAbsent('counter', text('[]'));
    const writers = [];
    for (let id = 0; id < 4; id++) {
      const writer = child(`
        import { openStore } from ${JSON.stringify(compiled('open.js'))};
        const store = openStore(${JSON.stringify(root)});
        for (let i = 0; ; ) {
          const { bytes, etag } = await store.getWithEtag('counter');
          const next = JSON.stringify([...JSON.parse(Buffer.from(bytes)), '${id}-' + i]);
          if ((await store.putIfMatch('counter', Buffer.from(next), etag)) === 'written') console.log('${id}-' + i++);
        }
      `);
      writers.push(writer);
    }
    for (const writer of writers) {
      await writer.ready;
      await sleep(150);
      writer.process.kill('SIGKILL');
      await writer.ended;
    }
    const kept = JSON.parse(Buffer.from(await openStore(root).get('counter')).toString()) as string[];
    expect(new Set(kept).size).toBe(kept.length);
    for (const writer of writers) for (const line of writer.lines) expect(kept).toContain(line);
  });

  test('a write that fails half-way names file and cause and leaves nothing', async () => {
    const root = join(folder, 'too-large');
    const writer = child(
      `
        import { openStore } from ${JSON.stringify(compiled('open.js'))};
        const store = openStore(${JSON.stringify(root)});
        await store.put('leaf/object', Buffer.alloc(5_000_000, 1)).then(
          () => console.log('written'),
          (error) => console.log(error.name + ' ' + error.message));
      `,
      ['bash', '-c', 'ulimit -f 100; exec "$@"', 'bash'],
    );
    await writer.ended;
    expect(writer.lines.join()).toMatch(/^StoreRefused .*leaf\/object: .*file size/);
    const left = await readdir(root, { recursive: true, withFileTypes: true });
    expect(left.filter((entry) => entry.isFile())).toEqual([]);
  });

  test('keys that would be file and folder at once are refused with the reason', async () => {
    const store = openStore(join(folder, 'clash'));
    await store.put('a', text('x'));
    await expect(store.put('a/b', text('y'))).rejects.toThrow(StoreRefused);
    await expect(store.put('a/b', text('y'))).rejects.toThrow(/cannot both exist/);
    await expect(store.putIfAbsent('a/b', text('y'))).rejects.toThrow(/cannot both exist/);
    await store.put('c/d', text('x'));
    await expect(store.putIfAbsent('c', text('y'))).rejects.toThrow(/cannot both exist/);
    await expect(store.put('c', text('y'))).rejects.toThrow(/cannot both exist/);
    await expect(store.put('n'.repeat(300), text('y'))).rejects.toThrow(/255 bytes/);
  });

  test('drafts of killed writers are cleared away, young ones are not', async () => {
    const root = join(folder, 'drafts');
    const drafts = join(root, '.tmp/drafts');
    await mkdir(drafts, { recursive: true });
    await writeFile(join(drafts, 'young'), 'x');
    await openStore(root).put('a', text('x'));
    expect(await readdir(drafts)).toEqual(['young']);
  });
});

describe('an S3 store behind a bad network', () => {
  let s3: S3Server;
  let proxy: FaultProxy;
  let faults: Fault[] = [];
  beforeAll(async () => {
    s3 = await startS3Server();
    proxy = await startFaultProxy(s3.endpoint, { faultOf: () => faults.shift() ?? 'pass' });
  });
  afterAll(async () => {
    await proxy.close();
    await s3.stop();
  });
  const store = () => openStore(`${s3.url}/faults`, { ...s3, endpoint: proxy.url });

  test('rides out a burst of 503', async () => {
    faults = ['busy', 'busy', 'busy'];
    await store().put('a', text('bytes'));
    faults = ['busy', 'busy', 'busy'];
    expect(Buffer.from(await store().get('a')).toString()).toBe('bytes');
    expect(proxy.seen.filter(({ fault }) => fault === 'busy')).toHaveLength(6);
  });

  test('gives up after maxAttempts', async () => {
    faults = ['busy', 'busy', 'busy'];
    await expect(openStore(`${s3.url}/x`, { ...s3, endpoint: proxy.url, maxAttempts: 2 }).get('a')).rejects.toThrow();
    expect(faults).toHaveLength(1);
    faults = [];
  });

  test('reads again when an answer breaks off', async () => {
    await store().put('long', Buffer.alloc(500_000, 7));
    faults = ['cut', 'cut'];
    expect(await store().get('long')).toHaveLength(500_000);
    expect(faults).toHaveLength(0);
  });

  test('knows its own conditional put when the answer was lost', async () => {
    faults = ['lose'];
    expect(await store().putIfAbsent('once', text('mine'))).toBe('written');
    expect(await store().putIfAbsent('once', text('mine'))).toBe('exists');
    const { etag } = (await store().getWithEtag('once')) ?? { etag: '' };
    faults = ['lose'];
    expect(await store().putIfMatch('once', text('next'), etag)).toBe('written');
    expect(await store().putIfMatch('once', text('late'), etag)).toBe('conflict');
  });

  test('an abort ends a request that hangs', async () => {
    faults = ['hang'];
    const started = proxy.seen.length;
    const stop = new AbortController();
    const pending = store().put('hung', Buffer.alloc(1_000_000), { signal: stop.signal });
    while (proxy.seen.length === started) await sleep(5);
    stop.abort();
    await expect(pending).rejects.toThrow(/abort/i);
    expect(await store().head('hung')).toBeUndefined();
  });
});

describe('an S3 store that cannot work says what is missing', () => {
  let s3: S3Server;
  beforeAll(async () => {
    s3 = await startS3Server();
  });
  afterAll(() => s3.stop());

  test('the bucket', async () => {
    const store = openStore('s3://no-such-bucket/x', s3);
    await expect(store.put('a', text('x'))).rejects.toThrow(StoreRefused);
    await expect(store.put('a', text('x'))).rejects.toThrow(/bucket 'no-such-bucket' does not exist; create it/);
  });

  test('right credentials', async () => {
    const wrong = { endpoint: s3.endpoint, credentials: { accessKeyId: 'test', secretAccessKey: 'wrong' } };
    await expect(openStore(s3.url, wrong).get('a')).rejects.toThrow(
      /credentials are refused \(SignatureDoesNotMatch\)/,
    );
  });

  test('any credentials', async () => {
    const run = child(
      `
        import { openStore } from ${JSON.stringify(compiled('open.js'))};
        await openStore('${s3.url}').get('a').catch((error) => console.log(error.name + ' ' + error.message));
      `,
      ['env', '-i', `AWS_ENDPOINT_URL=${s3.endpoint}`, 'HOME=/nonexistent', 'AWS_EC2_METADATA_DISABLED=true'],
    );
    await run.ended;
    expect(run.lines.join()).toMatch(/^StoreRefused .*no credentials; set AWS_ACCESS_KEY_ID/);
  });

  test('and works from the standard AWS environment alone', async () => {
    const variables = Object.entries(s3.env).map(([name, value]) => `${name}=${value}`);
    const run = child(
      `
        import { openStore } from ${JSON.stringify(compiled('open.js'))};
        const store = openStore('${s3.url}/env');
        await store.put('a', Buffer.from('x'));
        console.log((await store.get('a')).length);
      `,
      ['env', '-i', 'HOME=/nonexistent', ...variables],
    );
    await run.ended;
    expect(run.lines).toEqual(['1']);
    expect(await readFile(join(s3.folder, 'env/a'), 'utf8')).toBe('x');
  });

  test('a server that is not there', async () => {
    const unused = await new Promise<number>((resolve) => {
      const probe = createServer().listen(0, '127.0.0.1', () => {
        const { port } = probe.address() as AddressInfo;
        probe.close(() => resolve(port));
      });
    });
    const socket = connect(unused, '127.0.0.1');
    await new Promise((resolve) => socket.once('error', resolve));
    const store = openStore(s3.url, { ...s3, endpoint: `http://127.0.0.1:${unused}`, maxAttempts: 1 });
    await expect(store.get('a')).rejects.toThrow(/ECONNREFUSED/);
  });
});
