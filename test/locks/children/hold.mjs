// Takes the lock, says so, and keeps it until its stdin ends; then lets go, says so and lives on: node hold.mjs LOCK
import { withLock } from '../../../dist/locks/lock.js';

await withLock(process.argv[2], async () => {
  process.stdout.write('held\n');
  process.stdin.resume();
  await new Promise((resolve) => process.stdin.once('end', resolve));
});
process.stdout.write('released\n');
setInterval(() => undefined, 60_000);
