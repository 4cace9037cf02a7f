import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, expect, test, vi } from 'vitest';
import { fateOf, isAlive, processIdentity } from '../../locks/processIdentity.js';

afterEach(() => {
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
});

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
  expect(fateOf({ ...processIdentity()!, started: '1' })).toBe('gone');
});

test('of a process of another machine nothing is known, though pid and start are equal', () => {
  const foreign = { ...processIdentity()!, host: 'elsewhere' };
  expect(fateOf(foreign)).toBe('unknown');
  expect(isAlive(foreign)).toBe(false);
});

test('a killed process that its parent has not asked about yet is gone', async () => {
  // The shell's child ends; the program that replaces the shell never asks how.
  const parent = spawn('sh', ['-c', 'sleep 0.05 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(line.toString());
  await expect.poll(() => processIdentity(pid)).toBeNull();
  expect(() => process.kill(pid, 0)).not.toThrow(); // it still has its entry
  parent.kill();
});

test('without /proc the system is asked through ps, in any language and time zone', async () => {
  const child = spawn(process.execPath, ['--eval', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] });
  vi.stubGlobal('process', Object.create(process, { platform: { value: 'darwin' } }));
  const identity = processIdentity(child.pid)!;
  expect(identity.started).toMatch(/^\w{3} \w{3} +\d+ \d\d:\d\d:\d\d \d{4}$/);
  vi.stubEnv('TZ', 'Asia/Tokyo');
  vi.stubEnv('LC_ALL', 'de_DE.UTF-8');
  expect(fateOf(identity)).toBe('runs');
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(fateOf(identity)).toBe('gone');
});
