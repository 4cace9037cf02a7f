import { expect, test } from 'vitest';
import { symmetricEigen } from '../../../latent/linear/eigen.js';
import { seededRandom } from '../../../models/crystalVariants.js';

/** Gram matrix [n, n] of cosines to n anchors in a space of `rank` dimensions. */
function lowRankGram(n: number, rank: number, seed: number): Float64Array {
  const random = seededRandom(seed);
  const unit = () => {
    const vector = Array.from({ length: rank }, () => random() - 0.5);
    return vector.map((x) => x / Math.hypot(...vector));
  };
  const anchors = Array.from({ length: n }, unit);
  const points = Array.from({ length: 200 }, unit).map((point) =>
    anchors.map((anchor) => Math.fround(anchor.reduce((sum, x, k) => sum + x * point[k], 0))),
  );
  return Float64Array.from({ length: n * n }, (_, k) =>
    points.reduce((sum, row) => sum + row[Math.floor(k / n)] * row[k % n], 0),
  );
}

test.each([1, 2, 3, 7, 16, 40])('a matrix of rank %i among 60 converges, and its pairs give it back', (rank) => {
  const n = 60;
  const matrix = lowRankGram(n, rank, rank);
  const { values, vectors } = symmetricEigen(matrix, n);
  const largest = values[0];
  // cosines are rounded to float32, which leaves a little beside the rank
  for (let k = rank; k < n; k++) expect(Math.abs(values[k]) / largest).toBeLessThan(1e-9);
  for (let i = 0; i < n; i += 7)
    for (let j = 0; j < n; j++) {
      let entry = 0;
      let overlap = 0;
      for (let k = 0; k < n; k++) {
        entry += vectors[k * n + i] * values[k] * vectors[k * n + j];
        overlap += vectors[i * n + k] * vectors[j * n + k];
      }
      expect(Math.abs(entry - matrix[i * n + j]) / largest).toBeLessThan(1e-13);
      expect(overlap).toBeCloseTo(i === j ? 1 : 0, 12);
    }
});
