import { mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, expect, test } from 'vitest';
import { withFileLock } from '../../infra/fileLock.js';
import { startChild } from './child.js';

let folder: string;
let lock: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'koine-lock-'));
  lock = join(folder, 'lock');
});

test('work of several processes never overlaps, and no turn is lost', async () => {
  const file = join(folder, 'count');
  writeFileSync(file, '0');
  const children = [1, 2, 3, 4].map(() => startChild('increment', lock, file, '25'));
  expect(await Promise.all(children.map((child) => child.ended))).toEqual([0, 0, 0, 0]);
  expect(readFileSync(file, 'utf8')).toBe('100');
});

test('two calls in one process take turns', async () => {
  const order: string[] = [];
  const work = (name: string) => async () => {
    order.push(`${name} in`);
    await sleep(30);
    order.push(`${name} out`);
  };
  await Promise.all([withFileLock(lock, work('a')), withFileLock(lock, work('b'))]);
  expect(order.filter((line) => line.endsWith('in'))).toHaveLength(2);
  expect([order[0].slice(0, 1), order[2].slice(0, 1)]).toEqual([order[1].slice(0, 1), order[3].slice(0, 1)]);
});

test('the lock of a killed process is taken over, that of a living one is waited for by name', async () => {
  const holder = startChild('hold', lock);
  await holder.firstLine;
  const waits: number[] = [];
  let entered = false;
  const next = withFileLock(
    lock,
    async () => {
      entered = true;
    },
    { onWait: (pid) => waits.push(pid) },
  );
  await expect.poll(() => waits).toEqual([holder.process.pid]);
  expect(entered).toBe(false);
  holder.process.kill('SIGKILL');
  await next;
  expect(entered).toBe(true);
});

test('many processes that find a killed holder replace it one at a time', async () => {
  const holder = startChild('hold', lock);
  await holder.firstLine;
  const file = join(folder, 'count');
  writeFileSync(file, '0');
  const children = [1, 2, 3, 4].map(() => startChild('increment', lock, file, '10'));
  holder.process.kill('SIGKILL');
  expect(await Promise.all(children.map((child) => child.ended))).toEqual([0, 0, 0, 0]);
  expect(readFileSync(file, 'utf8')).toBe('40');
});

test('work that throws lets go, its error comes through, and nothing piles up in the folder', async () => {
  for (let i = 0; i < 5; i++) {
    await expect(withFileLock(lock, () => Promise.reject(new Error(`no ${i}`)))).rejects.toThrow(`no ${i}`);
  }
  expect(await withFileLock(lock, async () => 'in')).toBe('in');
  expect(readdirSync(lock)).toHaveLength(1);
});
