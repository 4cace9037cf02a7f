import { finiteFloat64, type Matrix } from '../base/matrix.js';
import { PairwiseDistances } from '../neighbours/pairwise.js';

/**
 * Novelty: mean distance of every row of x [n, d] to its k nearest rows of a reference [m, d], rows of its own group left out (the atoms of a
 * crystal are near one another whatever it is). Plain kNN outlier scores (Ramaswamy et al. 2000; the mean over k after Angiulli and Pizzuti 2002).
 * O(n m d).
 * @param groups [n] group of each row; a number below 0 belongs to no reference group
 * @param referenceGroups [m]
 * @returns [n]; where a row has fewer than k reference rows of other groups, the mean over those, NaN never: without any, Infinity
 */
export async function novelty(
  x: Matrix,
  reference: Matrix,
  k: number,
  groups: ArrayLike<number>,
  referenceGroups: ArrayLike<number>,
): Promise<Float64Array> {
  if (!(Number.isInteger(k) && k > 0))
    throw new RangeError(`latent/diagnostics: ${k} neighbours; it must be 1 or more`);
  const [points, known] = [finiteFloat64(x, 'rows'), finiteFloat64(reference, 'reference')];
  const scores = new Float64Array(x.rows);
  const nearest = new Float64Array(k);
  await new PairwiseDistances(points, known).scan((i, squared, offset) => {
    nearest.fill(Infinity);
    let count = 0;
    for (let j = 0; j < known.rows; j++) {
      if (referenceGroups[j] === groups[i]) continue;
      count++;
      const distance = squared[offset + j];
      if (distance >= nearest[k - 1]) continue;
      let at = k - 1;
      for (; at > 0 && nearest[at - 1] > distance; at--) nearest[at] = nearest[at - 1];
      nearest[at] = distance;
    }
    const used = Math.min(k, count);
    let sum = 0;
    for (let at = 0; at < used; at++) sum += Math.sqrt(nearest[at]);
    scores[i] = used === 0 ? Infinity : sum / used;
  });
  return scores;
}

/** Share of sorted values below `value`, equal ones counted half: its percentile, 0 to 1; 0.5 where there are none. */
export function percentile(sorted: ArrayLike<number>, value: number): number {
  if (sorted.length === 0) return 0.5;
  const below = lowerBound(sorted, (other) => other >= value);
  const notAbove = lowerBound(sorted, (other) => other > value);
  return (below + notAbove) / 2 / sorted.length;
}

function lowerBound(sorted: ArrayLike<number>, reached: (value: number) => boolean): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (reached(sorted[middle])) high = middle;
    else low = middle + 1;
  }
  return low;
}
