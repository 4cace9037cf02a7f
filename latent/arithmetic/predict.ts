import { matrix, type Matrix } from '../base/matrix.js';
import { PairwiseDistances, squaredDistance } from '../neighbours/pairwise.js';
import type { Substitution } from './substitutions.js';

/** Vectors of structures and what their elements contribute: all that embedding arithmetic needs of a space. */
export interface ElementSpace {
  /** Mean vector of every structure [S, K]. */
  means: Matrix<Float64Array>;
  /** Sum over the atoms of an element, and their number, over all structures. */
  totals: ReadonlyMap<number, { sum: Float64Array; count: number }>;
  /** The same within one structure; asked for the structures of pairs only. */
  within: (structure: number, element: number) => { sum: Float64Array; count: number };
  /** Elements of a structure with the share of its atoms. */
  composition: (structure: number) => ReadonlyMap<number, number>;
}

/**
 * g(el): mean vector of an element over all structures other than those left out.
 * @returns undefined where no atom is left
 */
export function elementVector(
  space: ElementSpace,
  element: number,
  without: readonly number[],
): Float64Array | undefined {
  const total = space.totals.get(element);
  if (!total) return undefined;
  const sum = total.sum.slice();
  let { count } = total;
  for (const structure of new Set(without)) {
    const own = space.within(structure, element);
    count -= own.count;
    for (let c = 0; c < own.sum.length; c++) sum[c] -= own.sum[c];
  }
  if (count <= 0) return undefined;
  for (let c = 0; c < sum.length; c++) sum[c] /= count;
  return sum;
}

/** x (g(to) - g(from)), the elements seen in other structures; undefined where one of them is in no other. */
export function offsetOf(space: ElementSpace, pair: Substitution): Float64Array | undefined {
  const [from, to] = [pair.fromElement, pair.toElement].map((element) =>
    elementVector(space, element, [pair.source, pair.target]),
  );
  return from && to?.map((value, c) => pair.share * (value - from[c]));
}

/** Mean of g over the composition of the target: what composition alone predicts. */
export function compositionMean(space: ElementSpace, pair: Substitution): Float64Array | undefined {
  const mean = new Float64Array(space.means.columns);
  for (const [element, share] of space.composition(pair.target)) {
    const vector = elementVector(space, element, [pair.source, pair.target]);
    if (!vector) return undefined;
    for (let c = 0; c < mean.length; c++) mean[c] += share * vector[c];
  }
  return mean;
}

/** The source moved by an offset. */
export function moved(space: ElementSpace, pair: Substitution, offset: Float64Array): Float64Array {
  const { data, columns } = space.means;
  return offset.map((value, c) => value + data[pair.source * columns + c]);
}

/** How near each prediction comes. */
export interface Scores {
  /** Rank of the target among all structures but the source, from 1; equal distances share their mean rank. */
  rank: Float64Array;
  /** |prediction - target| / |source - target|; NaN where source and target coincide. */
  relativeError: Float64Array;
}

/**
 * Ranks the target of each pair by its distance to the prediction.
 * @param predictions [pairs, K]
 */
export async function scorePredictions(
  { means }: ElementSpace,
  pairs: readonly Substitution[],
  predictions: readonly Float64Array[],
): Promise<Scores> {
  const scores = { rank: new Float64Array(pairs.length), relativeError: new Float64Array(pairs.length) };
  if (pairs.length === 0) return scores;
  const points = matrix(new Float64Array(pairs.length * means.columns), pairs.length, means.columns);
  predictions.forEach((prediction, i) => points.data.set(prediction, i * means.columns));
  const distances = new PairwiseDistances(points, means);
  await distances.scan((i, squared, offset) => {
    const { source, target } = pairs[i];
    const own = squared[offset + target];
    let [nearer, equal] = [0, 0];
    for (let s = 0; s < means.rows; s++) {
      if (s === source || s === target) continue;
      const difference = squared[offset + s] - own;
      if (Math.abs(difference) <= 2 * distances.error) equal++;
      else if (difference < 0) nearer++;
    }
    scores.rank[i] = 1 + nearer + equal / 2;
    const moved = Math.sqrt(squaredDistance(means, source, means, target));
    scores.relativeError[i] = moved === 0 ? NaN : Math.sqrt(squaredDistance(points, i, means, target)) / moved;
  });
  return scores;
}

/**
 * The space in which every atom of an element has the one vector of it: composition and nothing else.
 * @param columns length of the vectors
 */
export function compositionSpace(
  compositions: readonly ReadonlyMap<number, number>[],
  columns: number,
  vectorOf: (element: number) => Float64Array,
): ElementSpace {
  const means = matrix(new Float64Array(compositions.length * columns), compositions.length, columns);
  const totals = new Map<number, { sum: Float64Array; count: number }>();
  compositions.forEach((composition, s) => {
    for (const [element, share] of composition) {
      const vector = vectorOf(element);
      for (let c = 0; c < columns; c++) means.data[s * columns + c] += share * vector[c];
      const total = totals.get(element) ?? { sum: vector.map(() => 0), count: 0 };
      for (let c = 0; c < columns; c++) total.sum[c] += vector[c];
      total.count++;
      totals.set(element, total);
    }
  });
  return {
    means,
    totals,
    within: (structure, element) =>
      compositions[structure].has(element)
        ? { sum: vectorOf(element), count: 1 }
        : { sum: new Float64Array(columns), count: 0 },
    composition: (structure) => compositions[structure],
  };
}
