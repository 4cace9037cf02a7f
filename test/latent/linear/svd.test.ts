import fc from 'fast-check';
import { expect, test } from 'vitest';
import { normalFrom, seededRandom } from '../../../latent/base/random.js';
import { singularValues } from '../../../latent/linear/singularValues.js';
import { svd } from '../../../latent/linear/svd.js';

test('any matrix is U diag(s) Vᵀ with orthonormal columns and descending s, to 1e-13 of the largest', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 14 }),
      fc.integer({ min: 1, max: 14 }),
      fc.integer({ min: 0, max: 14 }),
      fc.integer(),
      (rows, columns, rank, seed) => {
        const normal = normalFrom(seededRandom(seed));
        const a = new Float64Array(rows * columns);
        for (let term = 0; term < rank; term++) {
          const left = Array.from({ length: rows }, normal);
          const right = Array.from({ length: columns }, normal);
          for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) a[i * columns + j] += left[i] * right[j];
        }
        const { u, s, v } = svd(a, rows, columns);
        const r = Math.min(rows, columns);
        expect(s.length).toBe(r);
        const scale = Math.max(s[0], 1e-300);
        for (let c = 1; c < r; c++) expect(s[c]).toBeLessThanOrEqual(s[c - 1]);
        const alone = singularValues(a, rows, columns);
        s.forEach((value, c) => expect(Math.abs(alone[c] - value)).toBeLessThanOrEqual(1e-14 * scale * r));
        for (let i = 0; i < rows; i++)
          for (let j = 0; j < columns; j++) {
            let sum = 0;
            for (let c = 0; c < r; c++) sum += u[i * r + c] * s[c] * v[j * r + c];
            expect(Math.abs(sum - a[i * columns + j])).toBeLessThanOrEqual(1e-13 * scale);
          }
        const inner = (q: Float64Array, length: number, c: number, d: number) => {
          let sum = 0;
          for (let i = 0; i < length; i++) sum += q[i * r + c] * q[i * r + d];
          return sum;
        };
        for (let c = 0; c < r && s[c] > 1e-12 * scale; c++)
          for (let d = 0; d <= c; d++) {
            expect(Math.abs(inner(u, rows, c, d) - (c === d ? 1 : 0))).toBeLessThan(1e-12);
            expect(Math.abs(inner(v, columns, c, d) - (c === d ? 1 : 0))).toBeLessThan(1e-12);
          }
      },
    ),
    { numRuns: 150 },
  );
});

test('small singular values keep their digits where the Gram matrix would lose them', () => {
  // diag(1, 1e-12) rotated on both sides by 45 degrees; 1e-24 is invisible beside 1
  const [big, small] = [1, 1e-12];
  const a = Float64Array.of((big + small) / 2, (big - small) / 2, (big - small) / 2, (big + small) / 2);
  const { s } = svd(a, 2, 2);
  expect(s[0]).toBeCloseTo(1, 14);
  expect(Math.abs(s[1] / small - 1)).toBeLessThan(1e-3); // the entries themselves round at 1e-16
});

test('rotations end on many rows of few different values, as coordinates of a control are', () => {
  // Seeds on which columns that are orthogonal but for rounding were once turned for ever.
  for (const seed of [22, 81, 134, 155]) {
    const random = seededRandom(seed);
    const [rows, columns, elements] = [500, 100, 20 + Math.floor(60 * random())];
    const anchors = Array.from({ length: columns }, () => Math.floor(elements * random() ** 2));
    const a = new Float64Array(rows * columns);
    for (let i = 0; i < rows; i++) {
      const element = Math.floor(elements * random() ** 2);
      anchors.forEach((anchor, c) => (a[i * columns + c] = anchor === element ? 1 : 0));
    }
    for (let c = 0; c < columns; c++) {
      let mean = 0;
      for (let i = 0; i < rows; i++) mean += a[i * columns + c] / rows;
      for (let i = 0; i < rows; i++) a[i * columns + c] -= mean;
    }
    const { s } = svd(a, rows, columns);
    expect(s[0]).toBeCloseTo(singularValues(a, rows, columns)[0], 10);
  }
});
