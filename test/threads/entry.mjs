// Thread entry of pool.test.ts, in plain JavaScript: Node 20 starts no thread from TypeScript.
import { threadId, workerData } from 'node:worker_threads';
import { serve, withTransfer } from '../../dist/threads/serve.js';

/** Flags shared with the test: [0] calls running, [1] most at once, [2] calls started. */
const { flags } = workerData ?? {};
/** What `give` gave away. */
let given;

serve({
  echo: (value) => value,
  thread: () => threadId,
  order: (value) => ({ value, at: Atomics.add(flags, 2, 1) }),

  /** Blocks its thread until flag `at` is set. */
  waitFor: (at) => {
    Atomics.add(flags, 2, 1);
    Atomics.wait(flags, at, 0);
    return at;
  },

  /** Holds its thread for a while; counts how many do at once. */
  overlap: async () => {
    const running = Atomics.add(flags, 0, 1) + 1;
    for (let most = Atomics.load(flags, 1); running > most; most = Atomics.load(flags, 1))
      Atomics.compareExchange(flags, 1, most, running);
    await new Promise((resolve) => setTimeout(resolve, 20));
    Atomics.sub(flags, 0, 1);
  },

  sum: (numbers) => numbers.reduce((total, value) => total + value, 0),
  /** Transfers its result and says later what is left of it here. */
  give: () => {
    given = new Float64Array(8).fill(3);
    return withTransfer(given, [given.buffer]);
  },
  leftOfGiven: () => given.length,

  fail: ({ name, message }) => {
    throw Object.assign(new Error(message), { name });
  },
  failLater: async (message) => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    throw new TypeError(message);
  },
  throwText: () => {
    throw 'plain text';
  },
  unclonable: () => () => 'a function',

  exit: (code) => process.exit(code),
  /** Never answers: dies of an error that no handler sees. */
  throwOutside: (message) => {
    setTimeout(() => {
      throw new Error(message);
    }, 1);
    return new Promise(() => {});
  },
  spin: () => {
    Atomics.add(flags, 2, 1);
    for (;;);
  },
});
