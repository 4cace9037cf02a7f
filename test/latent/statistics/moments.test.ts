import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeMoments,
  encodeMoments,
  mergeMoments,
  momentsOf,
  type Moments,
} from '../../../latent/statistics/moments.js';
import fixtures from '../fixtures/anchors.json' with { type: 'json' };
import { mixtureRows, relativeError } from '../randomRows.js';

const fixture = fixtures.scaling_and_pca;
const x = Float64Array.from(fixture.x);

const parts = async (rows: Float32Array, dim: number, cuts: number[]): Promise<Moments[]> =>
  Promise.all(cuts.slice(1).map((end, i) => momentsOf(rows.subarray(cuts[i] * dim, end * dim), end - cuts[i], dim)));

describe('moments', () => {
  test('mean and covariance are those of numpy', async () => {
    const { mean, scatter, n, dim } = await momentsOf(x, fixture.n, fixture.dim);
    expect(relativeError(mean, fixture.mean)).toBeLessThan(1e-14);
    const triangle: number[] = [];
    for (let i = 0; i < dim; i++) triangle.push(...fixture.covariance.slice(i * dim + i, (i + 1) * dim));
    expect(
      relativeError(
        scatter.map((sum) => sum / (n - 1)),
        triangle,
      ),
    ).toBeLessThan(1e-12);
  });

  test('a mean a million times the spread costs no digits: relative error of the scatter below 1e-9', async () => {
    const n = 5000;
    const rows = mixtureRows(n, 3, 4, 1, 5).map((value) => Math.round(value * 64) / 64); // exact in float32 after the shift
    const near = await momentsOf(rows, n, 3);
    const far = await momentsOf(
      Float64Array.from(rows, (value) => value + 1e6),
      n,
      3,
    );
    expect(relativeError(far.scatter, near.scatter)).toBeLessThan(1e-9);
  });

  test('moments of any parts merge to the moments of the whole, however the merges are grouped', async () => {
    const [n, dim] = [9000, 5];
    const rows = mixtureRows(n, dim, 6, 0.3, 11);
    const whole = await momentsOf(rows, n, dim);
    const cut = fc.uniqueArray(fc.integer({ min: 1, max: n - 1 }), { minLength: 2, maxLength: 9 });
    await fc.assert(
      fc.asyncProperty(cut, fc.nat(), async (inner, at) => {
        const pieces = await parts(rows, dim, [0, ...inner.sort((a, b) => a - b), n]);
        const middle = 1 + (at % (pieces.length - 1));
        const flat = mergeMoments(pieces);
        const nested = mergeMoments([mergeMoments(pieces.slice(0, middle)), mergeMoments(pieces.slice(middle))]);
        for (const merged of [flat, nested]) {
          expect(merged.n).toBe(n);
          for (const key of ['mean', 'scatter', 'unitSum'] as const)
            expect(relativeError(merged[key], whole[key])).toBeLessThan(1e-12);
          expect(Math.abs(merged.normSum / whole.normSum - 1)).toBeLessThan(1e-12);
        }
        expect(mergeMoments(pieces)).toEqual(flat);
      }),
      { numRuns: 15, seed: 1 },
    );
  });

  test('moments survive the trip through bytes exactly, and other bytes are refused', async () => {
    const moments = await momentsOf(x, fixture.n, fixture.dim);
    const bytes = encodeMoments(moments);
    expect(decodeMoments(bytes)).toEqual(moments);
    const unaligned = new Uint8Array(bytes.length + 3);
    unaligned.set(bytes, 3);
    expect(decodeMoments(unaligned.subarray(3))).toEqual(moments);
    expect(() => decodeMoments(bytes.subarray(0, bytes.length - 8))).toThrow(/moments has \d+ bytes; its header needs/);
    expect(() => decodeMoments(new TextEncoder().encode('PAR1'))).toThrow('hold no record; wanted moments');
  });

  test('a row without direction is refused with its number', async () => {
    await expect(momentsOf(Float32Array.of(1, 2, 0, 0), 2, 2)).rejects.toThrow('row 1 has norm 0');
    await expect(momentsOf(Float32Array.of(1, NaN), 1, 2)).rejects.toThrow('row 0 has norm NaN');
    await expect(momentsOf(new Float32Array(3), 2, 2)).rejects.toThrow('3 values are not 2 rows of 2');
    await expect(momentsOf(new Float32Array(0), 0, 2)).rejects.toThrow('there are no rows');
  });
});
