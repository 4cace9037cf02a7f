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

/** Code-point order of strings, the order of UTF-8 bytes; `<` compares UTF-16 units, which differs beyond the basic plane. */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) {
      const [xSurrogate, ySurrogate] = [(x & 0xf800) === 0xd800, (y & 0xf800) === 0xd800];
      return xSurrogate === ySurrogate ? x - y : xSurrogate ? 1 : -1; // surrogates stand for the highest code points
    }
  }
  return a.length - b.length;
}

/** Order by material id (code points), then atom index: negative, zero or positive as `Array.sort` wants. */
export function compareAtoms(a: AtomId, b: AtomId): number {
  return (
    (a.materialId === b.materialId ? 0 : compareCodePoints(a.materialId, b.materialId)) || a.atomIndex - b.atomIndex
  );
}
