/** The two nearest atoms of a crystal, periodic images included; `i === j` when an atom is near its own image. */
export interface Contact {
  i: number;
  j: number;
  /** Å. */
  distance: number;
}

/**
 * Closest pair of atoms below a distance, under all periodic images, exact for any cell shape.
 *
 * Works in a Minkowski-reduced basis: its planes lie at least |b_k| / √2 apart, so that with no lattice vector below the
 * threshold at most three images an axis can be in reach, however oblique the cell was.
 *
 * @param lattice [9] row-major lattice vectors in Å, not singular
 * @param fractional [3 n_atoms] fractional coordinates in that lattice
 * @param threshold Å
 * @returns the closest pair nearer than the threshold, or undefined when there is none
 */
export function closestContact(
  lattice: ArrayLike<number>,
  fractional: ArrayLike<number>,
  threshold: number,
): Contact | undefined {
  const n = fractional.length / 3;
  const basis = minkowskiReduced(lattice);
  let best: Contact | undefined;
  let limit = threshold;
  if (n > 0) {
    // In a Minkowski-reduced basis the shortest lattice vector is one of the basis vectors.
    const shortest = Math.min(Math.hypot(...basis[0]), Math.hypot(...basis[1]), Math.hypot(...basis[2]));
    if (shortest < limit) best = { i: 0, j: 0, distance: (limit = shortest) };
    if (shortest === 0) return best;
  }

  const reciprocal = reciprocalVectors(basis);
  // |r · b*_k| <= |r| |b*_k| bounds each fractional component of a vector shorter than the threshold.
  const reach = reciprocal.map((v) => limit * Math.hypot(...v)) as Triple;
  const reduced = new Float64Array(3 * n);
  for (let i = 0; i < n; i++) {
    const position: Triple = [0, 0, 0];
    for (let axis = 0; axis < 3; axis++) {
      for (let k = 0; k < 3; k++) position[axis] += fractional[3 * i + k] * lattice[3 * k + axis];
    }
    for (let k = 0; k < 3; k++) reduced[3 * i + k] = dot(position, reciprocal[k]);
  }

  for (let i = 0; i < n; i++) {
    for (let j = i + 1; j < n; j++) {
      const u = wrap(reduced[3 * j] - reduced[3 * i]);
      if (Math.abs(u) > reach[0]) continue;
      const v = wrap(reduced[3 * j + 1] - reduced[3 * i + 1]);
      if (Math.abs(v) > reach[1]) continue;
      const w = wrap(reduced[3 * j + 2] - reduced[3 * i + 2]);
      if (Math.abs(w) > reach[2]) continue;
      for (let a = Math.ceil(-reach[0] - u); a <= reach[0] - u; a++) {
        for (let b = Math.ceil(-reach[1] - v); b <= reach[1] - v; b++) {
          for (let c = Math.ceil(-reach[2] - w); c <= reach[2] - w; c++) {
            const distance = Math.hypot(...combine(basis, u + a, v + b, w + c));
            if (distance < limit) best = { i, j, distance: (limit = distance) };
          }
        }
      }
    }
  }
  return best;
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
