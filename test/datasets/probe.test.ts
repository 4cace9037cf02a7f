import { createServer, type Server } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStore } from '../../datasets/store/open.js';
import { probeConditionalWrites } from '../../datasets/store/probe.js';
import { startS3Server, type S3Server } from '../support/s3Server.js';

let s3: S3Server;
let folder: string;
beforeAll(async () => {
  s3 = await startS3Server();
  folder = await mkdtemp(join(tmpdir(), 'koine-probe-'));
});
afterAll(async () => {
  await s3.stop();
  await rm(folder, { recursive: true, force: true });
});

/** As much of an S3 server as the probe asks for, with some of the conditions that it should hold. */
async function startCarelessServer(honoured: { 'if-none-match'?: boolean; 'if-match'?: boolean }): Promise<Server> {
  const objects = new Map<string, { body: Buffer; etag: string }>();
  let version = 0;
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const answer = (status: number, code = '') => {
        outgoing.statusCode = status;
        outgoing.end(code && incoming.method !== 'HEAD' ? `<Error><Code>${code}</Code></Error>` : undefined);
      };
      const key = new URL(incoming.url ?? '', 'http://s3').pathname;
      const present = objects.get(key);
      const { 'if-none-match': absent, 'if-match': matching } = incoming.headers;
      if (incoming.method === 'PUT') {
        const refused =
          (honoured['if-none-match'] && absent && present) ||
          (honoured['if-match'] && matching && present?.etag !== matching);
        if (refused) return answer(412, 'PreconditionFailed');
        objects.set(key, { body: Buffer.concat(chunks), etag: `"${++version}"` });
        return answer(200);
      }
      if (incoming.method === 'POST') {
        objects.clear();
        return outgoing.end('<DeleteResult/>');
      }
      if (!present) return answer(404, 'NoSuchKey');
      outgoing.setHeader('etag', present.etag);
      outgoing.setHeader('content-length', present.body.length);
      outgoing.end(incoming.method === 'GET' ? present.body : undefined);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

test.each([
  [{}, /written and written: If-None-Match is not honoured/],
  [{ 'if-match': true }, /If-None-Match is not honoured/],
  [{ 'if-none-match': true }, /If-Match is not honoured/],
  [{ 'if-none-match': true, 'if-match': true }, undefined],
])('a server that honours only %j is told apart', async (honoured, complaint) => {
  const server = await startCarelessServer(honoured);
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const store = openStore('s3://bucket/place', {
    endpoint,
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  });
  const found = await probeConditionalWrites(store);
  if (complaint) expect(found).toMatch(complaint);
  else expect(found).toBeUndefined();
  server.closeAllConnections();
  server.close();
});

test('a real server and a folder pass, and nothing is left there', async () => {
  for (const store of [openStore(`${s3.url}/probed`, s3), openStore(join(folder, 'probed'))]) {
    expect(await probeConditionalWrites(store)).toBeUndefined();
    for await (const { key } of store.list('')) expect(key).toBe('nothing is left');
  }
});
