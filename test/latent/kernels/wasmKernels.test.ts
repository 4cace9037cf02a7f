import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sharedRows } from '../../../latent/kernels/sharedRows.js';
import { f64, f64x2, i32, repeatWhile, WasmKernel } from '../../../latent/kernels/wasmModule.js';
import { seededRandom, shuffle } from '../../../latent/base/random.js';

test('shared numbers of relabelled rows are those of sets, for rows of any width, and more rows than the memory began with', () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 19 }), fc.integer({ min: 20, max: 900 }), (seed, k, n) => {
      const random = seededRandom(seed);
      const ordered = () => Int32Array.from({ length: n }, (_, row) => row);
      const pool = ordered();
      const rows = () => {
        const found = new Int32Array(n * k);
        for (let row = 0; row < n; row++) {
          const from = Math.floor(random() * (n - k));
          found.set(shuffle(pool, random).subarray(from, from + k), row * k);
        }
        return found;
      };
      const [x, y] = [rows(), rows()];
      const permutations = [ordered(), shuffle(ordered(), random)];
      const expected = permutations.map((permutation) => {
        let shared = 0;
        for (let i = 0; i < n; i++) {
          const beside = new Set(y.subarray(permutation[i] * k, (permutation[i] + 1) * k));
          for (const j of x.subarray(i * k, (i + 1) * k)) if (beside.has(permutation[j])) shared++;
        }
        return shared;
      });
      expect([...sharedRows(x, y, k, permutations)]).toEqual(expected);
      expect(sharedRows(x, x, k, [ordered()])[0]).toBe(n * k);
    }),
    { numRuns: 12 },
  );
});

test('a module written here runs: constants of any size, loops, float64 vectors and numbers', () => {
  const kernel = new WasmKernel({
    constant: { parameters: {}, locals: {}, result: 'i32', body: () => [i32.constant(-1234567)] },
    scaledSum: {
      parameters: { at: 'i32', end: 'i32', to: 'i32', factor: 'f64' },
      locals: { sum: 'v128' },
      body: ({ at, end, to, factor, sum }) => [
        repeatWhile(i32.below(at.get, end.get), sum.set(f64x2.add(sum.get, f64x2.load(at.get))), at.advance(16)),
        f64.store(to.get, f64.multiply(factor.get, f64x2.sum(sum.get)), 128),
      ],
    },
  });
  const numbers = new Float64Array(kernel.reserve(100_000)); // more than it began with
  numbers.set([1.5, -2, 1e-9, 4]);
  kernel.call.scaledSum(0, 32, 8, 0.5);
  expect(numbers[17]).toBe(0.5 * (1.5 + 1e-9 + (-2 + 4)));
  expect(kernel.call.constant()).toBe(-1234567);
});
