import { localSources } from '../structures/sources.js';
import { elementSymbol } from '../structures/elements.js';
import { readStructures } from '../structures/readers/read.js';
import type { ReadItem } from '../structures/structure.js';

for (const path of process.argv.slice(2))
  for await (const source of localSources(path))
    for await (const item of readStructures(source)) console.log(told(item));

function told(item: ReadItem): string {
  if ('rejection' in item) {
    const { source, materialId, code, message } = item.rejection;
    return `${source} [${materialId}] ${code}: ${message}`;
  }
  const { source, materialId, atomicNumbers, lattice } = item.structure;
  const counts = new Map<string, number>();
  for (const z of atomicNumbers) counts.set(elementSymbol(z), (counts.get(elementSymbol(z)) ?? 0) + 1);
  const composition = [...counts].map(([symbol, count]) => `${symbol}${count}`).join(' ');
  return `${source} [${materialId}] ${composition} | ${Array.from(lattice, (x) => Number(x.toPrecision(5))).join(' ')}`;
}
