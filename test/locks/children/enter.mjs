// Enters the lock again and again until killed, and says so in a log of "in PID" and "out PID": node enter.mjs LOCK LOG
import { appendFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { withLock } from '../../../dist/locks/lock.js';

const [lock, log] = process.argv.slice(2);
process.stdout.write('started\n');
for (;;) {
  await withLock(lock, async () => {
    appendFileSync(log, `in ${process.pid}\n`);
    await setTimeout(2 * Math.random());
    appendFileSync(log, `out ${process.pid}\n`);
  });
}
