import { join, resolve } from 'node:path';
import { packageRoot } from '../infra/toolchain.js';
import { readStructures } from '../structures/readers/read.js';
import { localSources } from '../structures/sources.js';
import type { Structure } from '../structures/structure.js';

/** The folder `shared` beside the repository, or `KOINE_SHARED`. */
export function sharedFolder(): string {
  return resolve(process.env.KOINE_SHARED ?? join(packageRoot(), '../shared'));
}

/** The first `count` structures of the MP-20 subset. */
export async function realStructures(count: number): Promise<Structure[]> {
  const structures: Structure[] = [];
  for await (const source of localSources(join(sharedFolder(), 'data/mp20-subset/mp20_subset.csv.gz'))) {
    for await (const item of readStructures(source)) {
      if ('structure' in item) structures.push(item.structure);
      if (structures.length === count) return structures;
    }
  }
  return structures;
}
