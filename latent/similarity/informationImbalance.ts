import { finiteFloat64, type Matrix } from '../matrix.js';
import { PairwiseDistances, squaredDistance } from '../pairwise.js';
import { scanPairedDistances } from './pairedDistances.js';

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
  const n = x.rows;
  if (n !== y.rows) throw new RangeError(`latent/similarity: x has ${n} rows and y ${y.rows}; rows are paired`);
  if (!(Number.isInteger(k) && k >= 1 && k < n))
    throw new RangeError(`latent/similarity: ${k} neighbours among ${n} rows; k must be within 1 and ${n - 1}`);
  const [left, right] = [finiteFloat64(x, 'x'), finiteFloat64(y, 'y')];
  const [inX, inY] = [new PairwiseDistances(left, left), new PairwiseDistances(right, right)];
  let [xToY, yToX] = [0, 0];
  await scanPairedDistances(inX, inY, n, (i, ofX, ofY) => {
    const a: Distances = { values: ofX, error: inX.error, exact: (j) => squaredDistance(left, i, left, j) };
    const b: Distances = { values: ofY, error: inY.error, exact: (j) => squaredDistance(right, i, right, j) };
    xToY += rankSum(nearest(a, i, k), b, i);
    yToX += rankSum(nearest(b, i, k), a, i);
  });
  const scale = 2 / (n * n * k);
  return { xToY: scale * xToY, yToX: scale * yToX };
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
