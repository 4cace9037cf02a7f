#!/usr/bin/env node
// `npm run findings`: makes the controls, runs findings.yaml, then variants of it on listed rows and with other coordinates, and writes
// docs/findings.md from the tables. Everything found by its digest is left as it is, so that a second call computes nothing.
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { root, say, setUp } from '../infra/setup.mjs';

const folder = join(root, 'findings');
const output = join(root, 'out/findings');
const controls = join(root, 'out/findings-controls');
const lists = join(root, 'out/findings-lists');
const published = join(root, '../shared/models');

const [, interpreter] = await setUp(['Temporal', 'ReferencePython']);
const { loadRunSpec } = await import(join(root, 'dist/config/runSpec.js'));
const environment = { ...process.env, KOINE_MODELS: controls };

for (const id of ['chgnet-0.3.0', 'sevennet-0-11jul2024', 'tensornet-matpes-pbe', 'nequix-mp-1'])
  make(`${id}-shuffled-1`, 'shuffle', id, '--seed', '1', '--store', published);
make('control-one-hot', 'control', 'one-hot');
make('control-random-element-1', 'control', 'random-element', '--seed', '1');

koine('run', join(folder, 'findings.yaml'));
python('rows.py', output, lists);
const spec = await loadRunSpec(join(folder, 'findings.yaml'));
const rows = (name) => ({ similarity: { ...spec.similarity, rows: join(lists, `${name}.txt`) } });
const sameAnchors = { basis: { from: 'findings' } };
// What other coordinates need not repeat.
const lean = {
  transport: { ...spec.transport, sample: 100, draws: 1, baselines: [] },
  diagnostics: Object.fromEntries(
    Object.entries(spec.diagnostics).map(([name, value]) => [name, value.enabled ? { enabled: false } : value]),
  ),
};
// The same embeddings throughout: on listed rows only similarity is computed; with other coordinates, what follows from them.
const variants = {
  equilibrium: { ...sameAnchors, ...rows('equilibrium') },
  extreme: { ...sameAnchors, ...rows('extreme') },
  centred: { ...rows('equilibrium'), ...lean, coordinates: { centre: 'anchors' } },
  random: { ...rows('equilibrium'), ...lean, basis: { ...spec.basis, method: 'random' } },
  'all-sources': { ...rows('equilibrium'), ...lean, basis: { ...spec.basis, sources: [] } },
};
for (const [name, change] of Object.entries(variants)) {
  const file = join(lists, `${name}.json`);
  writeFileSync(file, JSON.stringify({ ...spec, ...change, name: `findings-${name}` }, null, 2));
  koine('run', file);
}
python('write.py', output, join(root, 'docs'));

function make(id, ...command) {
  if (existsSync(join(controls, id))) return;
  koine('models', ...command);
}

function koine(...args) {
  must(process.execPath, join(root, 'dist/cli/main.js'), ...args);
}

function python(script, ...args) {
  must(interpreter, join(folder, script), ...args);
}

function must(command, ...args) {
  const { status, error } = spawnSync(command, args, { cwd: root, env: environment, stdio: 'inherit' });
  if (error) say(`${command} can't start: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}
