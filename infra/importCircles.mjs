#!/usr/bin/env node
// Part of `npm run lint`: source files that import one another in a circle, imports of types included, and folders of `latent/` that
// do. Names each circle once and ends with 1 if there is any.
import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { globSync } from 'tinyglobby';

const ignore = ['**/node_modules/**', 'dist/**', 'out/**'];
const files = new Set(globSync('**/*.{ts,js,mjs,py}', { ignore, dot: false }).map(normalize));

/** Files that a file imports: by a relative path, and from a folder of Python that is no package also by their bare names. */
function importsOf(file) {
  const text = readFileSync(file, 'utf8');
  const folder = dirname(file);
  const inPackage = files.has(join(folder, '__init__.py'));
  if (!file.endsWith('.py')) {
    const paths = [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)];
    return paths.map(([, path]) => join(folder, path)).flatMap((path) => [path, path.replace(/\.js$/, '.ts')]);
  }
  return [...text.matchAll(/^[ \t]*(?:from (\.*)([\w.]*) import \(?([\w, \n]+)|import ([\w.]+))/gm)].flatMap(
    ([, dots = '', module, names, plain]) => {
      if (dots === '' && inPackage) return [];
      const from = join(folder, ...dots.slice(1).split('').fill('..'), ...(module ?? plain).split('.'));
      return [`${from}.py`, ...(names ?? '').split(',').map((name) => join(from, `${name.trim()}.py`))];
    },
  );
}

const imports = new Map([...files].sort().map((file) => [file, importsOf(file).filter((other) => files.has(other))]));

/** Circles of a graph, each as the way round it. */
function circlesOf(graph) {
  const found = [];
  const done = new Set();
  const visit = (node, path) => {
    const at = path.indexOf(node);
    if (at >= 0) found.push([...path.slice(at), node].join(' -> '));
    if (at >= 0 || done.has(node)) return;
    for (const next of graph.get(node) ?? []) visit(next, [...path, node]);
    done.add(node);
  };
  for (const node of graph.keys()) visit(node, []);
  return found;
}

const folders = new Map();
for (const [file, others] of imports) {
  const here = dirname(file);
  if (!here.startsWith('latent/')) continue;
  const there = others
    .map((other) => dirname(other))
    .filter((folder) => folder !== here && folder.startsWith('latent/'));
  folders.set(here, new Set([...(folders.get(here) ?? []), ...there]));
}

const circles = [...circlesOf(imports), ...circlesOf(folders)];
for (const circle of circles) process.stderr.write(`imports in a circle: ${circle}\n`);
process.exitCode = circles.length > 0 ? 1 : 0;
