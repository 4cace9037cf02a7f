#!/usr/bin/env node
// `npm run lint`: types, circles of imports, ESLint, Prettier, and ruff for Python, all of them whatever the others say.
import { spawnSync } from 'node:child_process';
import { root, say, setUp } from './setup.mjs';

const [python] = await setUp(['ReferencePython']); // builds too, which checks the types
const checks = [
  [process.execPath, 'infra/importCircles.mjs'],
  [process.execPath, 'node_modules/eslint/bin/eslint.js', '.'],
  [process.execPath, 'node_modules/prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.'],
  [python, '-m', 'ruff', 'check', '--quiet', '.'],
  [python, '-m', 'ruff', 'format', '--quiet', '--check', '.'],
];
const failed = checks.filter(([command, ...args]) => {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (error) say(`${command} can't start: ${error.message}`);
  return status !== 0;
});
for (const [, ...args] of failed) say(`\`${args.join(' ')}\` found something`);
process.exitCode = failed.length > 0 ? 1 : 0;
