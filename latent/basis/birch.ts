import { decodeArrays, encodeArrays } from '../base/typedArrays.js';

/** Clustering features of BIRCH's leaf entries: what a set of rows is compressed to. */
export interface LeafFeatures {
  /** Number of leaf entries, L. */
  count: number;
  /** Columns. */
  p: number;
  /** Rows in each entry: [L] */
  n: Float64Array;
  /** Their sums: [L, p] */
  linearSums: Float64Array;
  /** Sums of their squared lengths: [L] */
  squareSums: Float64Array;
}

/** Parameters of the tree. */
export interface BirchOptions {
  /** A row joins an entry when the radius of the union, sqrt(SS/n - |LS/n|²), stays within this. */
  threshold: number;
  /** Entries a node may hold; one more and it splits. */
  branchingFactor: number;
}

/** A node: its entries as structure of arrays, with room for the one entry too many that makes it split. */
class Node {
  count = 0;
  readonly n: Float64Array;
  readonly squareSums: Float64Array;
  readonly squaredNorms: Float64Array;
  readonly linearSums: Float64Array;
  readonly centroids: Float64Array;
  /** One child an entry; empty in a leaf. */
  readonly children: Node[] = [];
  /** Leaves form a list, in scikit-learn's order: the halves of a split take the place of the whole. */
  previous: Node | undefined;
  next: Node | undefined;

  constructor(
    readonly isLeaf: boolean,
    readonly capacity: number,
    readonly p: number,
  ) {
    this.n = new Float64Array(capacity);
    this.squareSums = new Float64Array(capacity);
    this.squaredNorms = new Float64Array(capacity);
    this.linearSums = new Float64Array(capacity * p);
    this.centroids = new Float64Array(capacity * p);
  }

  /** Index of the entry with the nearest centroid, the first of equals. */
  nearest(row: Float64Array, at: number): number {
    const { centroids, squaredNorms, count, p } = this;
    let best = 0;
    let smallest = Infinity;
    for (let entry = 0, from = 0; entry < count; entry++) {
      let dot = 0;
      for (let j = 0; j < p; j++) dot += centroids[from++] * row[at + j];
      const distance = squaredNorms[entry] - 2 * dot;
      if (distance < smallest) {
        smallest = distance;
        best = entry;
      }
    }
    return best;
  }

  /** Adds a feature (n, LS at `at`, SS) to an entry without looking at its radius. */
  absorb(entry: number, n: number, sums: Float64Array, at: number, squareSum: number): void {
    const total = (this.n[entry] += n);
    this.squareSums[entry] += squareSum;
    let squaredNorm = 0;
    for (let j = 0, to = entry * this.p; j < this.p; j++, to++) {
      this.linearSums[to] += sums[at + j];
      const centroid = this.linearSums[to] / total;
      this.centroids[to] = centroid;
      squaredNorm += centroid * centroid;
    }
    this.squaredNorms[entry] = squaredNorm;
  }

  /** Radius² of an entry's union with a feature. */
  squaredRadiusWith(entry: number, n: number, sums: Float64Array, at: number, squareSum: number): number {
    const inverse = 1 / (this.n[entry] + n);
    let squaredNorm = 0;
    for (let j = 0, from = entry * this.p; j < this.p; j++, from++) {
      const centroid = (this.linearSums[from] + sums[at + j]) * inverse;
      squaredNorm += centroid * centroid;
    }
    return (this.squareSums[entry] + squareSum) * inverse - squaredNorm;
  }

  /** Appends an empty entry; returns its index. */
  append(child?: Node): number {
    if (child) this.children.push(child);
    return this.count++;
  }

  /** Replaces what `entry` holds by the sum of a child's entries. */
  summarise(entry: number, child: Node): void {
    this.children[entry] = child;
    this.n[entry] = this.squareSums[entry] = 0;
    this.linearSums.fill(0, entry * this.p, (entry + 1) * this.p);
    for (let i = 0; i < child.count; i++)
      this.absorb(entry, child.n[i], child.linearSums, i * this.p, child.squareSums[i]);
  }

  /** Appends a copy of another node's entry. */
  take(from: Node, index: number): void {
    const entry = this.append(from.children[index]);
    this.absorb(entry, from.n[index], from.linearSums, index * this.p, from.squareSums[index]);
  }
}

/**
 * Splits a node around the two of its entries that are farthest apart (the first such pair, the smaller index first); ties go to the
 * second half. scikit-learn leaves to rounding noise which of the two seeds comes first, which decides the order of leaves, not their
 * contents.
 */
function split(node: Node): [Node, Node] {
  const { count, p, centroids } = node;
  const squaredDistance = (a: number, b: number): number => {
    let sum = 0;
    for (let j = 0; j < p; j++) sum += (centroids[a * p + j] - centroids[b * p + j]) ** 2;
    return sum;
  };
  let [first, second, farthest] = [0, 0, 0];
  for (let a = 0; a < count; a++) {
    for (let b = a + 1; b < count; b++) {
      const distance = squaredDistance(a, b);
      if (distance > farthest) [first, second, farthest] = [a, b, distance];
    }
  }
  const halves: [Node, Node] = [new Node(node.isLeaf, node.capacity, p), new Node(node.isLeaf, node.capacity, p)];
  for (let entry = 0; entry < count; entry++) {
    const nearFirst = entry === first || squaredDistance(entry, first) < squaredDistance(entry, second);
    halves[nearFirst ? 0 : 1].take(node, entry);
  }
  if (node.isLeaf) {
    const [left, right] = halves;
    left.previous = node.previous;
    right.next = node.next;
    left.next = right;
    right.previous = left;
    if (node.previous) node.previous.next = left;
    if (node.next) node.next.previous = right;
  }
  return halves;
}

/**
 * A clustering-feature tree (Zhang, Ramakrishnan and Livny 1996) with the insertion rules of scikit-learn's `Birch`: a feature descends
 * to the nearest centroid at every level; nodes that overflow split on the way back; nothing is ever condensed afterwards.
 */
export class BirchTree {
  private root: Node;
  private readonly squaredThreshold: number;
  /** Leaf entries so far. */
  leafCount = 0;

  constructor(
    readonly p: number,
    private readonly options: BirchOptions,
  ) {
    const { threshold, branchingFactor } = options;
    if (!(threshold >= 0 && threshold < Infinity))
      throw new RangeError(`latent/basis: threshold is ${threshold}; it must be 0 or more`);
    if (!Number.isInteger(branchingFactor) || branchingFactor < 2) {
      throw new RangeError(`latent/basis: branchingFactor is ${branchingFactor}; it must be an integer of at least 2`);
    }
    this.squaredThreshold = threshold * threshold;
    this.root = new Node(true, branchingFactor + 1, p);
  }

  /** Inserts a feature: n rows with sum `sums[at … at + p)` and sum of squared lengths `squareSum`. */
  insert(n: number, sums: Float64Array, at: number, squareSum: number): void {
    const centroid = sums.subarray(at, at + this.p).map((sum) => sum / n);
    if (!this.insertInto(this.root, n, sums, at, squareSum, centroid)) return;
    const [left, right] = split(this.root);
    this.root = new Node(false, this.options.branchingFactor + 1, this.p);
    for (const half of [left, right]) this.root.summarise(this.root.append(half), half);
  }

  /** @returns whether the node now has an entry too many and must be split by its parent */
  private insertInto(
    node: Node,
    n: number,
    sums: Float64Array,
    at: number,
    squareSum: number,
    centroid: Float64Array,
  ): boolean {
    const entry = node.nearest(centroid, 0);
    if (!node.isLeaf) {
      const child = node.children[entry];
      if (!this.insertInto(child, n, sums, at, squareSum, centroid)) {
        node.absorb(entry, n, sums, at, squareSum);
        return false;
      }
      const [left, right] = split(child);
      node.summarise(entry, left);
      node.summarise(node.append(right), right);
      return node.count > this.options.branchingFactor;
    }
    if (node.count > 0 && node.squaredRadiusWith(entry, n, sums, at, squareSum) <= this.squaredThreshold) {
      node.absorb(entry, n, sums, at, squareSum);
      return false;
    }
    node.absorb(node.append(), n, sums, at, squareSum);
    this.leafCount++;
    return node.count > this.options.branchingFactor;
  }

  /** Inserts every entry of `leaves`, in order. */
  insertLeaves(leaves: LeafFeatures): void {
    if (leaves.p !== this.p)
      throw new RangeError(`latent/basis: leaves of ${leaves.p} columns do not fit a tree of ${this.p}`);
    for (let i = 0; i < leaves.count; i++)
      this.insert(leaves.n[i], leaves.linearSums, i * this.p, leaves.squareSums[i]);
  }

  /** The leaf entries, in the order of scikit-learn's `subcluster_centers_`. */
  leaves(): LeafFeatures {
    const { p, leafCount: count } = this;
    const features = {
      count,
      p,
      n: new Float64Array(count),
      linearSums: new Float64Array(count * p),
      squareSums: new Float64Array(count),
    };
    let leaf: Node | undefined = this.root;
    while (!leaf.isLeaf) leaf = leaf.children[0];
    while (leaf.previous) leaf = leaf.previous;
    for (let at = 0; leaf; at += leaf.count, leaf = leaf.next) {
      features.n.set(leaf.n.subarray(0, leaf.count), at);
      features.linearSums.set(leaf.linearSums.subarray(0, leaf.count * p), at * p);
      features.squareSums.set(leaf.squareSums.subarray(0, leaf.count), at);
    }
    return features;
  }
}

/** BIRCH leaf features of rows [n, p] inserted in order; entry for entry those of scikit-learn's `Birch(n_clusters=None)`. */
export function birchLeaves(rows: Float64Array, n: number, p: number, options: BirchOptions): LeafFeatures {
  if (rows.length !== n * p) throw new RangeError(`latent/basis: ${rows.length} values are not ${n} rows of ${p}`);
  const tree = new BirchTree(p, options);
  for (let row = 0, at = 0; row < n; row++, at += p) {
    let squareSum = 0;
    for (let j = at; j < at + p; j++) squareSum += rows[j] * rows[j];
    tree.insert(1, rows, at, squareSum);
  }
  return tree.leaves();
}

/** Centroids LS / n of leaf entries: [L, p] */
export function leafCentroids({ count, p, n, linearSums }: LeafFeatures): Float64Array {
  const centroids = new Float64Array(count * p);
  for (let i = 0, at = 0; i < count; i++) for (let j = 0; j < p; j++, at++) centroids[at] = linearSums[at] / n[i];
  return centroids;
}

/** The entries of all parts, one after another. */
export function concatenateLeaves(parts: readonly LeafFeatures[]): LeafFeatures {
  if (parts.length === 0) throw new RangeError('latent/basis: there are no leaves');
  const { p } = parts[0];
  const odd = parts.find((part) => part.p !== p);
  if (odd) throw new RangeError(`latent/basis: leaves of ${p} and of ${odd.p} columns do not belong together`);
  const count = parts.reduce((sum, part) => sum + part.count, 0);
  const all = {
    count,
    p,
    n: new Float64Array(count),
    linearSums: new Float64Array(count * p),
    squareSums: new Float64Array(count),
  };
  let at = 0;
  for (const part of parts) {
    all.n.set(part.n, at);
    all.linearSums.set(part.linearSums, at * p);
    all.squareSums.set(part.squareSums, at);
    at += part.count;
  }
  return all;
}

const RECORD = 'birch-leaves';
type LeafRecord = Record<'shape' | 'n' | 'linearSums' | 'squareSums', Float64Array>;

/** Leaf features as bytes: 8 (p + 2) an entry. */
export function encodeLeaves({ count, p, n, linearSums, squareSums }: LeafFeatures): Uint8Array {
  return encodeArrays(RECORD, { shape: Float64Array.of(count, p), n, linearSums, squareSums });
}

/** @throws RangeError when the bytes are not leaf features */
export function decodeLeaves(bytes: Uint8Array): LeafFeatures {
  const { shape, ...arrays } = decodeArrays<LeafRecord>(RECORD, bytes);
  return { count: shape[0], p: shape[1], ...arrays };
}
