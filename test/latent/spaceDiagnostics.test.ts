import { describe, expect, test } from 'vitest';
import { matrix } from '../../latent/matrix.js';
import { mergeMoments, momentsOf } from '../../latent/moments.js';
import { effectiveRank, spaceDiagnostics, twoNearestNeighbourDimension } from '../../latent/spaceDiagnostics.js';
import fixtures from './fixtures/anchors.json' with { type: 'json' };

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
    expect(Math.abs(dimension / facco.dimension - 1)).toBeLessThan(1e-9);
    expect(Math.abs(dimension - 3)).toBeLessThan(0.4);
  });

  test('duplicates are left out of the two-neighbour dimension; too few points are refused', async () => {
    const x = Float64Array.from(facco.x);
    const doubled = Float64Array.from([...x, ...x.subarray(0, 70)]); // the first ten rows twice
    const dimension = await twoNearestNeighbourDimension(matrix(doubled, facco.n + 10, facco.dim));
    expect(Math.abs(dimension / facco.dimension - 1)).toBeLessThan(0.05);
    await expect(twoNearestNeighbourDimension(matrix(Float64Array.of(1, 1, 2, 2), 4, 1))).rejects.toThrow(
      '0 of 4 rows have no duplicate',
    );
    await expect(twoNearestNeighbourDimension(matrix(Float64Array.of(1, 2), 2, 1))).rejects.toThrow('0 of 2 rows');
  });
});
