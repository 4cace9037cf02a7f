import {
  IDENTITY,
  generatedGroup,
  parseTriplet,
  transformed,
  type OperationSet,
  type SymmetryOperation,
} from './operations.js';

/** Centring translations by lattice letter. */
const CENTRINGS: Readonly<Record<string, readonly (readonly number[])[]>> = {
  P: [],
  A: [[0, 1 / 2, 1 / 2]],
  B: [[1 / 2, 0, 1 / 2]],
  C: [[1 / 2, 1 / 2, 0]],
  I: [[1 / 2, 1 / 2, 1 / 2]],
  F: [
    [0, 1 / 2, 1 / 2],
    [1 / 2, 0, 1 / 2],
  ],
  R: [[2 / 3, 1 / 3, 1 / 3]],
  S: [[1 / 3, 1 / 3, 2 / 3]],
  T: [[1 / 3, 2 / 3, 1 / 3]],
  H: [[2 / 3, 1 / 3, 0]],
};

/** Rotations about z of each order. */
const ABOUT_Z: Readonly<Record<string, readonly number[]>> = {
  1: IDENTITY,
  2: [-1, 0, 0, 0, -1, 0, 0, 0, 1],
  3: [0, -1, 0, 1, -1, 0, 0, 0, 1],
  4: [0, -1, 0, 1, 0, 0, 0, 0, 1],
  6: [1, -1, 0, 1, 0, 0, 0, 0, 1],
};
/** Twofold axes across z: ' along a-b, " along a+b. */
const TWO_PRIME = [0, -1, 0, -1, 0, 0, 0, 0, -1];
const TWO_DOUBLE_PRIME = [0, 1, 0, 1, 0, 0, 0, 0, -1];
/** Threefold axis along a+b+c. */
const THREE_STAR = [0, 0, 1, 1, 0, 0, 0, 1, 0];

const TRANSLATIONS: Readonly<Record<string, readonly number[]>> = {
  a: [1 / 2, 0, 0],
  b: [0, 1 / 2, 0],
  c: [0, 0, 1 / 2],
  n: [1 / 2, 1 / 2, 1 / 2],
  u: [1 / 4, 0, 0],
  v: [0, 1 / 4, 0],
  w: [0, 0, 1 / 4],
  d: [1 / 4, 1 / 4, 1 / 4],
};

const known = new Map<string, OperationSet>();

/**
 * Operations of a Hall symbol (Hall, Acta Cryst. A37, 517 (1981); International Tables B, A1.4.2), with an origin shift
 * `(0 0 -1)` in twelfths or a change of basis `(x-z,y,z)`. The double prime may be written `"`, `''` or `=`.
 *
 * @returns undefined when it is no Hall symbol or generates more than 192 operations
 */
export function operationsOfHall(symbol: string): OperationSet | undefined {
  const cached = known.get(symbol);
  if (cached) return cached;
  const [, inversion, letter, matrices, change] =
    /^\s*(-?)\s*([PABCIFRSTH])([^(]*)(?:\(([^)]*)\))?\s*$/.exec(symbol.replace(/_/g, ' ').replace(/=|''/g, '"')) ?? [];
  const words = matrices?.trim().split(/\s+/) ?? [];
  if (letter === undefined || words[0] === '' || words.length > 4) return undefined;

  const generators: SymmetryOperation[] = CENTRINGS[letter].map((translation) => ({ rotation: IDENTITY, translation }));
  if (inversion === '-') generators.push({ rotation: IDENTITY.map((x) => -x + 0), translation: [0, 0, 0] });
  let before: Turn | undefined;
  for (const [position, word] of words.entries()) {
    const turn = parseTurn(word, position, before);
    if (!turn) return undefined;
    generators.push(turn.operation);
    before = turn;
  }
  const all = change === undefined ? generators : inOtherBasis(generators, change);
  const group = all && generatedGroup(all);
  if (!group) return undefined;
  if (known.size > 2000) known.clear();
  known.set(symbol, group);
  return group;
}

interface Turn {
  order: string;
  axis: string;
  operation: SymmetryOperation;
}

/** One matrix symbol, such as `-4`, `31`, `2"c`, `2ybc`; its axis may follow from its place and the symbol before it. */
function parseTurn(word: string, position: number, before: Turn | undefined): Turn | undefined {
  const [, sign, order, modifiers] = /^(-?)([12346])([xyz'"*abcnuvwd1-5]*)$/.exec(word) ?? [];
  if (order === undefined) return undefined;
  const stated = [...modifiers].filter((letter) => /[xyz'"*]/.test(letter));
  if (stated.length > 1) return undefined;
  const axis = stated[0] ?? impliedAxis(order, position, before);
  const about = /[xyz]/.test(axis) ? axis : before && /[xyz]/.test(before.axis) ? before.axis : 'z';
  const matrix =
    axis === '*'
      ? THREE_STAR
      : along(about, axis === "'" ? TWO_PRIME : axis === '"' ? TWO_DOUBLE_PRIME : ABOUT_Z[order]);
  if (axis === '*' ? order !== '3' : /['"]/.test(axis) && order !== '2') return undefined;
  const translation = [0, 0, 0];
  for (const letter of modifiers) {
    if (/\d/.test(letter)) {
      if (!/[xyz]/.test(axis) || Number(letter) >= Number(order)) return undefined;
      translation['xyz'.indexOf(axis)] += Number(letter) / Number(order);
    } else TRANSLATIONS[letter]?.forEach((x, i) => (translation[i] += x));
  }
  const rotation = sign === '-' ? matrix.map((x) => -x + 0) : matrix;
  return { order, axis, operation: { rotation, translation } };
}

function impliedAxis(order: string, position: number, before: Turn | undefined): string {
  if (position === 1 && order === '2') return before && /[36]/.test(before.order) ? "'" : 'x';
  if (position === 2 && order === '3') return '*';
  return 'z';
}

/** A matrix about z, turned to be about another axis by cyclic exchange. */
function along(axis: string, matrix: readonly number[]): number[] {
  const shift = { x: 1, y: 2, z: 0 }[axis]!;
  const turned = new Array<number>(9);
  matrix.forEach((x, at) => (turned[3 * ((Math.floor(at / 3) + shift) % 3) + ((at + shift) % 3)] = x));
  return turned;
}

function inOtherBasis(generators: readonly SymmetryOperation[], change: string): SymmetryOperation[] | undefined {
  const twelfths = /^\s*(-?\d+)\s+(-?\d+)\s+(-?\d+)\s*$/.exec(change);
  const map = twelfths
    ? { rotation: IDENTITY, translation: twelfths.slice(1).map((x) => Number(x) / 12) }
    : parseTriplet(change);
  if (!map) return undefined;
  // The old cell's translations may be fractions of the new one's.
  const translations = [0, 1, 2].map((k) => ({
    rotation: IDENTITY,
    translation: [0, 3, 6].map((row) => map.rotation[row + k]),
  }));
  return [...generators.map((operation) => transformed(operation, map)), ...translations];
}
