import { countUp } from '../base/integers.js';
import { finiteFloat64, type Matrix } from '../base/matrix.js';
import { PairwiseDistances, squaredDistance } from '../neighbours/pairwise.js';
import { mean } from '../statistics/mean.js';
import { scanPairedDistances } from '../neighbours/pairedDistances.js';

/** Information imbalance both ways. */
export interface InformationImbalance {
  /** How badly distances in x predict those in y: (k + 1) / n when neighbours agree in order, 1 when x says nothing about y. */
  xToY: number;
  /** How badly distances in y predict those in x. */
  yToX: number;
}

/**
 * Information imbalance (Glielmo et al. 2022; DADApy) of paired rows x [n, p] and y [n, q]: 2/n times the mean rank, by Euclidean distance in the other
 * cloud, of a row's k nearest. Ties share their ranks, and the places among the k nearest, evenly, so that neither row order nor
 * duplicates decide: a cloud of a single point predicts nothing and is predicted by nothing, 1 both ways.
 * @param k 1 by default, as published
 * @throws RangeError when rows are not paired, k is not within 1 .. n - 1, or a value is not finite
 */
export async function informationImbalance(x: Matrix, y: Matrix, k = 1): Promise<InformationImbalance> {
  const { xToY, yToX } = await imbalanceOfRows(x, y, k);
  return { xToY: mean(xToY), yToX: mean(yToX) };
}

/** What each row contributes, both ways [n]: the information imbalance is their mean. @throws as `informationImbalance` */
export async function imbalanceOfRows(
  x: Matrix,
  y: Matrix,
  k = 1,
): Promise<Record<keyof InformationImbalance, Float64Array>> {
  const n = x.rows;
  if (n !== y.rows) throw new RangeError(`latent/similarity: x has ${n} rows and y ${y.rows}; rows are paired`);
  if (!(Number.isInteger(k) && k >= 1 && k < n))
    throw new RangeError(`latent/similarity: ${k} neighbours among ${n} rows; k must be within 1 and ${n - 1}`);
  const [left, right] = [finiteFloat64(x, 'x'), finiteFloat64(y, 'y')];
  const [inX, inY] = [new PairwiseDistances(left, left), new PairwiseDistances(right, right)];
  const [xToY, yToX] = [new Float64Array(n), new Float64Array(n)];
  const scale = 2 / (n * k);
  await scanPairedDistances(inX, inY, n, (i, ofX, ofY) => {
    const a: Distances = { values: ofX, error: inX.error, exact: (j) => squaredDistance(left, i, left, j) };
    const b: Distances = { values: ofY, error: inY.error, exact: (j) => squaredDistance(right, i, right, j) };
    xToY[i] = scale * rankSum(nearest(a, i, k), b, i);
    yToX[i] = scale * rankSum(nearest(b, i, k), a, i);
  });
  return { xToY, yToX };
}

/** Ranks of all rows by their distance from each, for information imbalances under many permutations. */
export interface RankTable {
  /** Rank of column j about row i [n, n], 1 for the nearest, ties by their mean rank; 0 on the diagonal. */
  ranks: Float32Array;
  /** Of each row, those that are nearest: equally near ones share the place. */
  nearest: Int32Array[];
}

/**
 * The table of a cloud: 4 n² bytes. Distances are those of a matrix product; those within its error of one another are compared again by
 * differences, so that equal rows tie.
 */
export async function rankTable(x: Matrix<Float64Array>): Promise<RankTable> {
  const n = x.rows;
  const ranks = new Float32Array(n * n);
  const nearest: Int32Array[] = [];
  const pairs = new PairwiseDistances(x, x);
  const order = new ColumnOrder(n);
  const exact = new Float64Array(n);
  const apart = 2 * pairs.error;
  await pairs.scan((i, values, offset) => {
    values[offset + i] = Number.MAX_VALUE; // itself, last
    const { columns, loss } = order.of(values, offset);
    const row = i * n;
    let value = values[offset + columns[0]];
    for (let first = 0, end = 1; first < n - 1; first = end++) {
      let next = values[offset + columns[end]];
      for (; end < n - 1 && next <= value + apart + loss * value; next = values[offset + columns[++end]])
        if (next > value) value = next;
      value = next;
      if (end === first + 1) {
        ranks[row + columns[first]] = end;
        if (first === 0) nearest.push(columns.slice(0, 1));
      } else rankCrowded(i, columns.subarray(first, end), first);
    }
  });

  /** Ranks columns that are too near to one another to be told apart by the product, the first of them after `before` others. */
  function rankCrowded(i: number, columns: Int32Array, before: number): void {
    for (const column of columns) exact[column] = squaredDistance(x, i, x, column);
    columns.sort((a, b) => exact[a] - exact[b]);
    for (let start = 0, stop = 0; start < columns.length; start = stop) {
      while (++stop < columns.length && exact[columns[stop]] === exact[columns[start]]);
      for (let at = start; at < stop; at++) ranks[i * n + columns[at]] = before + (start + 1 + stop) / 2;
      if (before + start === 0) nearest.push(columns.slice(0, stop));
    }
  }

  return { ranks, nearest };
}

/** Columns of a bucket from which sorting by insertion would be slow. */
const MOST_IN_BUCKET = 48;

/** Sorts the columns of rows of n values that are 0 or more, of which that of the row itself is Number.MAX_VALUE. */
class ColumnOrder {
  private readonly keys: Float64Array;
  private readonly words: Uint32Array;
  private readonly columns: Int32Array;
  private readonly ends: Int32Array; // of buckets
  private readonly mask: number;

  constructor(private readonly n: number) {
    this.keys = new Float64Array(n);
    this.words = new Uint32Array(this.keys.buffer);
    this.columns = new Int32Array(n);
    this.ends = new Int32Array(n);
    this.mask = 2 ** Math.ceil(Math.log2(n)) - 1;
  }

  /**
   * Columns by their value, but for values that differ by less than `loss` times their size.
   * @returns columns [n], overwritten by the next call
   */
  of(values: Float64Array, offset: number): { columns: Int32Array; loss: number } {
    return this.byBuckets(values, offset)
      ? { columns: this.columns, loss: 0 }
      : { columns: this.byBits(values, offset), loss: 2 * (this.mask + 1) * Number.EPSILON };
  }

  /** By as many equal ranges of values as there are columns, then by insertion; false where the values crowd too much for that. */
  private byBuckets(values: Float64Array, offset: number): boolean {
    const { n, columns, ends } = this;
    let least = Infinity;
    let most = 0;
    for (let at = offset; at < offset + n; at++) {
      const value = values[at];
      if (value < least) least = value;
      if (value > most && value < Number.MAX_VALUE) most = value;
    }
    const perValue = (n - 2) / (most - least);
    if (!(perValue > 0 && perValue < Infinity)) return false;
    const bucketOf = (value: number) => (value > most ? n - 1 : Math.trunc((value - least) * perValue));
    ends.fill(0);
    for (let j = 0; j < n; j++) ends[bucketOf(values[offset + j])]++;
    for (let bucket = 0, sum = 0; bucket < n; bucket++) {
      if (ends[bucket] > MOST_IN_BUCKET) return false;
      ends[bucket] = sum += ends[bucket];
    }
    for (let j = n - 1; j >= 0; j--) columns[--ends[bucketOf(values[offset + j])]] = j;
    for (let at = 1; at < n; at++) {
      const column = columns[at];
      const value = values[offset + column];
      let to = at;
      for (; to > 0 && values[offset + columns[to - 1]] > value; to--) columns[to] = columns[to - 1];
      columns[to] = column;
    }
    return true;
  }

  /** By numbers that keep the column in the last bits of the value: an order of magnitude faster than by a comparison. */
  private byBits(values: Float64Array, offset: number): Int32Array {
    const { n, keys, words, columns, mask } = this;
    for (let j = 0; j < n; j++) keys[j] = values[offset + j];
    for (let j = 0; j < n; j++) words[2 * j] = (words[2 * j] & ~mask) | j; // little-endian, as every platform that koine runs on
    keys.sort();
    for (let at = 0; at < n; at++) columns[at] = words[2 * at] & mask;
    return columns;
  }
}

/** What each row contributes to the information imbalance by the nearest row, k = 1, both ways [n]. */
export function imbalanceOfTables(x: RankTable, y: RankTable): Record<keyof InformationImbalance, Float64Array> {
  const n = x.nearest.length;
  const order = countUp(n);
  const contributions = (a: RankTable, b: RankTable) =>
    Float64Array.from({ length: n }, (_, i) => (2 / n) * rankOfNearest(a, b, i, order));
  return { xToY: contributions(x, y), yToX: contributions(y, x) };
}

/** Information imbalance by the nearest row, k = 1, where row i of x stands beside row `permutation[i]` of y. */
export function permutedImbalance(x: RankTable, y: RankTable, permutation: Int32Array): InformationImbalance {
  const n = permutation.length;
  const inverse = new Int32Array(n);
  for (let i = 0; i < n; i++) inverse[permutation[i]] = i;
  const oneWay = (a: RankTable, b: RankTable, to: Int32Array) => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += rankOfNearest(a, b, i, to);
    return (2 * sum) / (n * n);
  };
  return { xToY: oneWay(x, y, permutation), yToX: oneWay(y, x, inverse) };
}

/** Mean rank in b of those that are nearest to row i in a, row j of a being row `to[j]` of b. */
function rankOfNearest(a: RankTable, b: RankTable, i: number, to: Int32Array): number {
  const near = a.nearest[i];
  const row = to[i] * to.length;
  let ranks = 0;
  for (let at = 0; at < near.length; at++) ranks += b.ranks[row + to[near[at]]];
  return ranks / near.length;
}

/** Squared distances from one row: of a scan, to an error, and exact, so that equal rows tie. */
interface Distances {
  values: Float64Array;
  error: number;
  exact: (j: number) => number;
}

/** The k nearest of row i as [row, weight]: those that tie for the last places share them. */
function nearest({ values, error, exact }: Distances, i: number, k: number): [number, number][] {
  const best = new Float64Array(k).fill(Infinity);
  for (let j = 0; j < values.length; j++) {
    if (j === i || values[j] >= best[k - 1]) continue;
    let at = k - 1;
    for (; at > 0 && best[at - 1] > values[j]; at--) best[at] = best[at - 1];
    best[at] = values[j];
  }
  const candidates: { row: number; squared: number }[] = [];
  for (let j = 0; j < values.length; j++)
    if (j !== i && values[j] <= best[k - 1] + 2 * error) candidates.push({ row: j, squared: exact(j) });
  candidates.sort((a, b) => a.squared - b.squared);
  const last = candidates[k - 1].squared;
  const nearer = candidates.filter(({ squared }) => squared < last).length;
  const tied = candidates.filter(({ squared }) => squared === last).length;
  return candidates.slice(0, nearer + tied).map(({ row, squared }) => [row, squared < last ? 1 : (k - nearer) / tied]);
}

/** Weighted sum of the ranks of rows by their distance from row i, 1 for the nearest, ties by their mean rank. */
function rankSum(rows: [number, number][], { values, error, exact }: Distances, i: number): number {
  const squared = rows.map(([row]) => exact(row));
  const keys = Float64Array.from(new Set(squared)).sort();
  const between = new Float64Array(keys.length); // rows nearer than a key and not nearer than the one before
  const tied = new Float64Array(keys.length);
  for (let j = 0; j < values.length; j++) {
    if (j === i) continue;
    let value = values[j];
    let at = lowerBound(keys, value - error);
    if (at < keys.length && keys[at] <= value + error) {
      value = exact(j);
      at = lowerBound(keys, value);
    }
    if (at === keys.length) continue;
    if (keys[at] === value) tied[at]++;
    else between[at]++;
  }
  const ranks = new Map<number, number>();
  let nearer = 0;
  keys.forEach((key, at) => {
    nearer += between[at];
    ranks.set(key, nearer + (tied[at] + 1) / 2);
    nearer += tied[at];
  });
  return rows.reduce((sum, [, weight], at) => sum + weight * (ranks.get(squared[at]) as number), 0);
}

/** The first position whose key is not below the value. */
function lowerBound(keys: Float64Array, value: number): number {
  let [low, high] = [0, keys.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keys[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
