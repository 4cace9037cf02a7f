// Adds 1 to the number in a file, `rounds` times, each under the lock: node increment.mjs LOCK FILE ROUNDS
import { readFileSync, writeFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { withLock } from '../../../dist/locks/lock.js';

const [lock, file, rounds] = process.argv.slice(2);
for (let i = 0; i < Number(rounds); i++) {
  await withLock(lock, async () => {
    const value = Number(readFileSync(file, 'utf8'));
    await setImmediate();
    writeFileSync(file, String(value + 1));
  });
}
