import { expect, test } from 'vitest';
import { bundledStructures } from '../../structures/bundled/bundled.js';
import { extendedXyz } from '../../structures/extendedXyz.js';
import { structureHash } from '../../structures/hash.js';
import { readStructures } from '../../structures/readers/read.js';

test('what is written as extended XYZ reads back as the same crystals', async () => {
  const written = [...bundledStructures(), { ...bundledStructures()[0], materialId: 'a "quoted\\ name' }];
  const bytes = new TextEncoder().encode(extendedXyz(written));
  const source = {
    name: 'crystals.extxyz',
    async *open() {
      yield await Promise.resolve(bytes);
    },
  };
  let index = 0;
  for await (const item of readStructures(source)) {
    if (!('structure' in item)) throw new Error(item.rejection.message);
    const before = written[index++];
    expect(item.structure.materialId).toBe(before.materialId);
    expect([...item.structure.lattice]).toEqual([...before.lattice]);
    expect(structureHash(item.structure)).toBe(structureHash(before));
  }
  expect(index).toBe(written.length);
});
