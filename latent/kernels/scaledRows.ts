import { f64x2, i32, repeatWhile, variables, WasmKernel, type Code, type WasmFunction } from './wasmModule.js';

/** Bytes of a vector of two float64. */
const VECTOR = 16;
/** Vectors in work at a time: a row has as many zeros at its end as make the last ones full. */
const TOGETHER = 4;
/** Float64 of which a row is a multiple long. */
export const ROW_UNIT = 2 * TOGETHER;

const each = <T>(of: (at: number) => T): T[] => Array.from({ length: TOGETHER }, (_, at) => of(at));

/** The product of a row, from `row` to `end`, with the numbers at `weights`. */
const dot: WasmFunction = {
  parameters: variables('i32', 'row end weights'),
  locals: variables('v128', each((at) => `sum${at}`).join(' ')),
  result: 'f64',
  body: ({ row, end, weights, ...rest }) => {
    const sums = each((at) => rest[`sum${at}`]);
    return [
      repeatWhile(
        i32.below(row.get, end.get),
        ...sums.map((sum, at) => sum.set(f64x2.add(sum.get, f64x2.multiply(load(row.get, at), load(weights.get, at))))),
        ...[row, weights].map((one) => one.advance(TOGETHER * VECTOR)),
      ),
      f64x2.sum(sums.map(({ get }) => get).reduce(f64x2.add)),
    ];
  },
};

/** Adds `scale` times a row, from `row` to `end`, to the numbers at `sums`. */
const addScaled: WasmFunction = {
  parameters: { ...variables('i32', 'row end sums'), scale: 'f64' },
  locals: { scales: 'v128' },
  body: ({ row, end, sums, scale, scales }) => [
    scales.set(f64x2.splat(scale.get)),
    repeatWhile(
      i32.below(row.get, end.get),
      ...each((at) =>
        f64x2.store(
          sums.get,
          f64x2.add(load(sums.get, at), f64x2.multiply(scales.get, load(row.get, at))),
          at * VECTOR,
        ),
      ),
      ...[row, sums].map((one) => one.advance(TOGETHER * VECTOR)),
    ),
  ],
};

function load(address: Code, at: number): Code {
  return f64x2.load(address, at * VECTOR);
}

/** Passes over rows of float64 in the memory of the kernel, all addresses in bytes: see the functions. */
export function scaledRowsKernel(): WasmKernel<'dot' | 'addScaled'> {
  return new WasmKernel({ dot, addScaled });
}
