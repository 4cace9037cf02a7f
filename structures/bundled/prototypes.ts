/** A crystal structure type: how to place atoms given the elements and a few lengths. */
export interface Prototype {
  /** International space-group number. */
  spaceGroup: number;
  /** Atoms of each species in the formula unit; gives the order of elements and the formula. */
  formula: readonly number[];
  /** What the numbers of a row mean: `a`, `c` in Å, internal coordinates as fractions. */
  parameters: readonly string[];
  /** Primitive cell: lattice [9] row-major in Å and sites as [species, x, y, z] with fractional coordinates. */
  build(...parameters: number[]): { lattice: number[]; sites: Site[] };
}

type Site = [species: number, x: number, y: number, z: number];
type Centring = 'P' | 'F' | 'I' | 'R';

/** Conventional lattice vectors in terms of the primitive ones; R in hexagonal axes, obverse. */
const CONVENTIONAL_IN_PRIMITIVE: Record<Centring, number[][]> = {
  P: [[1, 0, 0], [0, 1, 0], [0, 0, 1]], // prettier-ignore
  F: [[-1, 1, 1], [1, -1, 1], [1, 1, -1]], // prettier-ignore
  I: [[0, 1, 1], [1, 0, 1], [1, 1, 0]], // prettier-ignore
  R: [[1, -1, 0], [0, 1, -1], [1, 1, 1]], // prettier-ignore
};

/** Primitive lattice vectors in terms of the conventional ones. */
const PRIMITIVE_IN_CONVENTIONAL: Record<Centring, number[][]> = {
  P: [[1, 0, 0], [0, 1, 0], [0, 0, 1]], // prettier-ignore
  F: [[0, 1 / 2, 1 / 2], [1 / 2, 0, 1 / 2], [1 / 2, 1 / 2, 0]], // prettier-ignore
  I: [[-1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [1 / 2, 1 / 2, -1 / 2]], // prettier-ignore
  R: [[2 / 3, 1 / 3, 1 / 3], [-1 / 3, 1 / 3, 1 / 3], [-1 / 3, -2 / 3, 1 / 3]], // prettier-ignore
};

function product(left: readonly number[][], right: readonly number[][]): number[][] {
  return left.map((row) => [0, 1, 2].map((column) => row.reduce((sum, x, k) => sum + x * right[k][column], 0)));
}

/** Sites are given once per primitive cell, in conventional coordinates. */
function primitive(centring: Centring, conventional: number[][], sites: Site[]) {
  return {
    lattice: product(PRIMITIVE_IN_CONVENTIONAL[centring], conventional).flat(),
    sites: sites.map(([species, ...at]): Site => {
      const [[x, y, z]] = product([at], CONVENTIONAL_IN_PRIMITIVE[centring]);
      return [species, x, y, z];
    }),
  };
}

const cubic = (a: number) => [[a, 0, 0], [0, a, 0], [0, 0, a]]; // prettier-ignore
const tetragonal = (a: number, c: number) => [[a, 0, 0], [0, a, 0], [0, 0, c]]; // prettier-ignore
const hexagonal = (a: number, c: number) => [[a, 0, 0], [-a / 2, (a * Math.sqrt(3)) / 2, 0], [0, 0, c]]; // prettier-ignore

/** A cubic type without internal coordinates. */
function rigidCubic(spaceGroup: number, formula: number[], centring: Centring, sites: Site[]): Prototype {
  return { spaceGroup, formula, parameters: ['a'], build: (a) => primitive(centring, cubic(a), sites) };
}

/** A hexagonal type (primitive, or rhombohedral in hexagonal axes) with the given internal coordinates. */
function hexagonalType(
  spaceGroup: number,
  formula: number[],
  internal: string[],
  sites: (...internal: number[]) => Site[],
  centring: 'P' | 'R' = 'P',
): Prototype {
  return {
    spaceGroup,
    formula,
    parameters: ['a', 'c', ...internal],
    build: (a, c, ...rest) => primitive(centring, hexagonal(a, c), sites(...rest)),
  };
}

/** A tetragonal type with the given internal coordinates. */
function tetragonalType(
  spaceGroup: number,
  formula: number[],
  internal: string[],
  sites: (...internal: number[]) => Site[],
  centring: 'P' | 'I' = 'P',
): Prototype {
  return {
    spaceGroup,
    formula,
    parameters: ['a', 'c', ...internal],
    build: (a, c, ...rest) => primitive(centring, tetragonal(a, c), sites(...rest)),
  };
}

/** A cubic type with one internal coordinate. */
function cubicType(
  spaceGroup: number,
  formula: number[],
  internal: string,
  centring: Centring,
  sites: (u: number) => Site[],
): Prototype {
  return { spaceGroup, formula, parameters: ['a', internal], build: (a, u) => primitive(centring, cubic(a), sites(u)) };
}

/** The three cyclic permutations of a position, for sites on equivalent axes. */
function cyclic(species: number, x: number, y: number, z: number): Site[] {
  return [[species, x, y, z], [species, z, x, y], [species, y, z, x]]; // prettier-ignore
}

const A = 0;
const B = 1;
const C = 2;

/**
 * Structure types by name. Positions: International Tables, vol. A; the Strukturbericht symbol, where there is one, stands
 * beside each.
 */
export const PROTOTYPES = {
  fcc: rigidCubic(225, [1], 'F', [[A, 0, 0, 0]]), // A1
  bcc: rigidCubic(229, [1], 'I', [[A, 0, 0, 0]]), // A2
  'simple-cubic': rigidCubic(221, [1], 'P', [[A, 0, 0, 0]]), // A_h
  // prettier-ignore
  diamond: rigidCubic(227, [1], 'F', [[A, 0, 0, 0], [A, 1 / 4, 1 / 4, 1 / 4]]), // A4
  // prettier-ignore
  hcp: hexagonalType(194, [1], [], () => [[A, 1 / 3, 2 / 3, 1 / 4], [A, 2 / 3, 1 / 3, 3 / 4]]), // A3
  // prettier-ignore
  dhcp: hexagonalType(194, [1], [], () => [
    [A, 0, 0, 0], [A, 0, 0, 1 / 2], [A, 1 / 3, 2 / 3, 1 / 4], [A, 2 / 3, 1 / 3, 3 / 4],
  ]), // A3'
  // prettier-ignore
  graphite: hexagonalType(194, [1], [], () => [
    [A, 0, 0, 1 / 4], [A, 0, 0, 3 / 4], [A, 1 / 3, 2 / 3, 1 / 4], [A, 2 / 3, 1 / 3, 3 / 4],
  ]), // A9
  // prettier-ignore
  arsenic: hexagonalType(166, [1], ['z'], (z) => [[A, 0, 0, z], [A, 0, 0, -z]], 'R'), // A7
  // prettier-ignore
  selenium: hexagonalType(152, [1], ['x'], (x) => [[A, x, 0, 1 / 3], [A, 0, x, 2 / 3], [A, -x, -x, 0]]), // A8
  // prettier-ignore
  'white-tin': tetragonalType(141, [1], [], () => [[A, 0, 0, 0], [A, 0, 1 / 2, 1 / 4]], 'I'), // A5
  indium: tetragonalType(139, [1], [], () => [[A, 0, 0, 0]], 'I'), // A6

  // prettier-ignore
  rocksalt: rigidCubic(225, [1, 1], 'F', [[A, 0, 0, 0], [B, 1 / 2, 1 / 2, 1 / 2]]), // B1
  // prettier-ignore
  'caesium-chloride': rigidCubic(221, [1, 1], 'P', [[A, 0, 0, 0], [B, 1 / 2, 1 / 2, 1 / 2]]), // B2
  // prettier-ignore
  'zinc-blende': rigidCubic(216, [1, 1], 'F', [[A, 0, 0, 0], [B, 1 / 4, 1 / 4, 1 / 4]]), // B3
  // prettier-ignore
  wurtzite: hexagonalType(186, [1, 1], ['u'], (u) => [
    [A, 1 / 3, 2 / 3, 0], [A, 2 / 3, 1 / 3, 1 / 2], [B, 1 / 3, 2 / 3, u], [B, 2 / 3, 1 / 3, u + 1 / 2],
  ]), // B4
  // prettier-ignore
  'nickel-arsenide': hexagonalType(194, [1, 1], [], () => [
    [A, 0, 0, 0], [A, 0, 0, 1 / 2], [B, 1 / 3, 2 / 3, 1 / 4], [B, 2 / 3, 1 / 3, 3 / 4],
  ]), // B8_1
  // prettier-ignore
  'tungsten-carbide': hexagonalType(187, [1, 1], [], () => [[A, 0, 0, 0], [B, 1 / 3, 2 / 3, 1 / 2]]), // B_h
  // prettier-ignore
  'copper-gold': tetragonalType(123, [1, 1], [], () => [[A, 0, 0, 0], [B, 1 / 2, 1 / 2, 1 / 2]]), // L1_0

  // prettier-ignore
  fluorite: rigidCubic(225, [1, 2], 'F', [[A, 0, 0, 0], [B, 1 / 4, 1 / 4, 1 / 4], [B, 3 / 4, 3 / 4, 3 / 4]]), // C1
  // prettier-ignore
  antifluorite: rigidCubic(225, [2, 1], 'F', [[A, 1 / 4, 1 / 4, 1 / 4], [A, 3 / 4, 3 / 4, 3 / 4], [B, 0, 0, 0]]), // C1
  // prettier-ignore
  rutile: tetragonalType(136, [1, 2], ['u'], (u) => [
    [A, 0, 0, 0], [A, 1 / 2, 1 / 2, 1 / 2],
    [B, u, u, 0], [B, -u, -u, 0], [B, 1 / 2 + u, 1 / 2 - u, 1 / 2], [B, 1 / 2 - u, 1 / 2 + u, 1 / 2],
  ]), // C4
  // prettier-ignore
  pyrite: cubicType(205, [1, 2], 'u', 'P', (u) => [
    [A, 0, 0, 0], ...cyclic(A, 0, 1 / 2, 1 / 2),
    [B, u, u, u], ...cyclic(B, 1 / 2 + u, 1 / 2 - u, -u),
    [B, -u, -u, -u], ...cyclic(B, 1 / 2 - u, 1 / 2 + u, u),
  ]), // C2
  // prettier-ignore
  'cadmium-iodide': hexagonalType(164, [1, 2], ['z'], (z) => [[A, 0, 0, 0], [B, 1 / 3, 2 / 3, z], [B, 2 / 3, 1 / 3, -z]]), // C6
  // prettier-ignore
  molybdenite: hexagonalType(194, [1, 2], ['z'], (z) => [
    [A, 1 / 3, 2 / 3, 1 / 4], [A, 2 / 3, 1 / 3, 3 / 4],
    [B, 1 / 3, 2 / 3, z], [B, 2 / 3, 1 / 3, z + 1 / 2], [B, 2 / 3, 1 / 3, -z], [B, 1 / 3, 2 / 3, 1 / 2 - z],
  ]), // C7
  // prettier-ignore
  'aluminium-diboride': hexagonalType(191, [1, 2], [], () => [
    [A, 0, 0, 0], [B, 1 / 3, 2 / 3, 1 / 2], [B, 2 / 3, 1 / 3, 1 / 2],
  ]), // C32
  // prettier-ignore
  'cubic-laves': rigidCubic(227, [1, 2], 'F', [
    [A, 1 / 8, 1 / 8, 1 / 8], [A, 7 / 8, 7 / 8, 7 / 8],
    [B, 1 / 2, 1 / 2, 1 / 2], ...cyclic(B, 1 / 2, 1 / 4, 1 / 4),
  ]), // C15
  // prettier-ignore
  cuprite: rigidCubic(224, [2, 1], 'P', [
    [A, 1 / 4, 1 / 4, 1 / 4], ...cyclic(A, 3 / 4, 3 / 4, 1 / 4), [B, 0, 0, 0], [B, 1 / 2, 1 / 2, 1 / 2],
  ]), // C3

  // prettier-ignore
  'copper3-gold': rigidCubic(221, [3, 1], 'P', [...cyclic(A, 0, 1 / 2, 1 / 2), [B, 0, 0, 0]]), // L1_2
  // prettier-ignore
  'bismuth-fluoride': rigidCubic(225, [3, 1], 'F', [
    [A, 1 / 2, 1 / 2, 1 / 2], [A, 1 / 4, 1 / 4, 1 / 4], [A, 3 / 4, 3 / 4, 3 / 4], [B, 0, 0, 0],
  ]), // D0_3
  // prettier-ignore
  a15: rigidCubic(223, [3, 1], 'P', [
    ...cyclic(A, 1 / 4, 0, 1 / 2), ...cyclic(A, 3 / 4, 0, 1 / 2), [B, 0, 0, 0], [B, 1 / 2, 1 / 2, 1 / 2],
  ]), // A15
  // prettier-ignore
  'rhenium-trioxide': rigidCubic(221, [1, 3], 'P', [[A, 0, 0, 0], ...cyclic(B, 1 / 2, 0, 0)]), // D0_9
  // prettier-ignore
  'calcium-copper5': hexagonalType(191, [1, 5], [], () => [
    [A, 0, 0, 0], [B, 1 / 3, 2 / 3, 0], [B, 2 / 3, 1 / 3, 0],
    [B, 1 / 2, 0, 1 / 2], [B, 0, 1 / 2, 1 / 2], [B, 1 / 2, 1 / 2, 1 / 2],
  ]), // D2_d
  // prettier-ignore
  'calcium-hexaboride': cubicType(221, [1, 6], 'u', 'P', (u) => [
    [A, 0, 0, 0], ...cyclic(B, u, 1 / 2, 1 / 2), ...cyclic(B, -u, 1 / 2, 1 / 2),
  ]), // D2_1
  // prettier-ignore
  corundum: hexagonalType(167, [2, 3], ['z', 'x'], (z, x) => [
    [A, 0, 0, z], [A, 0, 0, 1 / 2 - z], [A, 0, 0, -z], [A, 0, 0, 1 / 2 + z],
    [B, x, 0, 1 / 4], [B, 0, x, 1 / 4], [B, -x, -x, 1 / 4], [B, -x, 0, 3 / 4], [B, 0, -x, 3 / 4], [B, x, x, 3 / 4],
  ], 'R'), // D5_1
  // prettier-ignore
  tetradymite: hexagonalType(166, [2, 3], ['u', 'v'], (u, v) => [
    [A, 0, 0, u], [A, 0, 0, -u], [B, 0, 0, 0], [B, 0, 0, v], [B, 0, 0, -v],
  ], 'R'), // C33

  // prettier-ignore
  perovskite: rigidCubic(221, [1, 1, 3], 'P', [
    [A, 1 / 2, 1 / 2, 1 / 2], [B, 0, 0, 0], ...cyclic(C, 1 / 2, 0, 0),
  ]), // E2_1
  // prettier-ignore
  antiperovskite: rigidCubic(221, [3, 1, 1], 'P', [
    ...cyclic(A, 1 / 2, 0, 0), [B, 1 / 2, 1 / 2, 1 / 2], [C, 0, 0, 0],
  ]), // E2_1
  // prettier-ignore
  spinel: cubicType(227, [1, 2, 4], 'u', 'F', (u) => [
    [A, 1 / 8, 1 / 8, 1 / 8], [A, 7 / 8, 7 / 8, 7 / 8],
    [B, 1 / 2, 1 / 2, 1 / 2], ...cyclic(B, 1 / 2, 1 / 4, 1 / 4),
    [C, u, u, u], ...cyclic(C, u, 1 / 4 - u, 1 / 4 - u), [C, -u, -u, -u], ...cyclic(C, -u, 3 / 4 + u, 3 / 4 + u),
  ]), // H1_1
  // prettier-ignore
  heusler: rigidCubic(225, [2, 1, 1], 'F', [
    [A, 1 / 4, 1 / 4, 1 / 4], [A, 3 / 4, 3 / 4, 3 / 4], [B, 1 / 2, 1 / 2, 1 / 2], [C, 0, 0, 0],
  ]), // L2_1
  // prettier-ignore
  'half-heusler': rigidCubic(216, [1, 1, 1], 'F', [
    [A, 1 / 2, 1 / 2, 1 / 2], [B, 1 / 4, 1 / 4, 1 / 4], [C, 0, 0, 0],
  ]), // C1_b, the middle element on the site with eight neighbours
  // prettier-ignore
  'nowotny-juza': rigidCubic(216, [1, 1, 1], 'F', [
    [A, 1 / 2, 1 / 2, 1 / 2], [B, 0, 0, 0], [C, 1 / 4, 1 / 4, 1 / 4],
  ]), // C1_b, the anion on the site with eight neighbours
  // prettier-ignore
  chalcopyrite: tetragonalType(122, [1, 1, 2], ['x'], (x) => [
    [A, 0, 0, 0], [A, 0, 1 / 2, 1 / 4], [B, 0, 0, 1 / 2], [B, 0, 1 / 2, 3 / 4],
    [C, x, 1 / 4, 1 / 8], [C, -x, 3 / 4, 1 / 8], [C, 3 / 4, x, 7 / 8], [C, 1 / 4, -x, 7 / 8],
  ], 'I'), // E1_1
  // prettier-ignore
  'layered-oxide': hexagonalType(166, [1, 1, 2], ['z'], (z) => [
    [A, 0, 0, 1 / 2], [B, 0, 0, 0], [C, 0, 0, z], [C, 0, 0, -z],
  ], 'R'), // F5_1, α-NaFeO2
  // prettier-ignore
  'thorium-chromium2-silicon2': tetragonalType(139, [1, 2, 2], ['z'], (z) => [
    [A, 0, 0, 0], [B, 0, 1 / 2, 1 / 4], [B, 1 / 2, 0, 1 / 4], [C, 0, 0, z], [C, 0, 0, -z],
  ], 'I'), // D1_3
  // prettier-ignore
  'hexachloroplatinate': cubicType(225, [2, 1, 6], 'u', 'F', (u) => [
    [A, 1 / 4, 1 / 4, 1 / 4], [A, 3 / 4, 3 / 4, 3 / 4], [B, 0, 0, 0], ...cyclic(C, u, 0, 0), ...cyclic(C, -u, 0, 0),
  ]), // J1_1
} as const satisfies Record<string, Prototype>;

/** Name of a structure type. */
export type PrototypeName = keyof typeof PROTOTYPES;
