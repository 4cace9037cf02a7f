import { compareCodePoints } from '../../text/codePoints.js';

/** An atom of a snapshot. */
export interface AtomId {
  materialId: string;
  /** 0-based index within its structure. */
  atomIndex: number;
}

/** Ids of many atoms, column by column: [n] each. */
export interface AtomIds {
  materialIds: ArrayLike<string>;
  atomIndices: ArrayLike<number>;
}

/** Order by material id (code points), then atom index: negative, zero or positive as `Array.sort` wants. */
export function compareAtoms(a: AtomId, b: AtomId): number {
  return (
    (a.materialId === b.materialId ? 0 : compareCodePoints(a.materialId, b.materialId)) || a.atomIndex - b.atomIndex
  );
}
