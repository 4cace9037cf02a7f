import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { LockLost, withLock } from '../../locks/lock.js';
import { processIdentity } from '../../locks/processIdentity.js';
import { startChild, type Child } from '../support/child.js';

let folder: string;
let lock: string;
let children: Child[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'koine-lock-'));
  lock = join(folder, 'lock');
});
afterEach(() => {
  for (const { process } of children) process.kill('SIGKILL');
  children = [];
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

function child(name: string, args: string[], prefix: string[] = []): Child {
  const started = startChild(new URL(`./children/${name}.mjs`, import.meta.url), args, prefix);
  children.push(started);
  return started;
}

/** Whether the lock cannot be had within a moment. */
async function refused(): Promise<boolean> {
  const stop = new AbortController();
  const attempt = withLock(lock, () => false, { signal: stop.signal, onWait: () => stop.abort() });
  return attempt.catch((error: unknown) => {
    if (stop.signal.aborted) return true;
    throw error;
  });
}

const ticket = () => join(lock, readdirSync(lock)[0]);

test('work of several processes never overlaps, and no turn is lost', async () => {
  const file = join(folder, 'count');
  writeFileSync(file, '0');
  const counting = [1, 2, 3, 4].map(() => child('increment', [lock, file, '25']));
  expect(await Promise.all(counting.map(({ ended }) => ended))).toEqual([0, 0, 0, 0]);
  expect(readFileSync(file, 'utf8')).toBe('100');
});

test('two calls in one process take turns', async () => {
  const order: string[] = [];
  const work = (name: string) => async () => {
    order.push(`${name} in`);
    await sleep(30);
    order.push(`${name} out`);
  };
  await Promise.all([withLock(lock, work('a')), withLock(lock, work('b'))]);
  expect(order.filter((line) => line.endsWith('in'))).toHaveLength(2);
  expect([order[0].slice(0, 1), order[2].slice(0, 1)]).toEqual([order[1].slice(0, 1), order[3].slice(0, 1)]);
});

test('the lock of a killed process is taken over, that of a living one is waited for by name', async () => {
  const holder = child('hold', [lock]);
  await holder.firstLine;
  const waits: number[] = [];
  let entered = false;
  const next = withLock(
    lock,
    () => {
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
  const holder = child('hold', [lock]);
  await holder.firstLine;
  const file = join(folder, 'count');
  writeFileSync(file, '0');
  const counting = [1, 2, 3, 4].map(() => child('increment', [lock, file, '10']));
  holder.process.kill('SIGKILL');
  expect(await Promise.all(counting.map(({ ended }) => ended))).toEqual([0, 0, 0, 0]);
  expect(readFileSync(file, 'utf8')).toBe('40');
});

test('whatever processes are killed when, nobody enters before the one inside left or died', async () => {
  const log = join(folder, 'log');
  let entering = [1, 2, 3, 4].map(() => child('enter', [lock, log]));
  await Promise.all(entering.map(({ firstLine }) => firstLine));
  for (let round = 0; round < 16; round++) {
    await sleep(40 * Math.random());
    const [victim, ...others] = entering;
    victim.process.kill('SIGKILL');
    entering = [...others, child('enter', [lock, log])];
  }
  await Promise.all(entering.map(({ firstLine }) => firstLine));
  await sleep(100);
  for (const { process } of children) process.kill('SIGKILL');
  await Promise.all(children.map(({ ended }) => ended));

  const lines = readFileSync(log, 'utf8').trim().split('\n');
  let inside: string | undefined;
  lines.forEach((line, at) => {
    const [what, pid] = line.split(' ');
    if (what === 'out') expect(inside).toBe(pid);
    // Who never left was killed inside: no word of it may follow.
    else if (inside !== undefined) expect(lines.slice(at)).not.toContainEqual(expect.stringMatching(` ${inside}$`));
    inside = what === 'in' ? pid : undefined;
  });
  expect(lines.length).toBeGreaterThan(40);
});

test('work that throws lets go, its error comes through, and nothing piles up in the folder', async () => {
  for (let i = 0; i < 5; i++) {
    await expect(withLock(lock, () => Promise.reject(new Error(`no ${i}`)))).rejects.toThrow(`no ${i}`);
  }
  expect(await withLock(lock, () => 'in')).toBe('in');
  expect(readdirSync(lock)).toHaveLength(1);
});

test('waiting ends with its signal', async () => {
  await withLock(lock, async () => {
    await expect(withLock(lock, () => 'in', { signal: AbortSignal.timeout(50) })).rejects.toThrow(/aborted/);
  });
});

test.skipIf(process.platform !== 'linux')('a lock is let go of where not a byte can be written', async () => {
  const holder = child('hold', [lock]);
  await holder.firstLine;
  execFileSync('prlimit', ['--pid', String(holder.process.pid), '--fsize=0']);
  const second = new Promise<string>((resolve) =>
    holder.process.stdout!.once('data', (chunk: Buffer) => resolve(chunk.toString())),
  );
  holder.process.stdin!.end();
  expect(await second).toBe('released\n');
  expect(await withLock(lock, () => 'in')).toBe('in');
  expect(holder.process.exitCode).toBeNull();
});

test('a ticket that a power cut left in part is nobody’s', async () => {
  await withLock(lock, () => undefined);
  writeFileSync(ticket(), '\0\0\0\0');
  expect(await withLock(lock, () => 'in')).toBe('in');
});

describe('a holder that cannot be asked whether it lives', () => {
  /** Leaves the ticket of a process of another machine that happens to have this one's pid and start. */
  async function foreignTicket() {
    await withLock(lock, () => undefined);
    writeFileSync(ticket(), JSON.stringify({ ...processIdentity(), host: 'elsewhere' }));
  }
  /** The stopwatch of this process runs so many times as fast. */
  function hurry(factor: number) {
    const now = performance.now.bind(performance);
    const start = now();
    vi.spyOn(performance, 'now').mockImplementation(() => start + factor * (now() - start));
  }

  test('keeps the lock for as long as it touches its ticket, whatever its clock says', async () => {
    await foreignTicket();
    hurry(100);
    let touches = 0;
    const renewal = setInterval(() => {
      const skewed = Date.now() / 1000 - 40 + touches++ / 100; // 40 s behind
      utimesSync(ticket(), skewed, skewed);
    }, 20);
    let entered = false;
    const next = withLock(lock, () => {
      entered = true;
    });
    await sleep(1500); // 150 s of the stopwatch, five times what a silent holder is given
    expect(entered).toBe(false);
    clearInterval(renewal);
    await next;
    expect(touches).toBeGreaterThan(10);
  });

  test('loses it when it falls silent', async () => {
    await foreignTicket();
    expect(await refused()).toBe(true);
    hurry(300);
    expect(await withLock(lock, () => 'in')).toBe('in');
  });

  test('touches its ticket while it works', async () => {
    const holder = child('hold', [lock]);
    await holder.firstLine;
    const taken = statSync(ticket()).mtimeMs;
    await expect.poll(() => statSync(ticket()).mtimeMs, { timeout: 30_000 }).not.toBe(taken);
  });

  test('is told before it does harm that another has taken over', async () => {
    const work = withLock(lock, async (checkHeld) => {
      await checkHeld();
      writeFileSync(ticket(), JSON.stringify({ ...processIdentity(), host: 'elsewhere' })); // as a waiter elsewhere sees it
      hurry(300);
      await withLock(lock, () => undefined);
      await checkHeld();
      return 'done';
    });
    await expect(work).rejects.toThrow(LockLost);
    expect(await withLock(lock, () => 'in')).toBe('in');
  });

  const unshare = ['unshare', '--user', '--map-root-user', '--pid', '--fork', '--kill-child', '--mount-proc'];
  test.skipIf(spawnSync(unshare[0], [...unshare.slice(1), 'true']).status !== 0)(
    'is one of another container of this machine too, equal host names or not',
    async () => {
      const holder = child('hold', [lock], unshare);
      await holder.firstLine;
      expect(await refused()).toBe(true);
      holder.process.stdin!.end();
      expect(await withLock(lock, () => 'in')).toBe('in');
    },
  );
});
