import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findDevServer, holdDevServer, startDevServer, type DevServer } from '../../infra/devServer.js';
import { startChild } from '../support/child.js';

const script = new URL('./children/devServer.mjs', import.meta.url);
let stateDir: string;
let letGo: () => Promise<void>;
beforeEach(async () => {
  stateDir = mkdtempSync(join(tmpdir(), 'koine-dev-server-'));
  letGo = () => Promise.resolve();
});
afterEach(async () => {
  await letGo();
  const server = findDevServer(stateDir);
  if (server?.alive) process.kill(server.process.pid, 'SIGKILL'); // what a failed test left behind
  rmSync(stateDir, { recursive: true, force: true });
});

const pidOf = () => findDevServer(stateDir)!.process.pid;
const alive = () => findDevServer(stateDir)?.alive;

async function withClient<T>({ address }: { address: string }, work: (client: Client) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address });
  try {
    return await work(new Client({ connection }));
  } finally {
    await connection.close();
  }
}

const startWorkflow = (server: { address: string }, workflowId: string) =>
  withClient(server, (client) => client.workflow.start('any', { taskQueue: 'any', workflowId }));

test('users of one folder share a server, and the last to leave stops it', async () => {
  const first = await startDevServer({ stateDir });
  const second = await startDevServer({ stateDir });
  expect([first.owned, second.owned]).toEqual([true, false]);
  expect(second.address).toBe(first.address);
  expect((await fetch(first.uiUrl)).status).toBe(200);
  await first.release();
  await first.release(); // harmless
  expect(alive()).toBe(true);
  await second.release();
  expect(alive()).toBe(false);
});

test('two processes that start at the same time get one server', async () => {
  const children = [1, 2, 3].map(() => startChild(script, [stateDir]));
  const servers = (await Promise.all(children.map((child) => child.firstLine))).map(
    (line) => JSON.parse(line) as DevServer,
  );
  expect(new Set(servers.map((server) => server.address)).size).toBe(1);
  expect(servers.filter((server) => server.owned)).toHaveLength(1);
  for (const child of children) child.process.stdin!.end();
  expect(await Promise.all(children.map((child) => child.ended))).toEqual([0, 0, 0]);
  expect(alive()).toBe(false);
});

test('a server whose owner was killed is joined, and stopped by its new user', async () => {
  const owner = startChild(script, [stateDir]);
  await owner.firstLine;
  const pid = pidOf();
  owner.process.kill('SIGKILL');
  await owner.ended;
  expect(alive()).toBe(true);
  const server = await startDevServer({ stateDir });
  expect(server.owned).toBe(false);
  expect(pidOf()).toBe(pid);
  await server.release();
  expect(alive()).toBe(false);
});

test('a killed server comes back on the same ports with its workflows', async () => {
  const before = await startDevServer({ stateDir });
  await startWorkflow(before, 'kept');
  process.kill(pidOf(), 'SIGKILL');
  await expect.poll(alive).toBe(false);
  const after = await startDevServer({ stateDir });
  expect(after).toMatchObject({ owned: true, address: before.address, uiUrl: before.uiUrl });
  const { status } = await withClient(after, (client) => client.workflow.getHandle('kept').describe());
  expect(status.name).toBe('RUNNING');
  await before.release();
  expect(alive()).toBe(true);
  await after.release();
  expect(alive()).toBe(false);
});

test('when the old port is taken, the server comes back on another', async () => {
  const before = await startDevServer({ stateDir });
  await startWorkflow(before, 'kept');
  await before.release();
  const squatter: Server = createServer().listen(Number(before.address.split(':')[1]), '127.0.0.1');
  await once(squatter, 'listening');
  letGo = () => new Promise((resolve) => squatter.close(() => resolve()));
  const after = await startDevServer({ stateDir });
  expect(after.address).not.toBe(before.address);
  const { status } = await withClient(after, (client) => client.workflow.getHandle('kept').describe());
  expect(status.name).toBe('RUNNING');
  await after.release();
});

test('a later user can ask for search attributes that the server lacks, and use them at once', async () => {
  const first = await startDevServer({ stateDir, searchAttributes: { ModelId: 'Keyword' } });
  const second = await startDevServer({ stateDir, searchAttributes: { ModelId: 'Keyword', ShardsDone: 'Int' } });
  const typedSearchAttributes = [
    { key: defineSearchAttributeKey('ModelId', 'KEYWORD'), value: 'chgnet' },
    { key: defineSearchAttributeKey('ShardsDone', 'INT'), value: 7 },
  ];
  await withClient(second, async (client) => {
    await client.workflow.start('any', { taskQueue: 'any', workflowId: 'found', typedSearchAttributes });
    await expect.poll(() => client.workflow.count("ModelId = 'chgnet' AND ShardsDone = 7")).toMatchObject({ count: 1 });
  });
  await expect(startDevServer({ stateDir, searchAttributes: { ModelId: 'Int' } })).rejects.toThrow(
    /search attribute ModelId .*Keyword.*Int/,
  );
  await second.release();
  await first.release();
});

test('a hold starts no server, and keeps one alive between its users', async () => {
  const release = await holdDevServer(stateDir);
  expect(existsSync(join(stateDir, 'server.json'))).toBe(false);
  const server = await startDevServer({ stateDir });
  await server.release();
  expect(alive()).toBe(true);
  await release();
  expect(alive()).toBe(false);
});

test('a server that cannot start fails with the end of its log', async () => {
  const server = await startDevServer({ stateDir });
  await server.release();
  rmSync(join(stateDir, 'temporal.db'));
  // A folder where the database file should be.
  mkdirSync(join(stateDir, 'temporal.db'));
  await expect(startDevServer({ stateDir })).rejects.toThrow(/ended before it answered.*\n.*(directory|database)/s);
  expect(alive()).toBe(false);
});
