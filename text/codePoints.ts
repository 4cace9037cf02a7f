/**
 * Code-point order of two strings, the order of their UTF-8 bytes and of keys, ids and rows everywhere in a dataset; `<` compares UTF-16
 * units, which differs beyond the basic plane. Negative, zero or positive as `Array.sort` wants.
 */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    // A surrogate (D800-DFFF) stands for a code point above FFFF, so it sorts after every lone unit from E000 on.
    const [xSurrogate, ySurrogate] = [(x & 0xf800) === 0xd800, (y & 0xf800) === 0xd800];
    if (xSurrogate !== ySurrogate) return xSurrogate ? 1 : -1;
    return x - y;
  }
  return a.length - b.length;
}
