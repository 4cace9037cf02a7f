import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { normalFrom, seededRandom } from '../../../latent/base/random.js';
import { singularValues } from '../../../latent/linear/singularValues.js';
import { referencePython } from '../../support/python.js';

const random = seededRandom(5);
const normal = normalFrom(random);

/** A matrix by its entries. */
function filled(rows: number, columns: number, entry: (i: number, j: number) => number): number[][] {
  return Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) => entry(i, j)));
}

/** A product of normal factors, times 10 to a power of its row and its column. */
function lowRank(rows: number, columns: number, rank: number, decades: (i: number, j: number) => number = () => 0) {
  const [left, right] = [filled(rows, rank, normal), filled(rank, columns, normal)];
  return filled(rows, columns, (i, j) => 10 ** decades(i, j) * left[i].reduce((sum, l, c) => sum + l * right[c][j], 0));
}

/** Reflected at a random vector: singular values stay. */
function reflected(matrix: number[][]): number[][] {
  const v = matrix[0].map(normal);
  const scale = 2 / v.reduce((sum, value) => sum + value * value, 0);
  return matrix.map((row) => {
    const along = scale * row.reduce((sum, value, j) => sum + value * v[j], 0);
    return row.map((value, j) => value - along * v[j]);
  });
}
const diagonal = (values: number[]) => filled(values.length, values.length, (i, j) => (i === j ? values[i] : 0));
const transposed = (matrix: number[][]) => matrix[0].map((_, j) => matrix.map((row) => row[j]));
const turned = (values: number[]) => reflected(transposed(reflected(diagonal(values))));

const matrices: Record<string, number[][]> = {
  'one value': [[-3]],
  'a row': lowRank(1, 7, 1),
  'a column': lowRank(7, 1, 1),
  square: lowRank(100, 100, 100),
  tall: lowRank(60, 23, 23),
  wide: lowRank(23, 60, 23),
  zero: filled(12, 9, () => 0),
  'rank 1': lowRank(40, 40, 1),
  'all ones': filled(30, 20, () => 1),
  'rank 16 of 100, as of a model of 16 dimensions': lowRank(100, 100, 16),
  identity: diagonal(Array.from({ length: 30 }, () => 1)),
  'columns of zeros': lowRank(30, 30, 30).map((row) => row.map((value, j) => (j % 2 ? value : 0))),
  'mostly zeros': filled(60, 60, () => (random() < 0.03 ? 1 : 0)),
  'graded downwards': lowRank(50, 50, 50, (i) => -i / 3),
  'graded upwards': lowRank(50, 50, 50, (_, j) => (j - 50) / 3),
  'twenty decades': turned(Array.from({ length: 40 }, (_, i) => 10 ** (-i / 2))),
  'two clusters': turned(Array.from({ length: 60 }, (_, i) => (i < 30 ? 1 : 1e-3))),
  'one cluster with noise': turned(Array.from({ length: 60 }, () => 1 + 1e-10 * normal())),
  'one small value': turned(Array.from({ length: 40 }, (_, i) => (i === 7 ? 1e-9 : 1))),
  'one large value': turned(Array.from({ length: 40 }, (_, i) => (i === 7 ? 1e9 : 1))),
  'Hilbert matrix': filled(40, 40, (i, j) => 1 / (i + j + 1)),
  'Kahan matrix': filled(40, 40, (i, j) => (i === j ? 0.95 ** i : j > i ? -0.3 : 0)),
  'Wilkinson matrix': filled(21, 21, (i, j) => (i === j ? Math.abs(i - 10) : Math.abs(i - j) === 1 ? 1 : 0)),
  'close to overflow': lowRank(20, 20, 20, () => 305),
  'close to underflow': lowRank(20, 20, 20, () => -300),
};

test('singular values are those of LAPACK to 1e-14 of the largest, and their sum to 1e-14, of degenerate matrices too', () => {
  const code =
    'import json, sys, numpy as np\nprint(json.dumps([np.linalg.svd(np.array(a), compute_uv=False).tolist() for a in json.load(sys.stdin)]))';
  const input = JSON.stringify(Object.values(matrices));
  const answer = execFileSync(referencePython(), ['-c', code], { input, encoding: 'utf8', maxBuffer: 2 ** 26 });
  const expected = JSON.parse(answer) as number[][];
  Object.entries(matrices).forEach(([name, matrix], at) => {
    const found = singularValues(Float64Array.from(matrix.flat()), matrix.length, matrix[0].length);
    expect(found.length, name).toBe(expected[at].length);
    const tolerance = 1e-14 * expected[at][0];
    found.forEach((value, c) =>
      expect(Math.abs(value - expected[at][c]), `${name}, ${c}`).toBeLessThanOrEqual(tolerance),
    );
    const sum = (values: ArrayLike<number>) => Array.from(values).reduceRight((total, value) => total + value, 0);
    expect(Math.abs(sum(found) - sum(expected[at])), name).toBeLessThanOrEqual(1e-14 * sum(expected[at]));
  });
});

test('the argument is left as it is, and the next call does not change what the last returned', () => {
  const a = Float64Array.from(matrices.tall.flat());
  const before = a.slice();
  const found = singularValues(a, 60, 23);
  const copy = found.slice();
  singularValues(Float64Array.from(matrices.square.flat()), 100, 100);
  expect(a).toEqual(before);
  expect(found).toEqual(copy);
  expect(singularValues(a, 60, 23)).toEqual(copy);
});
