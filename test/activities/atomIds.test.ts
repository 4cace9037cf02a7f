import { expect, test } from 'vitest';
import { atomIds } from '../../activities/compute/atomIds.js';

test('atoms are numbered within their structure', () => {
  const ids = atomIds({
    materialIds: ['a', 'b', 'c'],
    offsets: Int32Array.of(0, 2, 3, 6),
    atomicNumbers: Uint8Array.of(1, 1, 2, 3, 3, 3),
  });
  expect(ids.materialIds).toEqual(['a', 'a', 'b', 'c', 'c', 'c']);
  expect(ids.atomIndices).toEqual(Int32Array.of(0, 1, 0, 0, 1, 2));
});

test('no structures have no atoms', () => {
  const none = { materialIds: [], offsets: Int32Array.of(0), atomicNumbers: new Uint8Array(0) };
  expect(atomIds(none)).toEqual({ materialIds: [], atomIndices: new Int32Array(0) });
});
