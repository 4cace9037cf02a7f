import { Bins } from './bins.js';
import { type Geometry, ImageSearch, found } from './imageSearch.js';

/**
 * Directed edges of a periodic structure, sorted by (centre, neighbour, shift a, shift b, shift c). An edge and its reverse
 * (j, i, -S) carry exactly opposite vectors and the same distance, bit for bit.
 */
export interface NeighbourList {
  /** Number of edges e. */
  count: number;
  /** [e] atom i the edge starts from. */
  centres: Int32Array;
  /** [e] atom j the edge ends at. */
  neighbours: Int32Array;
  /** [3e] lattice translation S of the neighbour's image, in units of the lattice vectors. */
  shifts: Int32Array;
  /** [3e] r_j + S·lattice - r_i in Å, Cartesian, with r = fractional coordinates · lattice. */
  vectors: Float64Array;
  /** [e] length of each vector in Å; 0 < distance <= cutoff. */
  distances: Float64Array;
}

/**
 * Distances closer than this, relative to the cutoff, belong to one shell: 1e-6 of 6 Å is 6e-6 Å, well above the noise of
 * rotated or re-read coordinates (CIF files carry 6 to 8 decimals) and well below any real splitting of a shell.
 */
const SHELL_TOLERANCE = 1e-6;

/**
 * All neighbours within a cutoff under full periodic boundary conditions, for any cell: skewed, thin, smaller than the
 * cutoff, a single atom. Images of an atom are neighbours of it; coincident atoms (distance 0) are not.
 *
 * The test is `distance <= cutoff` on the float64 distance. ASE's `primitive_neighbor_list` and matscipy test `<`, so
 * an image at exactly the cutoff (a = 5 Å, cutoff 5 Å) is an edge here and not there; otherwise the edges are the same.
 *
 * Pairs i <= j are searched by {@link ImageSearch}, in large cells only those in near bins; the reverse edges are mirrored.
 * @param structure lattice [9] row-major in Å and fractional coordinates [3n]; shifts refer to the coordinates as given
 * @param cutoffAngstrom positive, finite
 * @param maxNeighbours keep at most this many edges per centre, the nearest ones. Distances that form a chain with gaps of at
 *   most 1e-6 of the cutoff are one shell; of the shell that the limit cuts through, the edges first in (neighbour, shift)
 *   order stay. The rule does not depend on rotation or on float noise, but on atom order and choice of cell, as any rule
 *   must that splits equivalent atoms; orb-models splits by k-d tree order and agrees on all other edges. After truncation
 *   an edge may lack its reverse.
 * @throws RangeError if the cutoff or maxNeighbours is not positive, or the cell has no volume
 */
export function neighbourList(
  structure: Geometry,
  cutoffAngstrom: number,
  maxNeighbours: number = Number.POSITIVE_INFINITY,
): NeighbourList {
  if (!(cutoffAngstrom > 0 && cutoffAngstrom < Number.POSITIVE_INFINITY)) {
    throw new RangeError(`structures/neighbours: cutoff ${cutoffAngstrom} Å must be positive and finite`);
  }
  if (!(maxNeighbours >= 1)) {
    throw new RangeError(`structures/neighbours: maxNeighbours ${maxNeighbours} must be at least 1`);
  }
  const search = new ImageSearch(structure, cutoffAngstrom);
  const n = search.atoms;
  if (n > 0) search.append(0, 0); // self-images are the same for every atom
  const selfImages = search.edges;
  const bins = Bins.forCutoff(structure.fractionalCoordinates, search.heights, cutoffAngstrom);
  for (let i = 0; i < n; i++) {
    if (bins) bins.forEachLater(i, (j) => search.append(i, j));
    else for (let j = i + 1; j < n; j++) search.append(i, j);
  }
  const list = assemble(search, selfImages);
  return maxNeighbours < Number.POSITIVE_INFINITY ? keepNearest(list, n, maxNeighbours, cutoffAngstrom) : list;
}

/** The sorted full list from the half that was searched. */
function assemble(search: ImageSearch, selfImages: number): NeighbourList {
  const count = 2 * (search.edges - selfImages) + search.atoms * selfImages;
  const list: NeighbourList = {
    count,
    centres: new Int32Array(count),
    neighbours: new Int32Array(count),
    shifts: new Int32Array(3 * count),
    vectors: new Float64Array(3 * count),
    distances: new Float64Array(count),
  };
  const { blockCentre, blockNeighbour, blockStart } = found;
  const { mirrored, mirroredEnd, own, ownEnd } = orderBlocks(search, selfImages > 0 ? 1 : 0);
  for (let i = 0, m = 0, o = 0, edge = 0; i < search.atoms; i++) {
    const begin = edge;
    for (; m < mirroredEnd[i]; m++) {
      const block = mirrored[m];
      edge = copyMirrored(list, edge, blockStart[block], blockStart[block + 1], blockCentre[block]);
    }
    if (selfImages > 0) edge = copy(list, edge, 0, selfImages, i);
    for (; o < ownEnd[i]; o++) {
      const block = own[o];
      edge = copy(list, edge, blockStart[block], blockStart[block + 1], blockNeighbour[block]);
    }
    list.centres.fill(i, begin, edge);
  }
  return list;
}

/**
 * Blocks in output order: for each atom those it is the neighbour of (`mirrored`), then those it is the centre of (`own`).
 * Two stable bucket passes: blocks come with ascending centre, so bucketing them by neighbour leaves each bucket sorted by
 * centre; bucketing that order by centre leaves each bucket sorted by neighbour.
 */
function orderBlocks(search: ImageSearch, firstBlock: number) {
  const { blockCentre, blockNeighbour } = found;
  const n = search.atoms;
  const mirroredEnd = new Int32Array(n + 1);
  const ownEnd = new Int32Array(n + 1);
  for (let block = firstBlock; block < search.blocks; block++) {
    mirroredEnd[blockNeighbour[block] + 1]++;
    ownEnd[blockCentre[block] + 1]++;
  }
  for (let i = 0; i < n; i++) {
    mirroredEnd[i + 1] += mirroredEnd[i];
    ownEnd[i + 1] += ownEnd[i];
  }
  const mirrored = new Int32Array(search.blocks - firstBlock);
  const own = new Int32Array(search.blocks - firstBlock);
  for (let block = firstBlock; block < search.blocks; block++) mirrored[mirroredEnd[blockNeighbour[block]]++] = block;
  for (const block of mirrored) own[ownEnd[blockCentre[block]]++] = block;
  return { mirrored, mirroredEnd, own, ownEnd };
}

/** Copies found edges [from, to) to the list at `edge`; returns where the next go. */
function copy(list: NeighbourList, edge: number, from: number, to: number, neighbour: number): number {
  const { neighbours, shifts, vectors, distances } = list;
  const { shifts: foundShifts, vectors: foundVectors, distances: foundDistances } = found;
  for (let k = from; k < to; k++, edge++) {
    const p = 3 * edge;
    const q = 3 * k;
    neighbours[edge] = neighbour;
    distances[edge] = foundDistances[k];
    shifts[p] = foundShifts[q];
    shifts[p + 1] = foundShifts[q + 1];
    shifts[p + 2] = foundShifts[q + 2];
    vectors[p] = foundVectors[q];
    vectors[p + 1] = foundVectors[q + 1];
    vectors[p + 2] = foundVectors[q + 2];
  }
  return edge;
}

/** As {@link copy}, for the reverse edges: opposite shifts and vectors, and backwards, which is their ascending order. */
function copyMirrored(list: NeighbourList, edge: number, from: number, to: number, neighbour: number): number {
  const { neighbours, shifts, vectors, distances } = list;
  const { shifts: foundShifts, vectors: foundVectors, distances: foundDistances } = found;
  for (let k = to - 1; k >= from; k--, edge++) {
    const p = 3 * edge;
    const q = 3 * k;
    neighbours[edge] = neighbour;
    distances[edge] = foundDistances[k];
    shifts[p] = -foundShifts[q];
    shifts[p + 1] = -foundShifts[q + 1];
    shifts[p + 2] = -foundShifts[q + 2];
    vectors[p] = 0 - foundVectors[q]; // unlike -x, never gives -0
    vectors[p + 1] = 0 - foundVectors[q + 1];
    vectors[p + 2] = 0 - foundVectors[q + 2];
  }
  return edge;
}

function keepNearest(list: NeighbourList, atoms: number, maxNeighbours: number, cutoff: number): NeighbourList {
  const { centres, distances } = list;
  const limit = Math.floor(maxNeighbours);
  const sameShell = SHELL_TOLERANCE * cutoff;
  const kept = new Int32Array(list.count);
  let count = 0;
  for (let i = 0, from = 0, to = 0; i < atoms; i++, from = to) {
    while (to < list.count && centres[to] === i) to++;
    if (to - from <= limit) {
      for (let edge = from; edge < to; edge++) kept[count++] = edge;
      continue;
    }
    const sorted = distances.slice(from, to).sort();
    let shellStart = limit - 1; // of the shell that holds the last place
    while (shellStart > 0 && sorted[shellStart] - sorted[shellStart - 1] <= sameShell) shellStart--;
    let shellEnd = limit;
    while (shellEnd < sorted.length && sorted[shellEnd] - sorted[shellEnd - 1] <= sameShell) shellEnd++;
    const nearest = sorted[shellStart];
    const farthest = sorted[shellEnd - 1];
    let places = limit - shellStart;
    for (let edge = from; edge < to; edge++) {
      const distance = distances[edge];
      if (distance < nearest || (distance <= farthest && places-- > 0)) kept[count++] = edge;
    }
  }
  return count === list.count ? list : pick(list, kept.subarray(0, count));
}

function pick(list: NeighbourList, edges: Int32Array): NeighbourList {
  const shifts = new Int32Array(3 * edges.length);
  const vectors = new Float64Array(3 * edges.length);
  edges.forEach((edge, k) => {
    for (let axis = 0; axis < 3; axis++) {
      shifts[3 * k + axis] = list.shifts[3 * edge + axis];
      vectors[3 * k + axis] = list.vectors[3 * edge + axis];
    }
  });
  return {
    count: edges.length,
    centres: edges.map((edge) => list.centres[edge]),
    neighbours: edges.map((edge) => list.neighbours[edge]),
    shifts,
    vectors,
    distances: Float64Array.from(edges, (edge) => list.distances[edge]),
  };
}
