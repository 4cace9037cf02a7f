import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { compiledEntry, ThreadCrashed, ThreadPool, ThreadTaskFailed } from '../../threads/pool.js';

/** What `entry.mjs` serves. */
type Tasks = {
  echo: (value: unknown) => unknown;
  thread: (nothing: null) => number;
  order: (value: number) => { value: number; at: number };
  waitFor: (flag: number) => number;
  overlap: (nothing: null) => void;
  sum: (numbers: Float64Array) => number;
  give: (nothing: null) => Float64Array;
  leftOfGiven: (nothing: null) => number;
  fail: (error: { name: string; message: string }) => never;
  failLater: (message: string) => never;
  throwText: (nothing: null) => never;
  unclonable: (nothing: null) => unknown;
  exit: (code: number) => never;
  throwOutside: (message: string) => never;
  spin: (nothing: null) => never;
};

/** Flags of `entry.mjs`; from {@link GATE} on they are gates that a test opens. */
const MOST_AT_ONCE = 1;
const STARTED = 2;
const GATE = 3;

const pools: ThreadPool<Tasks>[] = [];
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close()));
});

function open(size: number) {
  const flags = new Int32Array(new SharedArrayBuffer(32));
  const pool = new ThreadPool<Tasks>(new URL('./entry.mjs', import.meta.url), size, { flags });
  pools.push(pool);
  return {
    pool,
    flags,
    openGate: (gate: number) => {
      Atomics.store(flags, gate, 1);
      Atomics.notify(flags, gate);
    },
    /** Settles once a call that announces itself has started. */
    started: async () => {
      while (Atomics.load(flags, STARTED) === 0) await sleep(1);
    },
  };
}

describe('calls', () => {
  test('are served in the order in which they were made', async () => {
    const { pool } = open(1);
    const served = await Promise.all(Array.from({ length: 20 }, (_, value) => pool.call('order', value)));
    expect(served).toEqual(served.map((_, at) => ({ value: at, at })));
  });

  test('wait in a queue while all threads are busy, and count as load', async () => {
    const { pool, openGate } = open(2);
    const busy = [pool.call('waitFor', GATE), pool.call('waitFor', GATE + 1)];
    const queued = pool.call('echo', 'later');
    expect(pool.load).toBe(3);
    openGate(GATE + 1);
    expect(await queued).toBe('later'); // the other thread still waits
    openGate(GATE);
    expect(await Promise.all(busy)).toEqual([GATE, GATE + 1]);
    expect(pool.load).toBe(0);
  });

  test('run on as many threads at once as the pool has, and no more', async () => {
    const { pool, flags } = open(3);
    await Promise.all(Array.from({ length: 3 }, () => pool.call('echo', null))); // threads are up
    await Promise.all(Array.from({ length: 12 }, () => pool.call('overlap', null)));
    expect(flags[MOST_AT_ONCE]).toBe(3);
  });

  test('use threads that are there before new ones start', async () => {
    const { pool } = open(3);
    const first = await pool.call('thread', null);
    expect(await pool.call('thread', null)).toBe(first);
  });

  test('move the buffers of an argument instead of copying them', async () => {
    const { pool } = open(1);
    const numbers = Float64Array.of(1, 2, 3.5);
    expect(await pool.call('sum', numbers)).toBe(6.5);
    expect(numbers).toHaveLength(3); // copied
    expect(await pool.call('sum', numbers, { transfer: [numbers.buffer] })).toBe(6.5);
    expect(numbers).toHaveLength(0);
    expect(numbers.buffer.byteLength).toBe(0);
  });

  test('move the buffers of a result that are marked', async () => {
    const { pool } = open(1);
    expect(await pool.call('give', null)).toEqual(new Float64Array(8).fill(3));
    expect(await pool.call('leftOfGiven', null)).toBe(0);
  });

  test.each([0, -1, 1.5, NaN])('a pool of %d threads is refused', (size) => {
    expect(() => open(size)).toThrow(RangeError);
  });
});

describe('errors of a handler', () => {
  test('reach the caller with message and class name, and the thread lives on', async () => {
    const { pool } = open(1);
    const thread = await pool.call('thread', null);
    const refused = pool.call('fail', { name: 'ModelRefused', message: 'no such card' });
    await expect(refused).rejects.toBeInstanceOf(ThreadTaskFailed);
    await expect(refused).rejects.toMatchObject({ message: 'no such card', errorName: 'ModelRefused' });
    await expect(pool.call('failLater', 'too late')).rejects.toMatchObject({
      message: 'too late',
      errorName: 'TypeError',
    });
    await expect(pool.call('throwText', null)).rejects.toMatchObject({ message: 'plain text' });
    expect(await pool.call('thread', null)).toBe(thread);
  });

  test('include a task that is not served', async () => {
    const { pool } = open(1);
    await expect(pool.call('nothing' as 'echo', null)).rejects.toThrow("no task named 'nothing'");
  });

  test('include a result that cannot be cloned', async () => {
    const { pool } = open(1);
    await expect(pool.call('unclonable', null)).rejects.toMatchObject({ errorName: 'DataCloneError' });
    expect(await pool.call('echo', 1)).toBe(1);
  });

  test('an argument that cannot be cloned fails its own call only, on the side of the caller', async () => {
    const { pool } = open(1);
    const calls = [pool.call('echo', 1), pool.call('echo', () => 2), pool.call('echo', 3)];
    const [before, bad, after] = await Promise.allSettled(calls);
    expect(before).toMatchObject({ value: 1 });
    expect(bad).toMatchObject({ reason: { name: 'DataCloneError' } });
    expect(after).toMatchObject({ value: 3 });
    expect(pool.load).toBe(0);
  });
});

describe('a thread that dies', () => {
  test.each<[string, (pool: ThreadPool<Tasks>) => Promise<unknown>, RegExp]>([
    ['by process.exit', (pool) => pool.call('exit', 7), /running 'exit' exited with code 7/],
    ['of an uncaught error', (pool) => pool.call('throwOutside', 'oh no'), /running 'throwOutside' .*code 1: oh no/],
  ])('%s fails its own call and is replaced', async (_, die, message) => {
    const { pool, openGate } = open(2);
    const neighbour = pool.call('waitFor', GATE);
    const dying = die(pool);
    const queued = [pool.call('echo', 'a'), pool.call('echo', 'b')];
    await expect(dying).rejects.toBeInstanceOf(ThreadCrashed);
    await expect(dying).rejects.toThrow(message);
    expect(await Promise.all(queued)).toEqual(['a', 'b']); // by the replacement: the neighbour still waits
    openGate(GATE);
    expect(await neighbour).toBe(GATE);
  });

  test('again and again never uses up the pool', async () => {
    const { pool } = open(1);
    for (let death = 0; death < 4; death++) await expect(pool.call('exit', 1)).rejects.toBeInstanceOf(ThreadCrashed);
    expect(await pool.call('echo', 'alive')).toBe('alive');
  });

  test('before it serves anything, for want of its entry, fails the calls instead of starting for ever', async () => {
    const pool = new ThreadPool<Tasks>(new URL('./no-such-entry.mjs', import.meta.url), 1);
    const settled = await Promise.allSettled([pool.call('echo', 1), pool.call('echo', 2)]);
    for (const one of settled) expect(one).toMatchObject({ reason: { name: 'ThreadCrashed' } });
    await pool.close();
  });
});

describe('abort', () => {
  test('before the call starts nothing', async () => {
    const { pool } = open(1);
    const signal = AbortSignal.abort(new Error('stop'));
    await expect(pool.call('echo', 1, { signal })).rejects.toThrow('stop');
    expect(pool.load).toBe(0);
  });

  test('of a queued call takes it out of the queue and leaves the thread alone', async () => {
    const { pool, flags, openGate } = open(1);
    const busy = pool.call('waitFor', GATE);
    const controller = new AbortController();
    const queued = pool.call('order', 1, { signal: controller.signal });
    const behind = pool.call('echo', 'behind');
    controller.abort(new Error('not any more'));
    await expect(queued).rejects.toThrow('not any more');
    openGate(GATE);
    expect(await busy).toBe(GATE);
    expect(await behind).toBe('behind');
    expect(flags[STARTED]).toBe(1); // the call that waited, and not the one that was aborted
  });

  test('of a running call that never yields ends its thread, and the next call gets another', async () => {
    const { pool, started } = open(1);
    const thread = await pool.call('thread', null);
    const controller = new AbortController();
    const spinning = pool.call('spin', null, { signal: controller.signal });
    await started();
    const queued = pool.call('thread', null);
    controller.abort(new Error('enough'));
    await expect(spinning).rejects.toThrow('enough');
    expect(await queued).not.toBe(thread);
  });

  test('without an error as its reason is an AbortError', async () => {
    const { pool, started } = open(1);
    const controller = new AbortController();
    const spinning = pool.call('spin', null, { signal: controller.signal });
    await started();
    controller.abort('a text');
    await expect(spinning).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('that crosses the answer on its way harms no other call', async () => {
    const { pool, flags } = open(1);
    await pool.call('echo', null); // the thread is up
    const controller = new AbortController();
    const aborted = pool.call('order', 1, { signal: controller.signal });
    const queued = pool.call('echo', 'unharmed');
    // No turn of the event loop from here: the thread has answered, and the pool has not seen it yet.
    const pause = new Int32Array(new SharedArrayBuffer(4));
    while (Atomics.load(flags, STARTED) === 0) Atomics.wait(pause, 0, 0, 1);
    Atomics.wait(pause, 0, 0, 100);
    controller.abort(new Error('crossed'));
    await expect(aborted).rejects.toThrow('crossed');
    expect(await queued).toBe('unharmed');
  });

  test('after the answer is nothing', async () => {
    const { pool } = open(1);
    const controller = new AbortController();
    const thread = await pool.call('thread', null, { signal: controller.signal });
    controller.abort();
    expect(await pool.call('thread', null)).toBe(thread);
  });
});

describe('close', () => {
  test('rejects what is queued and what runs, and every call after it', async () => {
    const { pool, started } = open(1);
    const running = pool.call('spin', null);
    const queued = pool.call('echo', 1);
    const settled = Promise.allSettled([running, queued]);
    await started();
    await pool.close();
    const reason = { message: 'threads: the pool was closed' };
    expect(await settled).toMatchObject([{ reason }, { reason }]);
    await expect(pool.call('echo', 2)).rejects.toThrow('the pool is closed');
    await pool.close();
  });
});

test('an idle pool does not keep its process alive', async () => {
  const child = fileURLToPath(new URL('./idlePool.mjs', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [child], { timeout: 60_000 });
  expect(stdout).toBe('a b c\n');
});

test('the compiled entry of a module that was never built is named, with the remedy', () => {
  expect(() => compiledEntry('./noSuchThread.js', import.meta.url)).toThrow(/noSuchThread\.js is missing; run/);
  expect(compiledEntry('../../activities/compute/computeThread.js', import.meta.url).pathname).toMatch(
    /dist\/activities\/compute\/computeThread\.js$/,
  );
});
