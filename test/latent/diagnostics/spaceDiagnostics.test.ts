import { describe, expect, test } from 'vitest';
import { matrix } from '../../../latent/base/matrix.js';
import { mergeMoments, momentsOf } from '../../../latent/statistics/moments.js';
import { normalFrom, seededRandom } from '../../../latent/base/random.js';
import { spaceDiagnostics, twoNearestNeighbourDimension } from '../../../latent/diagnostics/spaceDiagnostics.js';
import { effectiveRank } from '../../../latent/statistics/effectiveRank.js';
import fixtures from '../fixtures/anchors.json' with { type: 'json' };

const fixture = fixtures.scaling_and_pca;
const facco = fixtures.two_nearest_neighbours;

describe('diagnostics of a space', () => {
  test('anisotropy, effective rank and norms are those of numpy over all pairs, also from merged moments', async () => {
    const { n, dim } = fixture;
    const x = Float64Array.from(fixture.x);
    const halves = [x.subarray(0, (n / 2) * dim), x.subarray((n / 2) * dim)];
    const merged = mergeMoments(await Promise.all(halves.map((half) => momentsOf(half, n / 2, dim))));
    for (const figures of [spaceDiagnostics(await momentsOf(x, n, dim)), spaceDiagnostics(merged)]) {
      for (const key of ['meanCosine', 'meanShare', 'meanNorm', 'normDeviation', 'effectiveRank'] as const) {
        expect(Math.abs(figures[key] / fixture[key] - 1)).toBeLessThan(1e-9);
      }
    }
  });

  test('the effective rank of equal variances is their number, of one variance 1', () => {
    expect(effectiveRank(Float64Array.of(2, 2, 2, 0, -1e-18))).toBeCloseTo(3, 12);
    expect(effectiveRank(Float64Array.of(5, 0))).toBe(1);
  });

  test('the two-neighbour dimension is that of numpy: near 3 for a 3-dimensional cloud in 7 dimensions', async () => {
    const dimension = await twoNearestNeighbourDimension(matrix(Float64Array.from(facco.x), facco.n, facco.dim));
    expect(Math.abs(dimension! / facco.dimension - 1)).toBeLessThan(1e-9);
    expect(Math.abs(dimension! - 3)).toBeLessThan(0.4);
  });

  test('duplicates are left out of the two-neighbour dimension; where too few points or equal distances are left, there is none', async () => {
    const x = Float64Array.from(facco.x);
    const doubled = Float64Array.from([...x, ...x.subarray(0, 70)]); // the first ten rows twice
    const dimension = await twoNearestNeighbourDimension(matrix(doubled, facco.n + 10, facco.dim));
    expect(Math.abs(dimension! / facco.dimension - 1)).toBeLessThan(0.05);
    const dimensionOf = (values: number[], columns: number) =>
      twoNearestNeighbourDimension(matrix(Float64Array.from(values), values.length / columns, columns));
    expect(await dimensionOf([1, 1, 2, 2], 1)).toBeNull();
    expect(await dimensionOf([1, 2], 1)).toBeNull();
    expect(await dimensionOf([1, 0, 0, 0, 1, 0, 0, 0, 1], 3)).toBeNull(); // one-hot
  });

  // Bent sheets: the first `dimension` of `columns` columns are uniform, the others smooth functions of them. Neighbours are nearer than
  // the sheet bends, so the estimate is that of the sheet; its standard error is about dimension / sqrt(n).
  test.each([
    [1, 3],
    [2, 6],
    [4, 10],
    [6, 12],
  ])('a sheet of %i dimensions in %i columns has the dimension of the sheet', async (dimension, columns) => {
    const [random, n] = [seededRandom(dimension), 2000];
    const x = matrix(new Float64Array(n * columns), n, columns);
    for (let row = 0; row < n; row++) {
      const at = x.data.subarray(row * columns, (row + 1) * columns);
      for (let c = 0; c < columns; c++)
        at[c] = c < dimension ? random() : Math.sin(3 * at[c % dimension]) * Math.cos(2 * at[(c + 1) % dimension]);
    }
    const found = await twoNearestNeighbourDimension(x);
    expect(Math.abs(found! / dimension - 1)).toBeLessThan(0.12);
  });

  test('near twins of the rows pull the dimension down: so one atom a structure', async () => {
    const [normal, n, dim] = [normalFrom(seededRandom(5)), 500, 5];
    const independent = Float64Array.from({ length: n * dim }, () => normal());
    const twins = independent.map((value) => value + 1e-3 * normal());
    const alone = await twoNearestNeighbourDimension(matrix(independent, n, dim));
    const together = await twoNearestNeighbourDimension(matrix(Float64Array.of(...independent, ...twins), 2 * n, dim));
    expect(alone).toBeGreaterThan(4);
    expect(together).toBeLessThan(1);
  });
});
