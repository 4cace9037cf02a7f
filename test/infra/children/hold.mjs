// Takes the lock, says so and keeps it until killed: node hold.mjs LOCK
import { withFileLock } from '../../../dist/infra/fileLock.js';

await withFileLock(process.argv[2], async () => {
  process.stdout.write('held\n');
  process.stdin.resume();
  await new Promise((resolve) => process.stdin.once('end', resolve));
});
