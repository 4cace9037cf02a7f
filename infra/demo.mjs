#!/usr/bin/env node
// `npm run demo`: sets up whatever a fresh clone lacks, then aligns real crystals with real potentials, everything embedded.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root, say, setUp } from './setup.mjs';

const shared = join(root, '../shared');
if (!existsSync(join(shared, 'models')) || !existsSync(join(shared, 'data'))) {
  say(`the demo needs the structures and potentials of ${shared}, which is missing: koine ships none of its own yet`);
  process.exit(1);
}
await setUp(['Temporal']);
const run = ['dist/cli/main.js', 'run', 'examples/real-crystals.yaml', ...process.argv.slice(2)];
const child = spawn(process.execPath, run, { cwd: root, stdio: 'inherit' });
// Ctrl-C reaches the child by itself; this process only waits for its graceful end.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('exit', (code, signal) => process.exit(code ?? (signal ? 130 : 1)));
