import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { isAlive, processIdentity } from '../../infra/processIdentity.js';

test('this process is alive, and the same one whenever asked', () => {
  const identity = processIdentity();
  expect(identity).toMatchObject({ pid: process.pid });
  expect(isAlive(identity!)).toBe(true);
  expect(processIdentity(process.pid)).toEqual(identity);
});

test('a process that ended is not alive', async () => {
  const child = spawn(process.execPath, ['--eval', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] });
  const identity = processIdentity(child.pid)!;
  expect(isAlive(identity)).toBe(true);
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(isAlive(identity)).toBe(false);
  expect(processIdentity(child.pid)).toBeNull();
});

test('a living process with the pid of another one is not that one', () => {
  expect(isAlive({ ...processIdentity()!, started: 'boot/1' })).toBe(false);
});
