import { Rejected, quote } from '../record.js';
import { operationsOfHall } from './hallSymbol.js';
import { isSameType, metricMisfit, type OperationSet } from './operations.js';
import { plainSymbol, spaceGroupSettings, type SpaceGroupSetting } from './spaceGroups.js';

/** How a CIF block names its space group. */
export interface SpaceGroupName {
  hall?: string;
  hermannMauguin?: string;
  /** 1..230 */
  number?: number;
  /** `_space_group_IT_coordinate_system_code`: `1`, `2`, `h`, `r`, `b1`, `cab`. */
  code?: string;
}

/** Largest {@link metricMisfit} of a symmetry: cells in files are rounded, wrong axes are off by far more. */
export const LARGEST_MISFIT = 0.02;

/** Differences of misfit below this come from the digits of the cell. */
const EQUAL_MISFIT = 1e-4;

const REMEDY = 'list its operations as _space_group_symop_operation_xyz';

/**
 * Settings that a name may mean.
 *
 * The setting is told by the Hall symbol, else by the Hermann-Mauguin symbol (with `:1`, `:2`, `:H`, `:R`, ICSD's `S`, `Z`, `O1`,
 * `O2`, or the setting's code beside it), else by the number.
 * @returns none where the name is not known
 * @throws Rejected `contradictory` where two parts of the name mean different groups
 */
export function settingsOf(name: SpaceGroupName): SpaceGroupSetting[] {
  const symbol = name.hermannMauguin === undefined ? [] : settingsOfSymbol(name.hermannMauguin, name.code);
  const number = spaceGroupSettings().filter(
    (setting) => setting.number === name.number && hasCode(setting, name.code),
  );
  const hall = name.hall === undefined ? undefined : hallSetting(name.hall);
  if (symbol.length > 0 && number.length > 0 && !symbol.some((setting) => setting.number === name.number))
    throw contradiction(`the symbol ${quote(name.hermannMauguin)}`, `the number ${name.number}`);
  if (hall) {
    const others = symbol.length > 0 ? symbol : number;
    if (others.length > 0 && !meansOneOf(hall.operations, others))
      throw contradiction(
        `the Hall symbol ${quote(name.hall)}`,
        symbol.length > 0 ? `the symbol ${quote(name.hermannMauguin)}` : `the number ${name.number}`,
      );
    return [{ ...hall, number: others[0]?.number ?? 0 }];
  }
  if (symbol.length === 0) return number;
  return number.length === 0 ? symbol : symbol.filter((setting) => setting.number === name.number);
}

function contradiction(one: string, other: string): Rejected {
  return new Rejected('contradictory', `${one} and ${other} mean different space groups; one group is needed`);
}

/** What is no Hall symbol is no statement; a Hermann-Mauguin symbol beside it may be. */
function hallSetting(hall: string): SpaceGroupSetting | undefined {
  const operations = operationsOfHall(hall);
  return operations && { number: 0, hall, names: new Set(), code: '', operations };
}

/** Whether operations are those of a group that one of the settings belongs to, at whatever origin and in whatever basis. */
export function meansOneOf(operations: OperationSet, settings: readonly SpaceGroupSetting[]): boolean {
  const numbers = new Set(settings.map((setting) => setting.number));
  const all = spaceGroupSettings().filter((setting) => numbers.has(setting.number));
  const verdicts = all.map((setting) => isSameType(operations, setting.operations));
  if (verdicts.includes(true)) return true;
  // In a basis the table does not have, only the number of rotations can be told.
  return (
    !verdicts.includes(false) &&
    all.some((setting) => setting.operations.byRotation.size === operations.byRotation.size)
  );
}

/** The symbol without its suffix, and the code that the suffix gives. */
function withoutCode(symbol: string): { symbol: string; code?: string } {
  const colon = /^(.*?)\s*:\s*(\S*)\s*$/.exec(symbol);
  if (colon) return { symbol: colon[1], code: colon[2] };
  const origin = /^(.*?)\s*\(?\s*(?:origin\s*(?:choice)?|O|(?<=\s)o)\s*([12])\s*\)?$/.exec(symbol);
  if (origin) return { symbol: origin[1], code: origin[2] };
  const letter = /^(.*(?:\s|\d|[a-z]))([SZHR]|(?<=\s)[hr])\s*$/.exec(symbol);
  if (letter) return { symbol: letter[1], code: { S: '1', Z: '2' }[letter[2]] ?? letter[2] };
  return { symbol };
}

function settingsOfSymbol(text: string, statedCode: string | undefined): SpaceGroupSetting[] {
  const parted = withoutCode(text.trim());
  let symbol = plainSymbol(parted.symbol);
  let code = parted.code ?? statedCode;
  // The Protein Data Bank writes H for R on hexagonal axes.
  if (/^H -?3/.test(symbol) || /^H-?3/.test(symbol)) [symbol, code] = [symbol.replace('H', 'R'), 'H'];
  const exact = spaceGroupSettings().filter((setting) => setting.names.has(symbol));
  const named =
    exact.length > 0
      ? exact
      : spaceGroupSettings().filter((setting) => [...setting.names].some((name) => isOtherSpacing(symbol, name)));
  return named.filter((setting) => hasCode(setting, code));
}

/** Whether two symbols differ by blanks only; `P 3 2` is not `P 32`, for a blank between digits parts two axes. */
function isOtherSpacing(symbol: string, name: string): boolean {
  if (symbol.replaceAll(' ', '') !== name.replaceAll(' ', '')) return false;
  return !/\d \d/.test(symbol) || !joinsDigits(symbol, name);
}

/** Whether a blank between two digits of `symbol` is missing in `name`. */
function joinsDigits(symbol: string, name: string): boolean {
  let at = 0;
  for (let i = 0; i < symbol.length; i++) {
    if (symbol[i] === ' ') {
      if (/\d/.test(symbol[i - 1]) && /\d/.test(symbol[i + 1] ?? '') && name[at] !== ' ') return true;
      continue;
    }
    if (name[at] === ' ') at++;
    at++;
  }
  return false;
}

function hasCode(setting: SpaceGroupSetting, code: string | undefined): boolean {
  if (code === undefined || code === '' || setting.code === '') return true;
  return setting.code.toLowerCase().startsWith(code.toLowerCase());
}

/**
 * Operations of a space group that is only named, in the setting that fits the cell: it decides the unique axis and hexagonal or
 * rhombohedral axes.
 *
 * @param settings what {@link settingsOf} found
 * @param said the name, for messages
 * @param lattice [9] row-major lattice vectors
 * @throws Rejected `unparsable` when no setting fits, or when two origin choices fit and nothing says which
 */
export function operationsFitting(
  settings: readonly SpaceGroupSetting[],
  said: string,
  lattice: ArrayLike<number>,
): OperationSet {
  if (settings.length === 0) throw new Rejected('unparsable', `space group ${quote(said)} is not known; ${REMEDY}`);
  const fitting = settings
    .map((setting) => ({ setting, misfit: misfitOf(setting.operations, lattice) }))
    .filter(({ misfit }) => misfit <= LARGEST_MISFIT);
  const least = Math.min(...fitting.map(({ misfit }) => misfit));
  const best = fitting.filter(({ misfit }) => misfit <= least + EQUAL_MISFIT).map(({ setting }) => setting);
  const [first] = best;
  if (!first) throw new Rejected('contradictory', `space group ${quote(said)} does not fit the cell; ${REMEDY}`);
  // Other settings of the same symbol are told apart by the cell; two origins in one cell are not.
  const rivals = best.filter(
    ({ number, code, operations }) =>
      number === first.number && /^[12]/.test(code) && !operations.equals(first.operations),
  );
  if (/^[12]/.test(first.code) && rivals.length > 0)
    throw new Rejected(
      'unparsable',
      `space group ${quote(said)} has two origin choices and the file does not say which; ${REMEDY}`,
    );
  return first.operations;
}

/** Largest misfit of any of the rotations. */
export function misfitOf(operations: OperationSet, lattice: ArrayLike<number>): number {
  return Math.max(...[...operations.byRotation.values()].map(({ rotation }) => metricMisfit(rotation, lattice)));
}
