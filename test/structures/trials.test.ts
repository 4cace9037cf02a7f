import { readFile, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { elementSymbol } from '../../structures/elements.js';
import { readStructures } from '../../structures/readers/read.js';
import type { ReadItem, Structure } from '../../structures/structure.js';
import { describeShared, sharedPath } from '../support/shared.js';

/** One line of an `expected.txt`: a file, and what is right to read from it. */
const EXPECTED = /^(\S+): (?:(\d+) atoms (\{.*?\}), cell \[(.*?)\]|(reject|any)\b)/;

const items = async (path: string): Promise<ReadItem[]> => {
  const bytes = await readFile(path);
  const found: ReadItem[] = [];
  const source = {
    name: basename(path),
    async *open() {
      yield bytes;
    },
  };
  for await (const item of readStructures(source)) found.push(item);
  return found;
};

/** `{'Na': 4, 'Cl': 4}` and so on, with the cell to two digits. */
function told(item: ReadItem): string {
  if ('rejection' in item) return `reject ${item.rejection.code}: ${item.rejection.message}`;
  const { atomicNumbers } = item.structure;
  const counts = new Map<string, number>();
  for (const z of atomicNumbers) counts.set(elementSymbol(z), (counts.get(elementSymbol(z)) ?? 0) + 1);
  const composition = [...counts].map(([symbol, count]) => `'${symbol}': ${count}`).sort();
  return `{${composition.join(', ')}} [${cellParameters(item.structure)
    .map((x) => x.toFixed(2))
    .join(', ')}]`;
}

function cellParameters({ lattice }: Structure): number[] {
  const row = (k: number) => lattice.subarray(3 * k, 3 * k + 3);
  const dot = (k: number, l: number) => row(k).reduce((sum, x, axis) => sum + x * row(l)[axis], 0);
  const lengths = [0, 1, 2].map((k) => Math.sqrt(dot(k, k)));
  const angle = (k: number, l: number) => (Math.acos(dot(k, l) / (lengths[k] * lengths[l])) * 180) / Math.PI;
  return [...lengths, angle(1, 2), angle(0, 2), angle(0, 1)];
}

function expectedOf(counts: string, cell: string): string {
  const composition = counts.slice(1, -1).split(', ').sort();
  return `{${composition.join(', ')}} [${cell
    .split(', ')
    .map((x) => Number(x).toFixed(2))
    .join(', ')}]`;
}

describeShared('files that other readers were once wrong about', () => {
  test('files with a line in expected.txt are read as it says', async () => {
    const differences: string[] = [];
    let compared = 0;
    const folder = sharedPath('trials');
    for (const trial of (await readdir(folder)).sort()) {
      const path = join(folder, trial, 'expected.txt');
      const lines = await readFile(path, 'utf8')
        .then((text) => text.split('\n'))
        .catch(() => []);
      for (const line of lines) {
        const [, file, , counts, cell, verdict] = EXPECTED.exec(line) ?? [];
        if (file === undefined || verdict === 'any') continue;
        const found = (await items(join(folder, trial, 'data', file)).catch(() => undefined))?.map(told);
        if (found === undefined) continue;
        compared++;
        const isRight =
          verdict === 'reject'
            ? found.length === 1 && found[0].startsWith('reject')
            : found.join() === expectedOf(counts, cell);
        if (!isRight && !line.includes('three structures'))
          differences.push(`${trial}/${file}: ${found.join(' | ')} instead of ${line}`);
        if (process.env.KOINE_SHOW)
          console.log(
            `${trial}/${file}\n  expected ${line.slice(file.length + 2)}\n  found    ${found.join('\n           ')}`,
          );
      }
    }
    expect(differences).toEqual([]);
    expect(compared).toBeGreaterThan(50);
  });
});
