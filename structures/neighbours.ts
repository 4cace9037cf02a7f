import type { Structure } from './structure.js';

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

/** The part of a {@link Structure} that neighbours depend on. */
export type Geometry = Pick<Structure, 'lattice' | 'fractionalCoordinates'>;

/**
 * Distances closer than this, relative to the cutoff, belong to one shell: 1e-6 of 6 Å is 6e-6 Å, well above the noise of
 * rotated or re-read coordinates (CIF files carry 6 to 8 decimals) and well below any real splitting of a shell.
 */
const SHELL_TOLERANCE = 1e-6;

/**
 * Bounds of the image search are widened by this relative amount, so that rounding in the triangular frame can never lose an
 * image; whether an image is an edge is decided on its own float64 vector alone.
 */
const SEARCH_SLACK = 1e-9;

/** Bins are at least cutoff / BIN_REACH wide, so a neighbour lies at most BIN_REACH bins away along each axis. */
const BIN_REACH = 2;

/**
 * All neighbours within a cutoff under full periodic boundary conditions, for any cell: skewed, thin, smaller than the
 * cutoff, a single atom. Images of an atom are neighbours of it; coincident atoms (distance 0) are not.
 *
 * The test is `distance <= cutoff` on the float64 distance. ASE's `primitive_neighbor_list` and matscipy test `<`, so
 * an image at exactly the cutoff (a = 5 Å, cutoff 5 Å) is an edge here and not there; otherwise the edges are the same.
 *
 * Method: for each pair i <= j the integer points of the ellipsoid |r_j - r_i + S·lattice| <= cutoff are enumerated row by
 * row in the triangular (LQ) frame of the cell, as Fincke and Pohst enumerate short lattice vectors: each row's bounds are
 * exact, so no image outside the sphere is visited whatever the cell's shape. In large cells bins select the pairs.
 * The reverse edges are mirrored. Costs O(edges + pairs visited).
 * @param structure lattice [9] row-major in Å and fractional coordinates [3n]; wrapped coordinates give the shifts the reader
 *   expects, others are handled as they are
 * @param cutoffAngstrom positive, finite
 * @param maxNeighbours keep at most this many edges per centre, the nearest ones. Distances that form a chain with gaps of at
 *   most 1e-6 of the cutoff are one shell; of the shell that the limit cuts through, the edges first in (neighbour, shift)
 *   order stay. The rule does not depend on rotation or on float noise, but on atom order and choice of cell, as any rule
 *   must that splits equivalent atoms; packages that split by k-d tree order (orb-models) agree on all other edges. After
 *   truncation an edge may lack its reverse.
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
  const search = new PairSearch(structure, cutoffAngstrom);
  searchPairs(search, structure.fractionalCoordinates, cutoffAngstrom);
  const list = assemble(search);
  return maxNeighbours < Number.POSITIVE_INFINITY
    ? keepNearest(list, search.atoms, maxNeighbours, cutoffAngstrom)
    : list;
}

/**
 * Half of the edges as found: blocks of images, one block per pair, shared by all calls in a thread. The arrays only grow;
 * a structure of 10 atoms would otherwise spend more time allocating than searching.
 */
const half = {
  shifts: new Int32Array(3 * 4096),
  vectors: new Float64Array(3 * 4096),
  distances: new Float64Array(4096),
  blockCentre: new Int32Array(1024),
  blockNeighbour: new Int32Array(1024),
  /** [blocks + 1] first edge of each block. */
  blockStart: new Int32Array(1025),
};

function grown<T extends Int32Array | Float64Array>(array: T, length: number): T {
  const larger = new (array.constructor as new (length: number) => T)(Math.max(length, 2 * array.length));
  larger.set(array);
  return larger;
}

/** Finds the images of one pair after another and appends them to {@link half}. */
class PairSearch {
  readonly atoms: number;
  /** Edges and non-empty blocks found so far. */
  edges = 0;
  blocks = 0;
  /** Distances between lattice planes along a, b, c in Å. */
  readonly heights: [number, number, number];
  private readonly cartesian: Float64Array;
  private readonly fractional: Float64Array;
  private readonly lattice: Float64Array;
  /** Lower triangle of the cell in the frame where c lies along x and b in the xy plane. */
  private readonly aa: number;
  private readonly ab: number;
  private readonly ac: number;
  private readonly bb: number;
  private readonly bc: number;
  private readonly cc: number;
  private readonly searchSquared: number;

  constructor(
    structure: Geometry,
    private readonly cutoff: number,
  ) {
    const { lattice, fractionalCoordinates } = structure;
    this.lattice = lattice;
    this.fractional = fractionalCoordinates;
    this.atoms = fractionalCoordinates.length / 3;
    const [ax, ay, az, bx, by, bz, cx, cy, cz] = lattice as unknown as NineNumbers;
    const bcArea = Math.hypot(by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx);
    const caArea = Math.hypot(cy * az - cz * ay, cz * ax - cx * az, cx * ay - cy * ax);
    const abArea = Math.hypot(ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx);
    const volume = Math.abs(ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx));
    if (!(volume > 0 && volume < Number.POSITIVE_INFINITY)) {
      throw new RangeError(`structures/neighbours: the cell's volume is ${volume} Å^3; it must be positive and finite`);
    }
    this.heights = [volume / bcArea, volume / caArea, volume / abArea];
    this.cc = Math.hypot(cx, cy, cz);
    this.bb = bcArea / this.cc;
    this.aa = volume / bcArea;
    this.bc = (bx * cx + by * cy + bz * cz) / this.cc;
    this.ac = (ax * cx + ay * cy + az * cz) / this.cc;
    this.ab = (ax * bx + ay * by + az * bz - this.ac * this.bc) / this.bb;
    this.searchSquared = cutoff * cutoff * (1 + SEARCH_SLACK);

    const n = this.atoms;
    const cartesian = new Float64Array(3 * n);
    for (let k = 0; k < 3 * n; k += 3) {
      const fa = fractionalCoordinates[k]!;
      const fb = fractionalCoordinates[k + 1]!;
      const fc = fractionalCoordinates[k + 2]!;
      cartesian[k] = fa * ax + fb * bx + fc * cx;
      cartesian[k + 1] = fa * ay + fb * by + fc * cy;
      cartesian[k + 2] = fa * az + fb * bz + fc * cz;
    }
    this.cartesian = cartesian;
  }

  /** Appends the images of j around i, in ascending order of shift, as one block unless there are none. */
  append(i: number, j: number): void {
    const { fractional, cartesian, lattice, cutoff, aa, ab, ac, bb, bc, cc } = this;
    const da = fractional[3 * j]! - fractional[3 * i]!;
    const db = fractional[3 * j + 1]! - fractional[3 * i + 1]!;
    const dc = fractional[3 * j + 2]! - fractional[3 * i + 2]!;
    const dx = cartesian[3 * j]! - cartesian[3 * i]!;
    const dy = cartesian[3 * j + 1]! - cartesian[3 * i + 1]!;
    const dz = cartesian[3 * j + 2]! - cartesian[3 * i + 2]!;
    const cx = lattice[6]!;
    const cy = lattice[7]!;
    const cz = lattice[8]!;
    const first = this.edges;
    let edges = first;

    const reachA = Math.sqrt(this.searchSquared) / aa;
    const lastA = Math.floor(reachA - da);
    for (let sa = Math.ceil(-reachA - da); sa <= lastA; sa++) {
      const ua = da + sa;
      const z = ua * aa;
      const left = this.searchSquared - z * z;
      const reachB = Math.sqrt(left) / bb;
      const middleB = -(ua * ab) / bb - db;
      const lastB = Math.floor(middleB + reachB);
      for (let sb = Math.ceil(middleB - reachB); sb <= lastB; sb++) {
        const ub = db + sb;
        const y = ua * ab + ub * bb;
        const reachC = Math.sqrt(left - y * y) / cc;
        const middleC = -(ua * ac + ub * bc) / cc - dc;
        const lastC = Math.floor(middleC + reachC);
        let sc = Math.ceil(middleC - reachC);
        if (!(sc <= lastC)) continue;
        const needed = edges + lastC - sc + 1;
        if (needed > half.distances.length) {
          half.shifts = grown(half.shifts, 3 * needed);
          half.vectors = grown(half.vectors, 3 * needed);
          half.distances = grown(half.distances, needed);
        }
        const { shifts, vectors, distances } = half;
        const tx = sa * lattice[0]! + sb * lattice[3]!;
        const ty = sa * lattice[1]! + sb * lattice[4]!;
        const tz = sa * lattice[2]! + sb * lattice[5]!;
        for (; sc <= lastC; sc++) {
          const vx = dx + (tx + sc * cx);
          const vy = dy + (ty + sc * cy);
          const vz = dz + (tz + sc * cz);
          const distance = Math.sqrt(vx * vx + vy * vy + vz * vz);
          if (distance <= cutoff && distance > 0) {
            shifts[3 * edges] = sa;
            shifts[3 * edges + 1] = sb;
            shifts[3 * edges + 2] = sc;
            vectors[3 * edges] = vx;
            vectors[3 * edges + 1] = vy;
            vectors[3 * edges + 2] = vz;
            distances[edges] = distance;
            edges++;
          }
        }
      }
    }
    if (edges === first) return;
    this.edges = edges;
    const block = this.blocks++;
    if (block === half.blockCentre.length) {
      half.blockCentre = grown(half.blockCentre, block + 1);
      half.blockNeighbour = grown(half.blockNeighbour, block + 1);
      half.blockStart = grown(half.blockStart, half.blockCentre.length + 1);
    }
    half.blockCentre[block] = i;
    half.blockNeighbour[block] = j;
    half.blockStart[block] = first;
    half.blockStart[block + 1] = edges;
  }
}

type NineNumbers = [number, number, number, number, number, number, number, number, number];

/** Block 0 (if atom 0 has images within reach) is the self-images, equal for all atoms; then pairs i < j, i ascending. */
function searchPairs(search: PairSearch, fractional: Float64Array, cutoff: number): void {
  const n = search.atoms;
  if (n === 0) return;
  search.append(0, 0);
  const counts = search.heights.map((height) =>
    Math.min(1024, Math.max(1, Math.floor((BIN_REACH * height) / (cutoff * (1 + SEARCH_SLACK))))),
  ) as [number, number, number];
  const selective = counts.some((count) => count > 2 * BIN_REACH + 1);
  if (!selective) {
    for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) search.append(i, j);
    return;
  }
  const bins = new Bins(fractional, counts);
  for (let i = 0; i < n; i++) bins.forEachAround(i, (j) => j > i && search.append(i, j));
}

/** Atoms sorted into bins of equal fractional size. */
class Bins {
  /** [3n] bin of each atom along each axis. */
  private readonly binOf: Int32Array;
  /** Atoms grouped by bin, and where each bin starts. */
  private readonly members: Int32Array;
  private readonly start: Int32Array;

  constructor(
    fractional: Float64Array,
    private readonly counts: [number, number, number],
  ) {
    const n = fractional.length / 3;
    this.binOf = new Int32Array(3 * n);
    this.start = new Int32Array(counts[0] * counts[1] * counts[2] + 1);
    for (let i = 0; i < n; i++) {
      for (let axis = 0; axis < 3; axis++) {
        const f = fractional[3 * i + axis]!;
        this.binOf[3 * i + axis] = Math.min(counts[axis]! - 1, Math.floor((f - Math.floor(f)) * counts[axis]!));
      }
      this.start[this.flat(i) + 1]!++;
    }
    for (let bin = 1; bin < this.start.length; bin++) this.start[bin]! += this.start[bin - 1]!;
    const next = this.start.slice();
    this.members = new Int32Array(n);
    for (let i = 0; i < n; i++) this.members[next[this.flat(i)]!++] = i;
  }

  /** Visits every atom whose bin is within reach of atom i's bin, each once. */
  forEachAround(i: number, visit: (j: number) => void): void {
    const { counts, binOf, start, members } = this;
    const from = [0, 0, 0];
    const size = [0, 0, 0];
    for (let axis = 0; axis < 3; axis++) {
      size[axis] = Math.min(counts[axis]!, 2 * BIN_REACH + 1);
      from[axis] = size[axis]! < counts[axis]! ? binOf[3 * i + axis]! - BIN_REACH + counts[axis]! : 0;
    }
    for (let a = 0; a < size[0]!; a++) {
      const rowA = ((from[0]! + a) % counts[0]) * counts[1];
      for (let b = 0; b < size[1]!; b++) {
        const rowB = (rowA + ((from[1]! + b) % counts[1])) * counts[2];
        for (let c = 0; c < size[2]!; c++) {
          const bin = rowB + ((from[2]! + c) % counts[2]);
          for (let k = start[bin]!; k < start[bin + 1]!; k++) visit(members[k]!);
        }
      }
    }
  }

  private flat(i: number): number {
    const { binOf, counts } = this;
    return (binOf[3 * i]! * counts[1] + binOf[3 * i + 1]!) * counts[2] + binOf[3 * i + 2]!;
  }
}

/** Full sorted list from the half list: for each centre its mirrored blocks (j < i), its self-images, its own blocks. */
function assemble(search: PairSearch): NeighbourList {
  const n = search.atoms;
  const { blockCentre, blockNeighbour, blockStart } = half;
  const selfBlocks = search.blocks > 0 && blockNeighbour[0] === 0 ? 1 : 0;
  const selfImages = selfBlocks === 1 ? blockStart[1]! : 0;
  const pairBlocks = search.blocks - selfBlocks;

  // Two stable bucket passes. Blocks come with ascending centre, so bucketing by neighbour leaves each bucket sorted by
  // centre (the mirrored half, in order); bucketing that order by centre leaves each bucket sorted by neighbour.
  const mirroredEnd = new Int32Array(n + 1);
  const ownEnd = new Int32Array(n + 1);
  for (let block = selfBlocks; block < search.blocks; block++) {
    mirroredEnd[blockNeighbour[block]! + 1]!++;
    ownEnd[blockCentre[block]! + 1]!++;
  }
  for (let i = 0; i < n; i++) {
    mirroredEnd[i + 1]! += mirroredEnd[i]!;
    ownEnd[i + 1]! += ownEnd[i]!;
  }
  const mirrored = new Int32Array(pairBlocks);
  const own = new Int32Array(pairBlocks);
  for (let block = selfBlocks; block < search.blocks; block++) {
    mirrored[mirroredEnd[blockNeighbour[block]!]!++] = block;
  }
  for (let k = 0; k < pairBlocks; k++) {
    const block = mirrored[k]!;
    own[ownEnd[blockCentre[block]!]!++] = block;
  }

  const count = 2 * (search.edges - selfImages) + n * selfImages;
  const centres = new Int32Array(count);
  const neighbours = new Int32Array(count);
  const shifts = new Int32Array(3 * count);
  const vectors = new Float64Array(3 * count);
  const distances = new Float64Array(count);
  let edge = 0;
  const copy = (from: number, to: number, neighbour: number): void => {
    const source = half;
    for (let k = from; k < to; k++, edge++) {
      neighbours[edge] = neighbour;
      distances[edge] = source.distances[k]!;
      for (let axis = 0; axis < 3; axis++) {
        shifts[3 * edge + axis] = source.shifts[3 * k + axis]!;
        vectors[3 * edge + axis] = source.vectors[3 * k + axis]!;
      }
    }
  };
  const copyMirrored = (from: number, to: number, neighbour: number): void => {
    const source = half;
    for (let k = to - 1; k >= from; k--, edge++) {
      neighbours[edge] = neighbour;
      distances[edge] = source.distances[k]!;
      for (let axis = 0; axis < 3; axis++) {
        shifts[3 * edge + axis] = -source.shifts[3 * k + axis]!;
        vectors[3 * edge + axis] = 0 - source.vectors[3 * k + axis]!; // 0 - 0 is +0, and so a vector has no -0
      }
    }
  };
  for (let i = 0, m = 0, o = 0; i < n; i++) {
    const begin = edge;
    for (; m < mirroredEnd[i]!; m++) {
      const block = mirrored[m]!;
      copyMirrored(blockStart[block]!, blockStart[block + 1]!, blockCentre[block]!);
    }
    copy(0, selfImages, i);
    for (; o < ownEnd[i]!; o++) copy(blockStart[own[o]!]!, blockStart[own[o]! + 1]!, blockNeighbour[own[o]!]!);
    centres.fill(i, begin, edge);
  }
  return { count, centres, neighbours, shifts, vectors, distances };
}

function keepNearest(list: NeighbourList, atoms: number, maxNeighbours: number, cutoff: number): NeighbourList {
  const { centres, distances } = list;
  const kept = new Int32Array(list.count);
  let count = 0;
  for (let i = 0, from = 0, to = 0; i < atoms; i++, from = to) {
    while (to < list.count && centres[to] === i) to++;
    if (to - from <= maxNeighbours) {
      for (let edge = from; edge < to; edge++) kept[count++] = edge;
      continue;
    }
    const sorted = distances.slice(from, to).sort();
    const limit = Math.floor(maxNeighbours);
    let shellStart = limit - 1; // of the shell that holds the last place
    while (shellStart > 0 && sorted[shellStart]! - sorted[shellStart - 1]! <= SHELL_TOLERANCE * cutoff) shellStart--;
    let shellEnd = limit;
    while (shellEnd < sorted.length && sorted[shellEnd]! - sorted[shellEnd - 1]! <= SHELL_TOLERANCE * cutoff)
      shellEnd++;
    const nearest = sorted[shellStart]!;
    const farthest = sorted[shellEnd - 1]!;
    let places = limit - shellStart;
    for (let edge = from; edge < to; edge++) {
      const distance = distances[edge]!;
      if (distance < nearest || (distance <= farthest && places-- > 0)) kept[count++] = edge;
    }
  }
  if (count === list.count) return list;
  const pick = kept.subarray(0, count);
  const triples = <T extends Int32Array | Float64Array>(source: T, target: T): T => {
    pick.forEach((edge, k) => target.set(source.subarray(3 * edge, 3 * edge + 3), 3 * k));
    return target;
  };
  return {
    count,
    centres: pick.map((edge) => centres[edge]!),
    neighbours: pick.map((edge) => list.neighbours[edge]!),
    shifts: triples(list.shifts, new Int32Array(3 * count)),
    vectors: triples(list.vectors, new Float64Array(3 * count)),
    distances: Float64Array.from(pick, (edge) => distances[edge]!),
  };
}
