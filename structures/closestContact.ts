/** The two nearest atoms of a crystal, periodic images included; `i === j` when an atom is near its own image. */
export interface Contact {
  i: number;
  j: number;
  /** Å. */
  distance: number;
}

/** Distances in Å below which atoms are too near. */
export interface ContactLimits {
  /** The largest of all. */
  most: number;
  /** That of two atoms, by their indices. */
  between: (i: number, j: number) => number;
}

/**
 * Closest pair of atoms below a distance, under all periodic images, exact for any cell shape.
 *
 * Works in a Minkowski-reduced basis: its planes lie at least |b_k| / √2 apart, so that with no lattice vector below the
 * threshold at most three images an axis can be in reach, however oblique the cell was. Atoms are swept along the axis with the
 * widest planes, so that only those within reach along it are looked at.
 *
 * @param lattice [9] row-major lattice vectors in Å, not singular
 * @param fractional [3 n_atoms] finite fractional coordinates in that lattice
 * @param limits one distance in Å for all, or one for each pair
 * @returns the closest of the pairs nearer than their limit, or undefined when there is none
 */
export function closestContact(
  lattice: ArrayLike<number>,
  fractional: ArrayLike<number>,
  limits: number | ContactLimits,
): Contact | undefined {
  const { most, between } = typeof limits === 'number' ? { most: limits, between: () => limits } : limits;
  const n = fractional.length / 3;
  const basis = minkowskiReduced(lattice);
  // In a Minkowski-reduced basis the shortest lattice vector is one of the basis vectors.
  const shortest = Math.min(Math.hypot(...basis[0]), Math.hypot(...basis[1]), Math.hypot(...basis[2]));
  let best: Contact | undefined;
  for (let i = 0; i < n && !best; i++) if (shortest < between(i, i)) best = { i, j: i, distance: shortest };
  if (shortest === 0) return best;

  const reciprocal = reciprocalVectors(basis);
  // |r · b*_k| <= |r| |b*_k| bounds each fractional component of a vector shorter than the limit.
  const reach = reciprocal.map((v) => most * Math.hypot(...v) + 1e-9) as Triple;
  const reduced = reducedCoordinates(lattice, fractional, reciprocal);
  const axis = reach.indexOf(Math.min(...reach));
  // Of few atoms all pairs are looked at sooner than they are sorted.
  const order = n > FEW_ATOMS ? sortedAlong(reduced, axis) : undefined;
  for (let first = 0; first < n; first++) {
    const i = order ? order[first] : first;
    const last = order ? n : n - first;
    for (let step = 1; step < last; step++) {
      const next = first + step;
      const j = order ? order[next < n ? next : next - n] : next;
      // An atom is met once from each side where the reach is half the cell and more.
      if (order && reduced[3 * j + axis] + (next < n ? 0 : 1) - reduced[3 * i + axis] > reach[axis]) break;
      const u = wrap(reduced[3 * j] - reduced[3 * i]);
      if (Math.abs(u) > reach[0]) continue;
      const v = wrap(reduced[3 * j + 1] - reduced[3 * i + 1]);
      if (Math.abs(v) > reach[1]) continue;
      const w = wrap(reduced[3 * j + 2] - reduced[3 * i + 2]);
      if (Math.abs(w) > reach[2]) continue;
      const limit = Math.min(between(i, j), best?.distance ?? Infinity);
      for (let a = Math.ceil(-reach[0] - u); a <= reach[0] - u; a++) {
        for (let b = Math.ceil(-reach[1] - v); b <= reach[1] - v; b++) {
          for (let c = Math.ceil(-reach[2] - w); c <= reach[2] - w; c++) {
            const distance = Math.hypot(...combine(basis, u + a, v + b, w + c));
            if (distance < Math.min(limit, best?.distance ?? Infinity))
              best = { i: Math.min(i, j), j: Math.max(i, j), distance };
          }
        }
      }
    }
  }
  return best;
}

const FEW_ATOMS = 24;

/** [3 n] coordinates in the reduced basis, in [0, 1). */
function reducedCoordinates(lattice: ArrayLike<number>, fractional: ArrayLike<number>, [a, b, c]: Basis): Float64Array {
  // Row k holds what a fractional step along k of the lattice is along each axis of the basis.
  const steps = new Float64Array(9);
  for (let row = 0; row < 9; row += 3) {
    const vector: Triple = [lattice[row], lattice[row + 1], lattice[row + 2]];
    steps.set([dot(vector, a), dot(vector, b), dot(vector, c)], row);
  }
  const reduced = new Float64Array(fractional.length);
  for (let i = 0; i < reduced.length; i += 3) {
    for (let k = 0; k < 3; k++) {
      const x = fractional[i] * steps[k] + fractional[i + 1] * steps[3 + k] + fractional[i + 2] * steps[6 + k];
      reduced[i + k] = x - Math.floor(x);
    }
  }
  return reduced;
}

/** Indices in the order of a coordinate. Numbers alone sort many times faster than by a comparison, so each carries its index. */
function sortedAlong(coordinates: Float64Array, axis: number): Uint32Array {
  const n = coordinates.length / 3;
  const indexSpan = 2 ** Math.ceil(Math.log2(n + 1));
  const resolution = 2 ** 52 / indexSpan;
  const keys = new Float64Array(n);
  for (let i = 0; i < n; i++)
    keys[i] = Math.min(resolution - 1, Math.floor(coordinates[3 * i + axis] * resolution)) * indexSpan + i;
  return Uint32Array.from(keys.sort(), (key) => key % indexSpan);
}

type Triple = [number, number, number];
type Basis = [Triple, Triple, Triple];

/** To [-1/2, 1/2]: the nearest image comes first, so that most pairs are dismissed by one comparison an axis. */
function wrap(x: number): number {
  return x - Math.round(x);
}

function dot(a: Triple, b: Triple): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

function combine(basis: Basis, u: number, v: number, w: number): Triple {
  return [0, 1, 2].map((x) => u * basis[0][x] + v * basis[1][x] + w * basis[2][x]) as Triple;
}

function reciprocalVectors([a, b, c]: Basis): Basis {
  const bc = cross(b, c);
  const volume = dot(a, bc);
  return [bc, cross(c, a), cross(a, b)].map((v) => v.map((x) => x / volume)) as Basis;
}

function cross(a: Triple, b: Triple): Triple {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

/**
 * Minkowski-reduced basis of a lattice: no vector can be shortened by adding or subtracting others. In three dimensions
 * coefficients -1, 0, 1 suffice to test that (Nguyen & Stehlé, "Low-dimensional lattice basis reduction revisited").
 */
function minkowskiReduced(lattice: ArrayLike<number>): Basis {
  const basis = [0, 3, 6].map((row) => [lattice[row], lattice[row + 1], lattice[row + 2]]) as Basis;
  for (let shortened = true; shortened;) {
    shortened = false;
    basis.sort((a, b) => dot(a, a) - dot(b, b));
    for (const [target, by] of [
      [1, 0],
      [2, 0],
      [2, 1],
    ] as const) {
      const factor = Math.round(dot(basis[target], basis[by]) / dot(basis[by], basis[by]));
      if (factor !== 0 && Number.isFinite(factor)) {
        shortened = replaceIfShorter(basis, target, subtract(basis[target], basis[by], factor)) || shortened;
      }
    }
    for (const [s, t] of [
      [1, 1],
      [1, -1],
      [-1, 1],
      [-1, -1],
    ] as const) {
      shortened = replaceIfShorter(basis, 2, combine(basis, s, t, 1)) || shortened;
    }
  }
  return basis;
}

function subtract(a: Triple, b: Triple, factor: number): Triple {
  return [a[0] - factor * b[0], a[1] - factor * b[1], a[2] - factor * b[2]];
}

/** The relative margin keeps rounding from swapping equally long vectors for ever. */
function replaceIfShorter(basis: Basis, index: 0 | 1 | 2, candidate: Triple): boolean {
  if (!(dot(candidate, candidate) < dot(basis[index], basis[index]) * (1 - 1e-10))) return false;
  basis[index] = candidate;
  return true;
}
