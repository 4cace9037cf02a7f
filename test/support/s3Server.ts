import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { ensureVersitygw } from '../../infra/toolchain.js';

/** A real S3 server of a test, with one empty bucket. */
export interface S3Server {
  endpoint: string;
  bucket: string;
  /** `s3://<bucket>` */
  url: string;
  /** The bucket as a folder: object `a/b` is the plain file `a/b` in it. */
  folder: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
  /** The standard AWS environment that reaches it, for child processes. */
  env: Record<string, string>;
  stop(): Promise<void>;
}

/** Starts versitygw on a folder of its own and a free port. */
export async function startS3Server(): Promise<S3Server> {
  const binary = await ensureVersitygw();
  const home = await mkdtemp(join(tmpdir(), 'koine-s3-'));
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const credentials = { accessKeyId: 'test', secretAccessKey: 'testsecret' };
  const server = spawn(
    binary,
    ['--port', `127.0.0.1:${port}`, '--region', 'us-east-1', '--health', '/healthz', '--quiet', 'posix', home],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ROOT_ACCESS_KEY: credentials.accessKeyId, ROOT_SECRET_KEY: credentials.secretAccessKey },
    },
  );
  let complaint = '';
  server.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
  const exited = new Promise<void>((resolve) => server.once('exit', () => resolve()));
  const stop = async () => {
    server.kill('SIGKILL');
    await exited;
    await rm(home, { recursive: true, force: true });
  };
  for (let attempt = 0; ; attempt++) {
    const healthy = await fetch(`${endpoint}/healthz`).then(
      (answer) => answer.ok,
      () => false,
    );
    if (healthy) break;
    if (server.exitCode !== null || attempt > 300) {
      await stop();
      throw new Error(`versitygw did not start on ${endpoint}: ${complaint}`);
    }
    await sleep(50);
  }
  const bucket = 'koine-test';
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  client.destroy();
  const env = {
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
  };
  return { endpoint, bucket, url: `s3://${bucket}`, folder: join(home, bucket), credentials, env, stop };
}

async function freePort(): Promise<number> {
  const probe = createServer();
  return new Promise((resolve, reject) => {
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() =>
        typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no free port')),
      );
    });
  });
}
