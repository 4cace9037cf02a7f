import type { Structure } from './structure.js';

/** The part of a {@link Structure} that neighbours depend on. */
export type Geometry = Pick<Structure, 'lattice' | 'fractionalCoordinates'>;

/**
 * Bounds of the image search are widened by this relative amount, so that rounding in the triangular frame can never lose an
 * image; whether an image is an edge is decided on its own float64 vector alone.
 */
export const SEARCH_SLACK = 1e-9;

/**
 * Images found so far, in blocks of one pair of atoms each. All calls in a thread share the arrays, which only grow:
 * a structure of 10 atoms would otherwise spend more time allocating than searching.
 */
export const found = {
  /** [3 edges] */
  shifts: new Int32Array(3 * 4096),
  /** [3 edges] */
  vectors: new Float64Array(3 * 4096),
  /** [edges] */
  distances: new Float64Array(4096),
  /** [blocks] */
  blockCentre: new Int32Array(1024),
  /** [blocks] */
  blockNeighbour: new Int32Array(1024),
  /** [blocks + 1] first edge of each block. */
  blockStart: new Int32Array(1025),
};

function grown<T extends Int32Array | Float64Array>(array: T, length: number): T {
  const larger = new (array.constructor as new (length: number) => T)(Math.max(length, 2 * array.length));
  larger.set(array);
  return larger;
}

/**
 * Finds the images of one pair of atoms after another and appends them to {@link found}.
 *
 * The images of j around i are the integer points S of the ellipsoid |r_j - r_i + S·lattice| <= cutoff. They are enumerated
 * row by row in the triangular (LQ) frame of the cell, as Fincke and Pohst enumerate short lattice vectors: each row's
 * bounds are exact, so that hardly an image outside the sphere is visited whatever the shape of the cell.
 */
export class ImageSearch {
  readonly atoms: number;
  /** Edges and non-empty blocks found so far. */
  edges = 0;
  blocks = 0;
  /** Distances between lattice planes along a, b, c in Å. */
  readonly heights: [number, number, number];
  /** [3n] */
  private readonly fractional: Float64Array;
  private readonly cartesian: Float64Array;
  private readonly lattice: Float64Array;
  /** Lower triangle of the cell in the frame where c lies along x and b in the xy plane: a = (ac, ab, aa), b = (bc, bb, 0). */
  private readonly aa: number;
  private readonly ab: number;
  private readonly ac: number;
  private readonly bb: number;
  private readonly bc: number;
  private readonly cc: number;
  private readonly searchSquared: number;
  /** More images than any pair can have. */
  private readonly mostImages: number;

  /** @throws RangeError if the cell has no volume */
  constructor(
    structure: Geometry,
    private readonly cutoff: number,
  ) {
    const { lattice, fractionalCoordinates } = structure;
    this.lattice = lattice;
    this.fractional = fractionalCoordinates;
    this.atoms = fractionalCoordinates.length / 3;
    const [ax, ay, az, bx, by, bz, cx, cy, cz] = lattice;
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
    const most = (step: number) => Math.ceil((2 * cutoff) / step) + 2;
    this.mostImages = most(this.aa) * most(this.bb) * most(this.cc);

    const cartesian = new Float64Array(3 * this.atoms);
    for (let k = 0; k < cartesian.length; k += 3) {
      const fa = fractionalCoordinates[k];
      const fb = fractionalCoordinates[k + 1];
      const fc = fractionalCoordinates[k + 2];
      cartesian[k] = fa * ax + fb * bx + fc * cx;
      cartesian[k + 1] = fa * ay + fb * by + fc * cy;
      cartesian[k + 2] = fa * az + fb * bz + fc * cz;
    }
    this.cartesian = cartesian;
  }

  /** Appends the images of j around i, in ascending order of shift, as one block unless there are none. */
  append(i: number, j: number): void {
    const first = this.edges;
    if (first + this.mostImages > found.distances.length) {
      found.shifts = grown(found.shifts, 3 * (first + this.mostImages));
      found.vectors = grown(found.vectors, 3 * (first + this.mostImages));
      found.distances = grown(found.distances, first + this.mostImages);
    }
    const { shifts, vectors, distances } = found;
    const { fractional, cartesian, lattice, cutoff, searchSquared, aa, ab, ac, bb, bc, cc } = this;
    const da = fractional[3 * j] - fractional[3 * i];
    const db = fractional[3 * j + 1] - fractional[3 * i + 1];
    const dc = fractional[3 * j + 2] - fractional[3 * i + 2];
    const dx = cartesian[3 * j] - cartesian[3 * i];
    const dy = cartesian[3 * j + 1] - cartesian[3 * i + 1];
    const dz = cartesian[3 * j + 2] - cartesian[3 * i + 2];
    const cx = lattice[6];
    const cy = lattice[7];
    const cz = lattice[8];
    let edges = first;

    const reachA = Math.sqrt(searchSquared) / aa;
    const lastA = Math.floor(reachA - da);
    for (let sa = Math.ceil(-reachA - da); sa <= lastA; sa++) {
      const ua = da + sa;
      const left = searchSquared - ua * aa * (ua * aa);
      const reachB = Math.sqrt(left) / bb;
      const middleB = -(ua * ab) / bb - db;
      const lastB = Math.floor(middleB + reachB);
      for (let sb = Math.ceil(middleB - reachB); sb <= lastB; sb++) {
        const ub = db + sb;
        const y = ua * ab + ub * bb;
        const reachC = Math.sqrt(left - y * y) / cc;
        const middleC = -(ua * ac + ub * bc) / cc - dc;
        const lastC = Math.floor(middleC + reachC);
        const tx = sa * lattice[0] + sb * lattice[3];
        const ty = sa * lattice[1] + sb * lattice[4];
        const tz = sa * lattice[2] + sb * lattice[5];
        for (let sc = Math.ceil(middleC - reachC); sc <= lastC; sc++) {
          const vx = dx + (tx + sc * cx);
          const vy = dy + (ty + sc * cy);
          const vz = dz + (tz + sc * cz);
          const distance = Math.sqrt(vx * vx + vy * vy + vz * vz);
          if (distance <= cutoff && distance > 0) {
            const k = 3 * edges;
            shifts[k] = sa;
            shifts[k + 1] = sb;
            shifts[k + 2] = sc;
            vectors[k] = vx;
            vectors[k + 1] = vy;
            vectors[k + 2] = vz;
            distances[edges++] = distance;
          }
        }
      }
    }
    if (edges > first) this.closeBlock(i, j, edges);
  }

  private closeBlock(i: number, j: number, edges: number): void {
    const block = this.blocks++;
    if (block === found.blockCentre.length) {
      found.blockCentre = grown(found.blockCentre, block + 1);
      found.blockNeighbour = grown(found.blockNeighbour, block + 1);
      found.blockStart = grown(found.blockStart, found.blockCentre.length + 1);
    }
    found.blockCentre[block] = i;
    found.blockNeighbour[block] = j;
    found.blockStart[block] = this.edges;
    found.blockStart[block + 1] = edges;
    this.edges = edges;
  }
}
