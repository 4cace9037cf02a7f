import type { AtomVectors } from '../../datasets/tables/atomVectors.js';

/** Ids of the rows of a part, column by column: [n_atoms] each. */
export function atomIds({
  materialIds,
  offsets,
  atomicNumbers,
}: Pick<AtomVectors, 'materialIds' | 'offsets' | 'atomicNumbers'>) {
  const ids = {
    materialIds: new Array<string>(atomicNumbers.length),
    atomIndices: new Int32Array(atomicNumbers.length),
  };
  materialIds.forEach((id, s) => {
    for (let row = offsets[s]; row < offsets[s + 1]; row++) {
      ids.materialIds[row] = id;
      ids.atomIndices[row] = row - offsets[s];
    }
  });
  return ids;
}
