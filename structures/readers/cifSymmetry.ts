import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { hall_symbol_entry, initSync, operations_from_number, type MoyoHallSymbolEntry } from '@spglib/moyo-wasm';
import { determinant3 } from '../matrix3.js';
import { Rejected, quote } from './record.js';

/** A symmetry operation on fractional columns: x' = rotation x + translation. */
export interface SymmetryOperation {
  /** [9] row-major. */
  rotation: number[];
  /** [3] */
  translation: number[];
}

const parsed = new Map<string, SymmetryOperation>();

/**
 * Reads an operation in Jones' faithful notation, `-y+1/2, x, z-0.25`.
 *
 * @param text of `_symmetry_equiv_pos_as_xyz` or `_space_group_symop_operation_xyz`
 * @throws Rejected `unparsable` when it is none
 */
export function parseOperation(text: string): SymmetryOperation {
  const known = parsed.get(text);
  if (known) return known;
  const rows = text
    .toLowerCase()
    .replace(/[\s'"]/g, '')
    .split(',');
  const rotation: number[] = [];
  const translation: number[] = [];
  for (const row of rows) {
    const coefficients: Record<string, number> = { x: 0, y: 0, z: 0, '': 0 };
    const terms = row.match(/[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:\/\d+)?\*?)?[xyz]?/g)?.filter((term) => term !== '') ?? [];
    for (const term of terms) {
      const [, sign, size, divisor, axis] = /^([+-]?)([\d.]*)(?:\/(\d+))?\*?([xyz]?)$/.exec(term)!;
      coefficients[axis] += ((sign === '-' ? -1 : 1) * (size === '' ? 1 : Number(size))) / Number(divisor ?? 1);
    }
    const values = Object.values(coefficients);
    if (row === '' || terms.join('') !== row || !values.every(Number.isFinite)) break;
    rotation.push(...values.slice(0, 3));
    translation.push(values[3]);
  }
  const volume = determinant3(rotation);
  if (rows.length !== 3 || rotation.length !== 9 || Math.abs(Math.abs(volume) - 1) > 1e-9) {
    throw new Rejected(
      'unparsable',
      `${quote(text)} is not a symmetry operation; something like '-x, y+1/2, -z' is needed`,
    );
  }
  const operation = { rotation, translation };
  // A file has at most 192 operations and files repeat them; the bound only guards against junk.
  if (parsed.size > 10_000) parsed.clear();
  parsed.set(text, operation);
  return operation;
}

/** How a CIF block names its space group when it does not list the operations. */
export interface SpaceGroupName {
  hall?: string;
  hermannMauguin?: string;
  /** 1..230 */
  number?: number;
}

/**
 * Operations of a space group that is only named. The setting is told by the Hall symbol, else by the full or short
 * Hermann-Mauguin symbol (with `:1`, `:2`, `:H`, `:R` or ICSD's `S` and `Z` where given), else by the number, and must keep
 * the cell's metric, which decides the unique axis and hexagonal or rhombohedral axes.
 *
 * @param name what the block says
 * @param lattice [9] row-major lattice vectors
 * @throws Rejected `unparsable` when no setting fits, or when two origin choices fit and nothing says which
 */
export function namedOperations(name: SpaceGroupName, lattice: ArrayLike<number>): SymmetryOperation[] {
  const said = name.hermannMauguin ?? name.hall ?? `number ${name.number}`;
  const [symbol = '', choice = originChoice(name.hermannMauguin)] = (name.hermannMauguin ?? '')
    .split(':')
    .map((part) => part.trim());
  const named = settings().filter((entry) => {
    if (name.hall !== undefined) return plain(entry.hall_symbol) === plain(name.hall);
    if (symbol !== '')
      return symbolsOf(entry).has(plain(symbol.replace(/(?<=\s|\d|[a-z])[SZHR]$/, ''))) && fitsChoice(entry, choice);
    return entry.number === name.number;
  });
  const candidates = named.map((entry) => ({ entry, operations: operationsOf(entry) }));
  const fitting = candidates.filter(({ operations }) =>
    operations.every(({ rotation }) => keepsMetric(rotation, lattice)),
  );
  const first = fitting[0];
  if (!first) {
    throw new Rejected(
      'unparsable',
      `space group ${quote(said)} ${named.length === 0 ? 'is not known' : 'does not fit the cell'}; list its operations as _space_group_symop_operation_xyz`,
    );
  }
  // Other settings of the same symbol are told apart by the cell; two origins in one cell are not.
  const rivals = fitting.filter(({ entry }) => entry.number === first.entry.number && /^[12]/.test(entry.setting));
  if (rivals.length > 1 && name.hall === undefined) {
    throw new Rejected(
      'unparsable',
      `space group ${quote(said)} has two origin choices and the file does not say which; list its operations as _space_group_symop_operation_xyz`,
    );
  }
  return first.operations;
}

let allSettings: MoyoHallSymbolEntry[] | undefined;

/** The 530 settings of Hall's table, standard setting of each group first. */
function settings(): MoyoHallSymbolEntry[] {
  if (!allSettings) {
    const wasm = createRequire(import.meta.url).resolve('@spglib/moyo-wasm/moyo_wasm_bg.wasm');
    initSync({ module: readFileSync(wasm) });
    allSettings = Array.from({ length: 530 }, (_, i) => hall_symbol_entry(i + 1));
  }
  return allSettings;
}

/** moyo writes rotations column by column. */
function operationsOf(entry: MoyoHallSymbolEntry): SymmetryOperation[] {
  return operations_from_number(entry.number, { type: 'HallNumber', value: entry.hall_number }, false).map(
    (operation) => ({
      rotation: [0, 3, 6, 1, 4, 7, 2, 5, 8].map((at) => operation.rotation[at]),
      translation: operation.translation,
    }),
  );
}

function plain(symbol: string): string {
  return symbol.replace(/[\s_]/g, '').toLowerCase();
}

/** `P 1 2_1/c 1` is also written `P 2_1/c`; the short symbol belongs to the standard setting only. */
function symbolsOf(entry: MoyoHallSymbolEntry): Set<string> {
  const withoutOnes = entry.hm_full.split(' ').filter((part, i) => i === 0 || part !== '1');
  const isMonoclinic = entry.number >= 3 && entry.number <= 15;
  return new Set([entry.hm_full, isMonoclinic ? withoutOnes.join(' ') : entry.hm_short].map(plain));
}

function originChoice(symbol: string | undefined): string | undefined {
  const suffix = /(?<=\s|\d|[a-z])([SZHR])$/.exec(symbol ?? '')?.[1];
  return suffix === 'S' ? '1' : suffix === 'Z' ? '2' : suffix;
}

function fitsChoice(entry: MoyoHallSymbolEntry, choice: string | undefined): boolean {
  return (
    choice === undefined || choice === '' || entry.setting === '' || entry.setting.startsWith(choice.toUpperCase())
  );
}

/** Whether R^T G R = G within 2 % of the longest axis squared: cells in files are rounded, wrong axes are off by far more. */
function keepsMetric(rotation: number[], lattice: ArrayLike<number>): boolean {
  const metric = (i: number, j: number) =>
    lattice[3 * i] * lattice[3 * j] + lattice[3 * i + 1] * lattice[3 * j + 1] + lattice[3 * i + 2] * lattice[3 * j + 2];
  const tolerance = 0.02 * Math.max(metric(0, 0), metric(1, 1), metric(2, 2));
  for (let i = 0; i < 3; i++) {
    for (let j = i; j < 3; j++) {
      let turned = 0;
      for (let k = 0; k < 3; k++) {
        for (let l = 0; l < 3; l++) turned += rotation[3 * k + i] * metric(k, l) * rotation[3 * l + j];
      }
      if (Math.abs(turned - metric(i, j)) > tolerance) return false;
    }
  }
  return true;
}
