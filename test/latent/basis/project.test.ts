import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cosinesToAnchors, meanRow, structureMeans } from '../../../latent/basis/project.js';
import { mixtureRows, randomRotation } from '../randomRows.js';

const [n, dim, k] = [4500, 48, 30];
const x = mixtureRows(n, dim, 12, 0.5, 21);
const anchorRows = Array.from({ length: k }, (_, i) => i * 149);
const anchors = Float32Array.from(anchorRows.flatMap((row) => [...x.subarray(row * dim, (row + 1) * dim)]));

/** Cosine by definition, in float64, of differences to the centre. */
const cosine = (row: number, anchor: number, centre: ArrayLike<number> = new Float64Array(dim)): number => {
  let [dot, a, b] = [0, 0, 0];
  for (let j = 0; j < dim; j++) {
    const [u, v] = [x[row * dim + j] - centre[j], anchors[anchor * dim + j] - centre[j]];
    [dot, a, b] = [dot + u * v, a + u * u, b + v * v];
  }
  return dot / Math.sqrt(a * b);
};

const largestDifference = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);

describe('coordinates', () => {
  test.each([false, true])('are the cosines by definition, to float32 rounding; centred: %s', async (centred) => {
    const centre = centred ? meanRow(anchors, k, dim) : undefined;
    const z = await cosinesToAnchors(x, anchors, dim, { centre });
    for (let row = 0; row < n; row += 7) {
      for (let anchor = 0; anchor < k; anchor++)
        expect(Math.abs(z[row * k + anchor] - cosine(row, anchor, centre))).toBeLessThan(6.1e-8);
    }
  });

  test("an anchor's cosine to itself is exactly 1, and nothing leaves [-1, 1]", async () => {
    const z = await cosinesToAnchors(x, anchors, dim);
    for (const [anchor, row] of anchorRows.entries()) expect(z[row * k + anchor]).toBe(1);
    expect(z.every((value) => value >= -1 && value <= 1)).toBe(true);
    const scaled = await cosinesToAnchors(
      anchors.map((value) => value * -3e-7),
      anchors,
      dim,
    );
    for (let anchor = 0; anchor < k; anchor++) expect(scaled[anchor * k + anchor]).toBe(-1);
  });

  test('a row has the same bits wherever it stands and whatever stands around it', async () => {
    const all = await cosinesToAnchors(x, anchors, dim);
    const range = fc.tuple(fc.integer({ min: 0, max: n - 1 }), fc.integer({ min: 1, max: 4200 }));
    await fc.assert(
      fc.asyncProperty(range, async ([first, count]) => {
        const end = Math.min(n, first + count);
        const part = await cosinesToAnchors(x.subarray(first * dim, end * dim), anchors, dim);
        expect(Buffer.from(part.buffer).equals(Buffer.from(all.slice(first * k, end * k).buffer))).toBe(true);
      }),
      { numRuns: 20, seed: 3, examples: [[[n - 1, 1]], [[4095, 2]], [[0, 5]]] },
    );
  });

  test('do not change under rotation and rescaling of the embeddings, and permute with rows and anchors', async () => {
    const q = randomRotation(dim, 5);
    const turn = (rows: Float32Array): Float32Array => {
      const turned = new Float32Array(rows.length);
      for (let row = 0; row < rows.length / dim; row++) {
        for (let j = 0; j < dim; j++) {
          let sum = 0;
          for (let i = 0; i < dim; i++) sum += rows[row * dim + i] * q[i * dim + j];
          turned[row * dim + j] = 1e3 * sum;
        }
      }
      return turned;
    };
    const some = x.subarray(0, 200 * dim);
    const z = await cosinesToAnchors(some, anchors, dim);
    expect(largestDifference(await cosinesToAnchors(turn(some), turn(anchors), dim), z)).toBeLessThan(5e-7); // inputs are float32
    const backwards = (rows: Float32Array): Float32Array =>
      Float32Array.from(
        Array.from({ length: rows.length / dim }, (_, row) => [...rows.subarray(row * dim, (row + 1) * dim)])
          .reverse()
          .flat(),
      );
    const mirrored = await cosinesToAnchors(backwards(some), backwards(anchors), dim);
    expect([...mirrored]).toEqual([...z].reverse());
  });

  test('a row or anchor without direction is refused with its number', async () => {
    const broken = x.slice(0, 10 * dim).fill(0, 4 * dim, 5 * dim);
    await expect(cosinesToAnchors(broken, anchors, dim)).rejects.toThrow('row 4 has norm 0');
    await expect(cosinesToAnchors(x, broken, dim)).rejects.toThrow('anchor 4: ');
    await expect(cosinesToAnchors(x.subarray(1), anchors, dim)).rejects.toThrow('must all have 48 columns');
    const ownMean = meanRow(x.subarray(0, dim), 1, dim);
    await expect(cosinesToAnchors(x.subarray(0, dim), anchors, dim, { centre: ownMean })).rejects.toThrow(
      'row 0 has norm 0',
    );
  });
});

describe('structure means', () => {
  test('are the means of consecutive atoms', () => {
    const coordinates = Float32Array.of(1, 2, 3, 4, 5, 9, -1, 0.5);
    expect([...structureMeans(coordinates, 2, [1, 3])]).toEqual([1, 2, 7 / 3, 4.5].map(Math.fround));
  });

  test('atom counts that do not fit are refused', () => {
    expect(() => structureMeans(new Float32Array(8), 2, [1, 2])).toThrow('have 3 atoms together; there are 4 rows');
    expect(() => structureMeans(new Float32Array(8), 2, [4, 0])).toThrow('structure 1 has 0 atoms');
  });
});
