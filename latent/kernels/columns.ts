import { f64, f64x2, i32, repeatWhile, variables, WasmKernel, type WasmFunction } from './wasmModule.js';

/** Bytes of a vector of two float64 and of one. */
const [VECTOR, NUMBER] = [16, 8];

/** Columns of `change` and of `sum` that are in work at a time: a matrix has that many more columns of zeros as make the last ones full. */
export const COLUMNS_TOGETHER = 4;

/**
 * Takes x xWeights_k + y yWeights_k off each column k and makes xWeights_k `scale` times the product of what is left with `next`; two columns at a
 * time, from `column` to where their weights end. All addresses are in bytes, of columns and of vectors at the same row.
 */
const change: WasmFunction = {
  parameters: {
    ...variables('i32', 'column columnBytes rowBytes x y next xWeights yWeights xWeightsEnd'),
    scale: 'f64',
  },
  locals: {
    ...variables('i32', 'end first second atX atY atNext'),
    ...variables('v128', 'sum0 sum1 x0 x1 y0 y1 ofX ofY ofNext rest'),
  },
  body: (v) => {
    const { column, columnBytes, rowBytes, x, y, next, xWeights, yWeights, xWeightsEnd, scale } = v;
    const { end, first, second, atX, atY, atNext, ofX, ofY, ofNext, rest } = v;
    const changed = (at: typeof first, xWeight: typeof first, yWeight: typeof first, sum: typeof first) => [
      rest.set(
        f64x2.subtract(
          f64x2.subtract(f64x2.load(at.get), f64x2.multiply(xWeight.get, ofX.get)),
          f64x2.multiply(yWeight.get, ofY.get),
        ),
      ),
      f64x2.store(at.get, rest.get),
      sum.set(f64x2.add(sum.get, f64x2.multiply(rest.get, ofNext.get))),
      at.advance(VECTOR),
    ];
    return [
      repeatWhile(
        i32.below(xWeights.get, xWeightsEnd.get),
        first.set(column.get),
        second.set(i32.add(column.get, columnBytes.get)),
        end.set(i32.add(column.get, rowBytes.get)),
        atX.set(x.get),
        atY.set(y.get),
        atNext.set(next.get),
        v.x0.set(f64x2.loadSplat(xWeights.get)),
        v.x1.set(f64x2.loadSplat(xWeights.get, NUMBER)),
        v.y0.set(f64x2.loadSplat(yWeights.get)),
        v.y1.set(f64x2.loadSplat(yWeights.get, NUMBER)),
        v.sum0.set(f64x2.zero),
        v.sum1.set(f64x2.zero),
        repeatWhile(
          i32.below(first.get, end.get),
          ofX.set(f64x2.load(atX.get)),
          ofY.set(f64x2.load(atY.get)),
          ofNext.set(f64x2.load(atNext.get)),
          atX.advance(VECTOR),
          atY.advance(VECTOR),
          atNext.advance(VECTOR),
          ...changed(first, v.x0, v.y0, v.sum0),
          ...changed(second, v.x1, v.y1, v.sum1),
        ),
        f64.store(xWeights.get, f64.multiply(scale.get, f64x2.sum(v.sum0.get))),
        f64.store(xWeights.get, f64.multiply(scale.get, f64x2.sum(v.sum1.get)), NUMBER),
        column.set(i32.add(column.get, i32.add(columnBytes.get, columnBytes.get))),
        xWeights.advance(2 * NUMBER),
        yWeights.advance(2 * NUMBER),
      ),
    ];
  },
};

/** Adds weights_k times each column k to `sums`; four columns at a time, from `column` to where their weights end. */
const sum: WasmFunction = {
  parameters: variables('i32', 'column columnBytes rowBytes weights weightsEnd sums'),
  locals: { ...variables('i32', 'c0 c1 c2 c3 at end'), ...variables('v128', 'w0 w1 w2 w3') },
  body: ({ column, columnBytes, rowBytes, weights, weightsEnd, sums, at, end, ...v }) => {
    const columns = [v.c0, v.c1, v.c2, v.c3];
    const held = [v.w0, v.w1, v.w2, v.w3];
    const terms = columns.map(({ get }, k) => f64x2.multiply(held[k].get, f64x2.load(get)));
    return [
      repeatWhile(
        i32.below(weights.get, weightsEnd.get),
        ...columns.flatMap((one) => [one.set(column.get), column.set(i32.add(column.get, columnBytes.get))]),
        ...held.map((one, k) => one.set(f64x2.loadSplat(weights.get, k * NUMBER))),
        at.set(sums.get),
        end.set(i32.add(sums.get, rowBytes.get)),
        repeatWhile(
          i32.below(at.get, end.get),
          f64x2.store(
            at.get,
            f64x2.add(f64x2.load(at.get), f64x2.add(f64x2.add(terms[0], terms[1]), f64x2.add(terms[2], terms[3]))),
          ),
          ...[...columns, at].map((one) => one.advance(VECTOR)),
        ),
        weights.advance(4 * NUMBER),
      ),
    ];
  },
};

/** Passes over the columns of a float64 matrix in the kernel's memory: see the functions. */
export const columnKernel = new WasmKernel({ change, sum });
