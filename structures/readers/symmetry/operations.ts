import { determinant3, inverse3 } from '../../matrix3.js';
import { Rejected, quote } from '../record.js';

/** A symmetry operation on fractional columns: x' = rotation x + translation. */
export interface SymmetryOperation {
  /** [9] row-major. */
  rotation: readonly number[];
  /** [3] */
  translation: readonly number[];
}

/** Most operations there are in a cell: the 48 rotations of a cube times the four translations of F. */
export const MAX_OPERATIONS = 192;

/** Fractional; files write 1/3 as 0.333 and 2/3 as 0.667. */
const TRANSLATION_TOLERANCE = 2e-3;

export const IDENTITY = [1, 0, 0, 0, 1, 0, 0, 0, 1];

/** Whether a matrix turns nothing: the operation is a translation. */
export function isUnturned({ rotation }: SymmetryOperation): boolean {
  return rotation.every((x, i) => x === IDENTITY[i]);
}

const parsed = new Map<string, SymmetryOperation>();

/**
 * Reads an operation in Jones' faithful notation, `-y+1/2, x, z-0.25`; a fourth component, the time reversal of a magnetic
 * operation (`+1`, `-1`), moves no atoms and is dropped.
 *
 * @param text of `_symmetry_equiv_pos_as_xyz` or `_space_group_symop_operation_xyz`
 * @throws Rejected `unparsable` when it is none
 */
export function parseOperation(text: string): SymmetryOperation {
  const known = parsed.get(text);
  if (known) return known;
  const components = text.split(',');
  const isMagnetic = components.length === 4 && /^\s*[+-]?1\s*['"]?\s*$/.test(components[3]);
  const operation = parseTriplet(isMagnetic ? components.slice(0, 3).join() : text);
  const isUnimodular = operation?.rotation.every(Number.isInteger) && Math.abs(determinant3(operation.rotation)) === 1;
  if (!operation || !isUnimodular)
    throw new Rejected(
      'unparsable',
      `${quote(text)} is not a symmetry operation; something like '-x, y+1/2, -z' is needed`,
    );
  // A file has at most 192 operations and files repeat them; the bound only guards against junk.
  if (parsed.size > 10_000) parsed.clear();
  parsed.set(text, operation);
  return operation;
}

/**
 * Reads any affine map of coordinates, such as a change of basis.
 *
 * @param text three components in x, y and z
 * @returns undefined when it is none
 */
export function parseTriplet(text: string): { rotation: number[]; translation: number[] } | undefined {
  const rows = text
    .toLowerCase()
    .replace(/[\s'"]/g, '')
    .split(',');
  const rotation: number[] = [];
  const translation: number[] = [];
  for (const row of rows) {
    const coefficients: Record<string, number> = { x: 0, y: 0, z: 0, '': 0 };
    const terms =
      row.match(/[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:\/\d+)?\*?)?[xyz]?(?:\/\d+)?/g)?.filter((term) => term !== '') ?? [];
    for (const term of terms) {
      const [, sign, size, divisor, axis, after] = /^([+-]?)([\d.]*)(?:\/(\d+))?\*?([xyz]?)(?:\/(\d+))?$/.exec(term)!;
      coefficients[axis] +=
        ((sign === '-' ? -1 : 1) * (size === '' ? 1 : Number(size))) / Number(divisor ?? 1) / Number(after ?? 1);
    }
    const values = Object.values(coefficients);
    if (row === '' || terms.join('') !== row || !values.every(Number.isFinite)) break;
    rotation.push(...values.slice(0, 3));
    translation.push(values[3]);
  }
  return rows.length === 3 && rotation.length === 9 ? { rotation, translation } : undefined;
}

/** First `b`, then `a`. */
export function product(a: SymmetryOperation, b: SymmetryOperation): SymmetryOperation {
  const moved = turned(a.rotation, b.translation);
  return { rotation: multiplied(a.rotation, b.rotation), translation: moved.map((x, i) => x + a.translation[i]) };
}

/** The operation in other coordinates, x_new = map(x_old): map · operation · map⁻¹. */
export function transformed(operation: SymmetryOperation, map: SymmetryOperation): SymmetryOperation {
  const back = inverse3([...map.rotation]);
  const inverse = { rotation: [...back], translation: turned([...back], map.translation).map((x) => -x) };
  const { rotation, translation } = product(product(map, operation), inverse);
  return { rotation: rotation.map((x) => Math.round(x * 1e9) / 1e9 + 0), translation };
}

function multiplied(a: readonly number[], b: readonly number[]): number[] {
  return Array.from({ length: 9 }, (_, at) => {
    const [row, column] = [3 * Math.floor(at / 3), at % 3];
    return a[row] * b[column] + a[row + 1] * b[3 + column] + a[row + 2] * b[6 + column] + 0;
  });
}

function turned(rotation: readonly number[], v: readonly number[]): number[] {
  return [0, 3, 6].map((row) => rotation[row] * v[0] + rotation[row + 1] * v[1] + rotation[row + 2] * v[2]);
}

/** Whether two translations differ by a whole number of cells along every axis. */
function isSameTranslation(a: readonly number[], b: readonly number[]): boolean {
  return a.every((x, i) => Math.abs(x - b[i] - Math.round(x - b[i])) < TRANSLATION_TOLERANCE);
}

/** Operations by rotation, with the different translations of each. */
export class OperationSet {
  readonly byRotation = new Map<string, { rotation: readonly number[]; translations: (readonly number[])[] }>();
  size = 0;

  constructor(operations: Iterable<SymmetryOperation> = []) {
    for (const operation of operations) this.add(operation);
  }

  /** @returns whether it was new */
  add({ rotation, translation }: SymmetryOperation): boolean {
    const key = rotation.join();
    const entry = this.byRotation.get(key);
    if (entry?.translations.some((known) => isSameTranslation(known, translation))) return false;
    if (entry) entry.translations.push(translation);
    else this.byRotation.set(key, { rotation, translations: [translation] });
    this.size++;
    return true;
  }

  has({ rotation, translation }: SymmetryOperation): boolean {
    return (
      this.byRotation.get(rotation.join())?.translations.some((known) => isSameTranslation(known, translation)) ?? false
    );
  }

  /** Whether both hold the same operations. */
  equals(other: OperationSet): boolean {
    return this.size === other.size && this.operations().every((operation) => other.has(operation));
  }

  operations(): SymmetryOperation[] {
    return [...this.byRotation.values()].flatMap(({ rotation, translations }) =>
      translations.map((translation) => ({ rotation, translation })),
    );
  }

  /** Whether the operations form a group modulo the translations of the cell. */
  isGroup(): boolean {
    const all = this.operations();
    return all.every((a) => all.every((b) => this.has(product(a, b))));
  }
}

/**
 * The group that operations generate, modulo the translations of the cell.
 *
 * @param generators any operations; the identity need not be among them
 * @returns undefined where they generate more than {@link MAX_OPERATIONS}
 */
export function generatedGroup(generators: readonly SymmetryOperation[]): OperationSet | undefined {
  const group = new OperationSet([{ rotation: IDENTITY, translation: [0, 0, 0] }]);
  const pending = group.operations();
  for (let next = pending.pop(); next; next = pending.pop()) {
    for (const generator of generators) {
      const { rotation, translation } = product(generator, next);
      const image = { rotation, translation: translation.map(wrapped) };
      if (!group.add(image)) continue;
      if (group.size > MAX_OPERATIONS) return undefined;
      pending.push(image);
    }
  }
  return group;
}

/** Into [0, 1), where what rounding leaves of a whole cell is 0. */
function wrapped(x: number): number {
  const rounded = Math.round((x - Math.floor(x)) * 1e9) / 1e9;
  return rounded === 1 ? 0 : rounded;
}

/**
 * How far a rotation is from keeping a lattice: the largest change of G in R^T G R, where the metric G holds the products of the
 * lattice vectors, each change over the lengths of its two vectors. 0.02 is 1 % of a length, or 1.1° of an angle.
 *
 * @param lattice [9] row-major lattice vectors
 */
export function metricMisfit(rotation: readonly number[], lattice: ArrayLike<number>): number {
  const metric = (i: number, j: number) =>
    lattice[3 * i] * lattice[3 * j] + lattice[3 * i + 1] * lattice[3 * j + 1] + lattice[3 * i + 2] * lattice[3 * j + 2];
  let largest = 0;
  for (let i = 0; i < 3; i++) {
    for (let j = i; j < 3; j++) {
      let turned = 0;
      for (let k = 0; k < 3; k++) {
        for (let l = 0; l < 3; l++) turned += rotation[3 * k + i] * metric(k, l) * rotation[3 * l + j];
      }
      const change = Math.abs(turned - metric(i, j)) / Math.sqrt(metric(i, i) * metric(j, j));
      largest = Math.max(largest, Number.isNaN(change) ? Infinity : change);
    }
  }
  return largest;
}

/**
 * Whether two groups with equal rotations are of one type: they have the same lattice translations, and the screw or glide part
 * of each rotation, which no choice of origin changes, is the same.
 *
 * @returns undefined where the rotations differ, as those of one group do in another basis
 */
export function isSameType(one: OperationSet, other: OperationSet): boolean | undefined {
  if (one.byRotation.size !== other.byRotation.size) return undefined;
  if (![...one.byRotation.keys()].every((key) => other.byRotation.has(key))) return undefined;
  if (one.size !== other.size) return false;
  return [...one.byRotation].every(([key, { rotation, translations }]) => {
    const sum = powerSum(rotation);
    return other.byRotation.get(key)!.translations.some((translation) =>
      CELLS.some((cell) =>
        turned(
          sum,
          translations[0].map((x, i) => x - translation[i] - cell[i]),
        ).every((x) => Math.abs(x) < 6 * TRANSLATION_TOLERANCE),
      ),
    );
  });
}

const CELLS = Array.from({ length: 125 }, (_, i) => [(i % 5) - 2, (Math.floor(i / 5) % 5) - 2, Math.floor(i / 25) - 2]);

/** 1 + R + R² + ... over the order of R: it keeps of a translation what the origin cannot change, times the order. */
function powerSum(rotation: readonly number[]): number[] {
  let power: readonly number[] = IDENTITY;
  let sum = new Array<number>(9).fill(0);
  do {
    sum = sum.map((x, i) => x + power[i]);
    power = multiplied(power, rotation);
  } while (!power.every((x, i) => x === IDENTITY[i]));
  return sum;
}
