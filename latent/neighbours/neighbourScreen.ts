import { Kernel } from '../kernels/kernel.js';
import type { OnnxNode, TensorSpec } from '../../onnx/writer.js';
import type { Matrix } from '../base/matrix.js';
import { screeningError } from './pairwise.js';

/**
 * What makes row j near to row i by a product c_i.c_j of rows about their mean, the longest of length 1: (c_i.c_j + offsets_j + shifts_i) scales_j,
 * larger is nearer.
 */
export interface Nearness {
  /** [n]. */
  offsets: Float64Array;
  /** Shifts [n] and scales [n]; neither when they do not change the order. */
  scaled?: { shifts: Float64Array; scales: Float64Array };
  /** Float64 rounding of offsets, shifts and of what the caller compares, in units of `screeningError`. */
  rounding: number;
}

/** Columns of a group: a row's groups are searched by their maxima, which the matrix kernel finds. */
const GROUP = 16;
/** Values of one block of products: 2 MiB, so that it is still in cache when its maxima are taken. */
const BLOCK_VALUES = 1 << 19;

const kernels = new Map<string, Kernel>();

/** Products of rows and, for each nearness, the maxima of its groups; `pattern` has an s for every one that is scaled, else a p. */
function productsAndMaxima(pattern: string): Kernel {
  const known = kernels.get(pattern);
  if (known) return known;
  const inputs: Record<string, TensorSpec> = {
    x: { type: 'float32', shape: ['m', 'p'] },
    y: { type: 'float32', shape: ['n', 'p'] },
  };
  const outputs: Record<string, TensorSpec> = { products: { type: 'float32', shape: ['m', 'n'] } };
  const nodes: OnnxNode[] = [
    { op: 'Gemm', inputs: ['x', 'y'], outputs: ['products'], attributes: { transB: { int: 1 } } },
  ];
  for (const [at, kind] of [...pattern].entries()) {
    const name = (what: string) => `${what}${at}`;
    inputs[name('offsets')] = { type: 'float32', shape: ['n'] };
    nodes.push({ op: 'Add', inputs: ['products', name('offsets')], outputs: [name('sums')] });
    if (kind === 's') {
      inputs[name('shifts')] = { type: 'float32', shape: ['m', 1] };
      inputs[name('scales')] = { type: 'float32', shape: ['n'] };
      nodes.push({ op: 'Add', inputs: [name('sums'), name('shifts')], outputs: [name('shifted')] });
      nodes.push({ op: 'Mul', inputs: [name('shifted'), name('scales')], outputs: [name('values')] });
    }
    const values = name(kind === 's' ? 'values' : 'sums');
    const attributes = { axes: { ints: [2] }, keepdims: { int: 0 } };
    nodes.push({ op: 'Reshape', inputs: [values, 'grouped'], outputs: [name('groups')] });
    nodes.push({ op: 'ReduceMax', inputs: [name('groups')], outputs: [name('maxima')], attributes });
    outputs[name('maxima')] = { type: 'float32', shape: ['m', 'g'] };
  }
  const constants = { grouped: { shape: [3], data: BigInt64Array.of(0n, -1n, BigInt(GROUP)) } };
  const kernel = new Kernel({ name: `products_and_maxima_${pattern}`, inputs, outputs, constants, nodes });
  kernels.set(pattern, kernel);
  return kernel;
}

/**
 * For every row, those that may be among its k nearest: all pairs by one float32 matrix product for all measures, kept when within its error bound of
 * the k-th.
 * @param points rows about their mean [n, p], the longest of length 1 (or all 0)
 * @param k below n
 * @param visit gets, row by row and for each nearness, a superset of the k nearest of row i, itself excluded, in order of index: candidates[0 .. count)
 */
export async function screenNeighbours(
  points: Matrix<Float64Array>,
  lengths: Float64Array,
  nearness: readonly Nearness[],
  k: number,
  visit: (i: number, which: number, candidates: Int32Array, count: number) => void,
): Promise<void> {
  const [n, p] = [points.rows, points.columns];
  const width = Math.ceil(n / GROUP) * GROUP;
  const perBlock = Math.max(1, Math.min(n, Math.floor(BLOCK_VALUES / width)));
  const padded = (values: Float64Array, beyond: number) => {
    const out = new Float32Array(width).fill(beyond);
    out.set(values);
    return { data: out, shape: [width] };
  };
  const right = new Float32Array(width * p);
  right.set(points.data);
  const kernel = productsAndMaxima(nearness.map(({ scaled }) => (scaled ? 's' : 'p')).join(''));
  const constants = Object.fromEntries(
    nearness.flatMap(({ offsets, scaled }, at) => [
      [`offsets${at}`, padded(offsets, -Infinity)],
      ...(scaled ? [[`scales${at}`, padded(scaled.scales, 1)] as const] : []),
    ]),
  );
  const margins = nearness.map((one) => marginsOf(one, lengths, screeningError(p)));
  const search = new Search(n, k);
  const products = new Float32Array(perBlock * width);
  const maxima = nearness.map(() => new Float32Array((perBlock * width) / GROUP));
  for (let first = 0; first < n; first += perBlock) {
    const size = Math.min(perBlock, n - first);
    const shifts = nearness.flatMap(({ scaled }, at) => {
      if (!scaled) return [];
      // Of scaled values the maxima are of upper bounds: a margin is as large as a row's scale.
      const highs = new Float32Array(size);
      for (let r = 0; r < size; r++) highs[r] = scaled.shifts[first + r] + margins[at].float32[first + r];
      return [[`shifts${at}`, { data: highs, shape: [size, 1] }] as const];
    });
    const output = (data: Float32Array, columns: number) => ({
      data: data.subarray(0, size * columns),
      shape: [size, columns],
    });
    await kernel.run(
      {
        x: { data: right.subarray(first * p, (first + size) * p), shape: [size, p] },
        y: { data: right, shape: [width, p] },
        ...constants,
        ...Object.fromEntries(shifts),
      },
      {
        products: output(products, width),
        ...Object.fromEntries(maxima.map((data, at) => [`maxima${at}`, output(data, width / GROUP)])),
      },
    );
    for (let r = 0; r < size; r++)
      nearness.forEach((one, which) => {
        const i = first + r;
        const slack = one.scaled ? 0 : margins[which].float32[i];
        const count = search.run(i, products, r * width, one, maxima[which], slack, margins[which].float64[i]);
        visit(i, which, search.candidates, count);
      });
  }
}

/** Bounds on the error of unscaled values of row i: of sums of a float32 product and float64 terms, and of sums in float32 throughout. */
function marginsOf({ offsets, scaled, rounding }: Nearness, lengths: Float64Array, error: number) {
  let extent = 1;
  for (const offset of offsets) extent = Math.max(extent, Math.abs(offset));
  const float64 = lengths.map((length) => error * (length + rounding));
  const float32 = float64.map((margin, i) => 2 * margin + 2 ** -21 * (extent + Math.abs(scaled?.shifts[i] ?? 0)));
  return { float64, float32 };
}

/** The search of one row of products, with its buffers. */
class Search {
  readonly candidates: Int32Array;
  private readonly best: Float64Array;
  private readonly bestMaxima: Float64Array;
  private readonly bestGroups: Int32Array;

  constructor(n: number, k: number) {
    this.candidates = new Int32Array(n);
    this.best = new Float64Array(k);
    this.bestMaxima = new Float64Array(k + 1);
    this.bestGroups = new Int32Array(k + 1);
  }

  /**
   * @param maxima of the groups of all rows of the block, off by at most `slack`
   * @param margin bound on the error of an unscaled value
   * @returns the number of candidates
   */
  run(
    i: number,
    products: Float32Array,
    offset: number,
    { offsets, scaled }: Nearness,
    maxima: Float32Array,
    slack: number,
    margin: number,
  ): number {
    const { best, bestMaxima, bestGroups, candidates } = this;
    const n = offsets.length;
    const scales = scaled?.scales;
    const shift = scaled ? scaled.shifts[i] : 0;
    const groups = Math.trunc((n + GROUP - 1) / GROUP);
    const firstMaximum = Math.trunc(offset / GROUP);
    // The k + 1 groups of the largest maxima, one of which may be due to row i itself, give a lower bound of the k-th nearness ...
    bestMaxima.fill(-Infinity);
    const last = bestMaxima.length - 1;
    let filled = 0;
    for (let group = 0; group < groups; group++) {
      const maximum = maxima[firstMaximum + group];
      if (maximum <= bestMaxima[last]) continue;
      let at = last;
      for (; at > 0 && bestMaxima[at - 1] < maximum; at--) {
        bestMaxima[at] = bestMaxima[at - 1];
        bestGroups[at] = bestGroups[at - 1];
      }
      bestMaxima[at] = maximum;
      bestGroups[at] = group;
      filled++;
    }
    best.fill(-Infinity);
    let limit = -Infinity;
    const low = shift - margin;
    for (let at = 0, end = Math.min(filled, last + 1); at < end; at++) {
      const start = bestGroups[at] * GROUP;
      for (let j = start, stop = Math.min(n, start + GROUP); j < stop; j++) {
        const value = products[offset + j] + offsets[j] + low;
        const lower = scales ? value * scales[j] : value;
        if (lower > limit && j !== i) limit = insert(best, lower);
      }
    }
    // ... and every row whose upper bound reaches it is a candidate.
    const high = shift + margin;
    const least = limit - slack;
    let count = 0;
    for (let group = 0; group < groups; group++) {
      if (maxima[firstMaximum + group] < least) continue;
      const start = group * GROUP;
      for (let j = start, stop = Math.min(n, start + GROUP); j < stop; j++) {
        const value = products[offset + j] + offsets[j] + high;
        if ((scales ? value * scales[j] : value) >= limit && j !== i) candidates[count++] = j;
      }
    }
    return count;
  }
}

/** Puts a value among the largest so far, in descending order; returns the last of them. */
function insert(largest: Float64Array, value: number): number {
  let at = largest.length - 1;
  for (; at > 0 && largest[at - 1] < value; at--) largest[at] = largest[at - 1];
  largest[at] = value;
  return largest[largest.length - 1];
}
