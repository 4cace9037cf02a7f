import { i32, i32x4, repeatWhile, variables, WasmKernel, type WasmFunction } from './wasmModule.js';

const LANES = 4;

/** How many numbers of the rows of x, relabelled by `order` at address 0, stand in the rows of y beside them, which are `vectors` x 4 numbers wide. */
function countShared(vectors: number): WasmFunction {
  const ofY = Array.from({ length: vectors }, (_, at) => `y${at}`);
  return {
    parameters: variables('i32', 'order orderEnd x xRowBytes y'),
    locals: { ...variables('i32', 'row xEnd'), ...variables('v128', ['shared', 'label', ...ofY].join(' ')) },
    result: 'i32',
    body: ({ order, orderEnd, x, xRowBytes, y, row, xEnd, shared, label, ...rest }) => {
      const held = ofY.map((name) => rest[name]);
      return [
        repeatWhile(
          i32.below(order.get, orderEnd.get),
          row.set(i32.add(y.get, i32.multiply(i32.load(order.get), i32.constant(16 * vectors)))),
          ...held.map((vector, at) => vector.set(i32x4.load(row.get, 16 * at))),
          xEnd.set(i32.add(x.get, xRowBytes.get)),
          repeatWhile(
            i32.below(x.get, xEnd.get),
            label.set(i32x4.loadSplat(i32.shiftLeft(i32.load(x.get), i32.constant(2)))), // the labels start at 0
            shared.set(
              i32x4.subtract(
                shared.get,
                held.map(({ get }) => i32x4.equal(label.get, get)).reduce((a, b) => i32x4.or(a, b)),
              ),
            ),
            x.advance(4),
          ),
          order.advance(4),
        ),
        i32x4.sum(shared.get),
      ];
    },
  };
}

const kernels = new Map<number, WasmKernel<'countShared'>>();

/**
 * How many numbers the rows of two lists share, for each of many relabellings.
 * @param x [n, k] numbers of rows, below n and distinct within a row
 * @param y as x
 * @param permutations of n: row i of x then stands beside row `permutation[i]` of y, and number j in x means `permutation[j]` in y
 * @returns the count of each permutation
 */
export function sharedRows(x: Int32Array, y: Int32Array, k: number, permutations: readonly Int32Array[]): Float64Array {
  const n = x.length / k;
  const vectors = Math.ceil(k / LANES);
  const kernel = kernels.get(vectors) ?? new WasmKernel({ countShared: countShared(vectors) });
  kernels.set(vectors, kernel);
  const width = LANES * vectors;
  const [xAt, yAt] = [n, n + n * k];
  const memory = new Int32Array(kernel.reserve(4 * (yAt + n * width)));
  memory.set(x, xAt);
  memory.fill(-1, yAt, yAt + n * width);
  for (let row = 0; row < n; row++) memory.set(y.subarray(row * k, (row + 1) * k), yAt + row * width);
  return Float64Array.from(permutations, (permutation) => {
    memory.set(permutation);
    return kernel.call.countShared(0, 4 * n, 4 * xAt, 4 * k, 4 * yAt);
  });
}
