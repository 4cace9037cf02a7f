#!/usr/bin/env node
// `npm run demo`: sets up whatever a fresh clone lacks, then runs every stage on the crystals and the reference potentials
// that come with koine, everything embedded.
import { spawn } from 'node:child_process';
import { root, setUp } from './setup.mjs';

await setUp(['Temporal']);
const run = ['dist/cli/main.js', 'demo', ...process.argv.slice(2)];
const child = spawn(process.execPath, run, { cwd: root, stdio: 'inherit' });
// Ctrl-C reaches the child by itself; this process only waits for its graceful end.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('exit', (code, signal) => process.exit(code ?? (signal ? 130 : 1)));
