import { describe, expect, test } from 'vitest';
import { symmetricEigen } from '../../../latent/linear/eigen.js';
import { mergeMoments, momentsOf } from '../../../latent/statistics/moments.js';
import {
  applyDirectProjection,
  decodeDirectProjection,
  encodeDirectProjection,
  fitDirectProjection,
  NoVariance,
} from '../../../latent/basis/pca.js';
import { normalFrom, seededRandom } from '../../../latent/base/random.js';
import fixtures from '../fixtures/anchors.json' with { type: 'json' };
import { mixtureRows, relativeError } from '../randomRows.js';

const fixture = fixtures.scaling_and_pca;
const x = Float64Array.from(fixture.x);
const fit = async () => fitDirectProjection(await momentsOf(x, fixture.n, fixture.dim));

describe('symmetric eigenproblem', () => {
  const check = (matrix: Float64Array, n: number): void => {
    const { values, vectors } = symmetricEigen(matrix, n);
    const scale = Math.max(1e-300, ...matrix.map(Math.abs));
    for (let i = 0; i < n; i++) {
      if (i > 0) expect(values[i]).toBeLessThanOrEqual(values[i - 1]);
      const v = vectors.subarray(i * n, (i + 1) * n);
      const largest = v.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0);
      expect(largest).toBeGreaterThan(0);
      for (let row = 0; row < n; row++) {
        const product = v.reduce((sum, value, j) => sum + matrix[row * n + j] * value, 0);
        expect(Math.abs(product - values[i] * v[row]) / scale).toBeLessThan(1e-13 * n);
        const overlap = v.reduce((sum, value, j) => sum + value * vectors[row * n + j], 0);
        expect(Math.abs(overlap - (row === i ? 1 : 0))).toBeLessThan(1e-13 * n);
      }
    }
  };
  const symmetric = (n: number, entry: (i: number, j: number) => number): Float64Array =>
    Float64Array.from({ length: n * n }, (_, at) =>
      entry(Math.min(Math.floor(at / n), at % n), Math.max(Math.floor(at / n), at % n)),
    );

  test.each([1, 2, 3, 8, 33])('random matrices of order %i: A v = λ v with orthonormal v, signs fixed', (n) => {
    const normal = normalFrom(seededRandom(n));
    const upper = Float64Array.from({ length: n * n }, normal);
    check(
      symmetric(n, (i, j) => upper[i * n + j]),
      n,
    );
  });

  test('hard cases: zero, identity, diagonal, rank one, entries from 1e-20 to 1e20', () => {
    check(new Float64Array(16), 4);
    check(
      symmetric(5, (i, j) => (i === j ? 1 : 0)),
      5,
    );
    check(
      symmetric(5, (i, j) => (i === j ? i - 2 : 0)),
      5,
    );
    check(
      symmetric(12, (i, j) => (i + 1) * (j + 1)),
      12,
    );
    check(
      symmetric(5, (i, j) => (i === j ? 10 ** (10 * i - 20) : 0.1 * 10 ** (5 * (i + j) - 20))),
      5,
    );
  });

  test('an entry that is not finite is named', () => {
    expect(() => symmetricEigen(Float64Array.of(1, NaN, NaN, 1), 2)).toThrow('entry (0, 1) is NaN');
  });
});

describe('DIRECT projection', () => {
  test('scaling, axes, variances and shares are those of scikit-learn, a constant column included', async () => {
    const { mean, scale, components, explainedVariance, weights, p } = await fit();
    expect(p).toBe(fixture.explainedVariance.filter((value) => value > 1).length);
    expect(scale[3]).toBe(1);
    expect(relativeError(mean, fixture.mean)).toBeLessThan(1e-13);
    expect(relativeError(scale, fixture.scale)).toBeLessThan(1e-12);
    expect(relativeError(components, fixture.components.slice(0, p * fixture.dim))).toBeLessThan(1e-11);
    expect(relativeError(explainedVariance, fixture.explainedVariance.slice(0, p))).toBeLessThan(1e-12);
    expect(relativeError(weights, fixture.weights.slice(0, p))).toBeLessThan(1e-12);
  });

  test("projected rows are those of maml's PrincipalComponentAnalysis", async () => {
    const projected = await applyDirectProjection(await fit(), x, fixture.n);
    expect(relativeError(projected, fixture.projected)).toBeLessThan(1e-11);
  });

  test('a dead column, zero but for denormal junk, has no say', async () => {
    const [n, dim] = [500, 6];
    const alive = mixtureRows(n, dim, 6, 0.4, 3);
    const withJunk = (junk: number) => alive.map((value, at) => (at % dim === 2 ? junk * (at % 7) : value));
    const project = async (x: Float32Array) =>
      applyDirectProjection(fitDirectProjection(await momentsOf(x, n, dim)), x, n);
    const still = await project(withJunk(0));
    expect(relativeError(await project(withJunk(1e-39)), still)).toBeLessThan(1e-12);
    expect(relativeError(await project(withJunk(1e-8)), still)).toBeLessThan(1e-6);
    const exact = fitDirectProjection(await momentsOf(withJunk(1e-39), n, dim), 0);
    expect(exact.scale[2]).toBeLessThan(1e-38);
  });

  test('moments merged from parts give the same projection', async () => {
    const { n, dim } = fixture;
    const parts = await Promise.all(
      [0, 1, 2].map((i) => momentsOf(x.subarray((i * n * dim) / 3, ((i + 1) * n * dim) / 3), n / 3, dim)),
    );
    const [whole, merged] = [await fit(), fitDirectProjection(mergeMoments(parts))];
    expect(
      relativeError(await applyDirectProjection(merged, x, n), await applyDirectProjection(whole, x, n)),
    ).toBeLessThan(1e-11);
  });

  test('a row is projected to the same bits wherever it stands', async () => {
    const [n, dim] = [4500, 24];
    const rows = mixtureRows(n, dim, 6, 0.4, 3);
    const projection = fitDirectProjection(await momentsOf(rows, n, dim));
    const all = await applyDirectProjection(projection, rows, n);
    for (const [first, count] of [
      [1, 1],
      [7, 13],
      [4090, 410],
      [333, 4100],
    ]) {
      const part = await applyDirectProjection(projection, rows.subarray(first * dim, (first + count) * dim), count);
      expect(part).toEqual(all.subarray(first * projection.p, (first + count) * projection.p));
    }
  });

  test('a projection survives the trip through bytes; rows without variance are refused', async () => {
    const projection = await fit();
    expect(decodeDirectProjection(encodeDirectProjection(projection))).toEqual(projection);
    const equal = await momentsOf(new Float64Array(20).fill(0.1), 10, 2);
    expect(() => fitDirectProjection(equal)).toThrow('all rows are equal');
    expect(() => fitDirectProjection(equal)).toThrow(NoVariance);
    expect(() => fitDirectProjection({ ...equal, n: 1 })).toThrow(NoVariance);
    expect(() => fitDirectProjection({ ...equal, n: 1 })).toThrow('need at least 2 rows; there are 1');
  });
});
