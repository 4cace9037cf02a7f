import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StoreRefused } from '../../datasets/store/objectStore.js';
import { StoreUnavailable } from '../../datasets/store/patience.js';
import { openStore } from '../../datasets/store/open.js';
import { compiledEntry } from '../../threads/pool.js';
import { startChild } from '../support/child.js';
import { startFaultProxy } from '../support/faultProxy.js';
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
    const endpoint = `http://127.0.0.1:${unused}`;
    const store = openStore(s3.url, { ...s3, endpoint, patience: { firstAnswerMs: 500 } });
    await expect(store.get('a')).rejects.toThrow(StoreUnavailable);
    await expect(store.get('a')).rejects.toThrow(/ECONNREFUSED.*never answered: check the endpoint/);
  });

  test.each([
    ['AWS_REGION', { AWS_REGION: 'eu-west-3', AWS_DEFAULT_REGION: 'eu-west-1' }, 'eu-west-3'],
    ['AWS_DEFAULT_REGION', { AWS_DEFAULT_REGION: 'eu-west-1', AWS_PROFILE: 'north' }, 'eu-west-1'],
    ['the profile', { AWS_PROFILE: 'north' }, 'eu-north-1'],
    ['nothing', {}, 'us-east-1'],
  ])('asks in the region that %s names', async (_, variables, region) => {
    const proxy = await startFaultProxy(s3.endpoint);
    const profile = join(folder, 'aws-config');
    const { accessKeyId, secretAccessKey } = s3.credentials;
    const lines = [`aws_access_key_id = ${accessKeyId}`, `aws_secret_access_key = ${secretAccessKey}`];
    await writeFile(profile, ['[profile north]', 'region = eu-north-1', ...lines, ''].join('\n'));
    const reach = { ...s3.env, AWS_ENDPOINT_URL: proxy.url, AWS_CONFIG_FILE: profile };
    const env = Object.entries({ ...reach, AWS_REGION: '', ...variables }).filter(([, value]) => value !== '');
    const run = child(
      `
        import { openStore } from ${JSON.stringify(compiled('open.js'))};
        await openStore('${s3.url}').head('a').catch(() => {});
        console.log('done');
      `,
      ['env', '-i', 'HOME=/nonexistent', ...env.map(([name, value]) => `${name}=${value}`)],
    );
    await run.ended;
    await proxy.close();
    expect(proxy.seen[0].headers.authorization).toMatch(new RegExp(`/${region}/s3/aws4_request`));
  });
});
