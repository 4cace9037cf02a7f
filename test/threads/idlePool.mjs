// Child process of pool.test.ts: uses a pool, never closes it, and must end by itself.
import { ThreadPool } from '../../dist/threads/pool.js';

const pool = new ThreadPool(new URL('./entry.mjs', import.meta.url), 2);
const answers = await Promise.all([pool.call('echo', 'a'), pool.call('echo', 'b'), pool.call('echo', 'c')]);
console.log(answers.join(' '));
