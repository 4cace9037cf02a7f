import { createReadStream } from 'node:fs';
import { readStructures } from '../../structures/readers/read.js';
import type { Structure } from '../../structures/structure.js';
import { sharedPath } from '../support/shared.js';

/** The 60 real structures (798 atoms, 83 elements) that every native reference covers. */
export async function devStructures(): Promise<Structure[]> {
  const structures: Structure[] = [];
  const source = { name: 'dev.extxyz', open: () => createReadStream(sharedPath('models/dev.extxyz')) };
  for await (const item of readStructures(source)) {
    if ('rejection' in item) throw new Error(item.rejection.message);
    structures.push(item.structure);
  }
  return structures;
}
