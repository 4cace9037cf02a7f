import { countUp } from '../base/integers.js';

/** Merges of two clusters, each named by one of its points, with the squared height of the merge. */
interface Merge {
  a: number;
  b: number;
  squaredHeight: number;
}

/**
 * All n - 1 merges by the nearest-neighbour chain (Murtagh 1983), in the order found. Distances are recomputed from centroids and sizes
 * instead of kept (O(n) memory): Ward's squared distance is 2 |A| |B| / (|A| + |B|) times that of the centroids.
 */
function chainMerges(points: Float64Array, n: number, p: number): Merge[] {
  const centroids = points.slice();
  const inverseSizes = new Float64Array(n).fill(1);
  const active = countUp(n); // ascending, the first `alive` entries count
  let alive = n;
  const chain: number[] = [];
  const merges: Merge[] = [];
  /** Ward's squared distance, or Infinity as soon as it is seen to reach `bound`. */
  const squaredDistance = (a: number, b: number, bound: number): number => {
    const harmonic = 0.5 * (inverseSizes[a] + inverseSizes[b]);
    const limit = bound * harmonic;
    let sum = 0;
    for (let j = 0, ia = a * p, ib = b * p; j < p; j++) {
      const difference = centroids[ia++] - centroids[ib++];
      sum += difference * difference;
      if (sum >= limit) return Infinity; // principal components come first: mostly after one or two
    }
    return sum / harmonic;
  };
  while (alive > 1) {
    if (chain.length === 0) chain.push(active[0]);
    const x = chain[chain.length - 1];
    let nearest = chain.length > 1 ? chain[chain.length - 2] : -1; // on a tie the chain turns back, or it might run in circles
    let smallest = nearest >= 0 ? squaredDistance(x, nearest, Infinity) : Infinity;
    for (let i = 0; i < alive; i++) {
      const y = active[i];
      if (y === x) continue;
      const distance = squaredDistance(x, y, smallest);
      if (distance < smallest) {
        smallest = distance;
        nearest = y;
      }
    }
    if (chain.length < 2 || nearest !== chain[chain.length - 2]) {
      chain.push(nearest);
      continue;
    }
    chain.length -= 2;
    const [gone, kept] = x < nearest ? [x, nearest] : [nearest, x];
    merges.push({ a: gone, b: kept, squaredHeight: smallest });
    const share = inverseSizes[kept] / (inverseSizes[gone] + inverseSizes[kept]); // of `gone` in the union
    for (let j = 0; j < p; j++) {
      centroids[kept * p + j] += share * (centroids[gone * p + j] - centroids[kept * p + j]);
    }
    inverseSizes[kept] = 1 / (1 / inverseSizes[gone] + 1 / inverseSizes[kept]);
    const at = active.indexOf(gone);
    active.copyWithin(at, at + 1, alive);
    alive--;
  }
  return merges;
}

/**
 * Ward's agglomeration of points [n, p], all of equal weight, cut at k clusters: the partition of scikit-learn's
 * `AgglomerativeClustering(n_clusters=k)`. O(n² p) time, O(n p) memory.
 * @returns [n] labels 0 … k - 1, numbered by each cluster's first point
 */
export function wardLabels(points: Float64Array, n: number, p: number, k: number): Int32Array {
  if (points.length !== n * p)
    throw new RangeError(`latent/basis: ${points.length} values are not ${n} points of ${p}`);
  if (!(Number.isInteger(k) && k >= 1 && k <= n))
    throw new RangeError(`latent/basis: cannot cut ${n} points into ${k} clusters`);
  const merges = chainMerges(points, n, p).sort((left, right) => left.squaredHeight - right.squaredHeight); // stable
  const parent = countUp(n);
  const rootOf = (point: number): number => {
    while (parent[point] !== point) point = parent[point] = parent[parent[point]];
    return point;
  };
  for (const { a, b } of merges.slice(0, n - k)) parent[rootOf(a)] = rootOf(b);
  const numbers = new Map<number, number>();
  return Int32Array.from({ length: n }, (_, point) => {
    const root = rootOf(point);
    if (!numbers.has(root)) numbers.set(root, numbers.size);
    return numbers.get(root)!;
  });
}
