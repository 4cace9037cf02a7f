import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { hall_symbol_entry, initSync } from '@spglib/moyo-wasm';
import { operationsOfHall } from './hallSymbol.js';
import type { OperationSet } from './operations.js';

/** One setting of a space group: a choice of axes, cell and origin. */
export interface SpaceGroupSetting {
  /** 1..230 */
  number: number;
  hall: string;
  /** Hermann-Mauguin symbols of this setting, full, short and of before 1992, as {@link plainSymbol} writes them. */
  names: ReadonlySet<string>;
  /** Code of the setting as in International Tables: `b1`, `2`, `H`, `cab`, `1cab`; empty for the only one. */
  code: string;
  operations: OperationSet;
}

/** Settings that Hall's table of 530 lacks and programs write: centred cells where a smaller one would do, and other origins. */
const FURTHER_SETTINGS: readonly (readonly [number: number, symbols: string, hall: string])[] = [
  ...['A', 'B', 'C', 'F', 'I'].flatMap((letter) => [
    [1, `${letter} 1`, `${letter} 1`] as const,
    [2, `${letter} -1`, `-${letter} 1`] as const,
  ]),
  [3, 'B 1 2 1', 'B 2y'],
  [3, 'C 1 1 2', 'C 2'],
  [4, 'B 1 21 1', 'B 2yb'],
  [4, 'C 1 1 21', 'C 2c'],
  [5, 'I 1 21 1', 'I 2yb'],
  [5, 'C 1 21 1', 'C 2yb'],
  [5, 'F 1 2 1', 'F 2y'],
  [8, 'F 1 m 1', 'F -2y'],
  [9, 'F 1 d 1', 'F -2yuw'],
  [12, 'F 1 2/m 1', '-F 2y'],
  [18, 'P 21212(a)', 'P 2ab 2a'],
  [20, 'C 2 2 21a)', 'C 2ac 2'],
  [21, 'C 2 2 2a', 'C 2ab 2b'],
  [22, 'F 2 2 2a', 'F 2 2c'],
  [23, 'I 2 2 2a', 'I 2ab 2bc'],
  [89, 'C 4 2 2', 'C 4 2'],
  [90, 'C 4 2 21', 'C 4a 2'],
  [94, 'P 42 21 2a', 'P 4bc 2a'],
  [97, 'F 4 2 2', 'F 4 2'],
  [115, 'C -4 2 m', 'C -4 2'],
  [117, 'C -4 2 b', 'C -4 2ya'],
  [139, 'F 4/m m m', '-F 4 2'],
  [197, 'I 2 3a', 'I 2ab 2bc 3'],
];

/** Symbols of before 1992, which name one of the two glides of an e plane, in the order of the table's settings. */
const BEFORE_E: Readonly<Record<number, string>> = {
  39: 'A b m 2,B m a 2,B 2 c m,C 2 m b,C m 2 a,A c 2 m',
  41: 'A b a 2,B b a 2,B 2 c b,C 2 c b,C c 2 a,A c 2 a',
  64: 'C m c a,C c m b,A b m a,A c a m,B b c m,B m a b',
  67: 'C m m a,C m m b,A b m m,A c m m,B m c m,B m a m',
  68: 'C c c a,C c c a,C c c b,C c c b,A b a a,A b a a,A c a a,A c a a,B b c b,B b c b,B b a b,B b a b',
};

let table: SpaceGroupSetting[] | undefined;

/** All settings koine knows by name, those of one group together, its standard setting first. */
export function spaceGroupSettings(): readonly SpaceGroupSetting[] {
  if (table) return table;
  const wasm = createRequire(import.meta.url).resolve('@spglib/moyo-wasm/moyo_wasm_bg.wasm');
  initSync({ module: readFileSync(wasm) });
  const seen = new Map<number, number>();
  const halls = Array.from({ length: 530 }, (_, i) => {
    const { number, hall_symbol, hm_full, hm_short, setting } = hall_symbol_entry(i + 1);
    const nth = seen.get(number) ?? 0;
    seen.set(number, nth + 1);
    const old = BEFORE_E[number]?.split(',')[nth];
    const names = symbolsOf(number, hm_full, hm_short, old);
    return settingOf(number, hall_symbol.replace('=', '"'), names, setting);
  });
  const further = FURTHER_SETTINGS.map(([number, symbol, hall]) =>
    settingOf(number, hall, symbolsOf(number, symbol, symbol), ''),
  );
  return (table = [...halls, ...further].sort((a, b) => a.number - b.number));
}

function settingOf(number: number, hall: string, names: Iterable<string>, code: string): SpaceGroupSetting {
  return {
    number,
    hall,
    names: new Set(names),
    code,
    get operations() {
      return operationsOfHall(hall)!;
    },
  };
}

/** `P 1 2_1/c 1` is also written `P 2_1/c`; the table's short symbol belongs to the standard setting only. */
function symbolsOf(number: number, full: string, short: string, old?: string): string[] {
  const isMonoclinic = number >= 3 && number <= 15;
  // C 2 is group 5, not what is left of the needlessly centred C 1 1 2 of group 3.
  const isCentredTwice = number <= 4 && !full.startsWith('P');
  const withoutOnes = full
    .split(' ')
    .filter((part, i) => i === 0 || part !== '1')
    .join(' ');
  const symbols = [
    full,
    isCentredTwice ? full : isMonoclinic ? withoutOnes : short,
    ...(old === undefined ? [] : [old]),
  ];
  // In the one setting of an e plane both glides are there, and either may be named.
  if ([39, 41, 64].includes(number) && short.includes('e')) {
    const [first, second] = { A: 'bc', B: 'ac', C: 'ab' }[short[0]]!;
    symbols.push(short.replace('e', first), short.replace('e', second));
  }
  // The bar of a cube's threefold axes was left out before 1992: F d 3 m is F d -3 m.
  if (number >= 200)
    symbols.push(...symbols.filter((symbol) => symbol.includes(' -3')).map((symbol) => symbol.replace(' -3', ' 3')));
  return symbols.map(plainSymbol);
}

/**
 * A Hermann-Mauguin symbol in one spelling: single blanks, screw axes as `21` where files write `2_1`, `2(1)` (SHELX) and `2~1~`
 * (journals of the IUCr), lower case but for the lattice letter.
 */
export function plainSymbol(symbol: string): string {
  const text = symbol
    .replace(/\((\d)\)/g, '$1')
    .replace(/~(\d)~/g, '$1')
    .replace(/(?<=\d)_(?=\d)/g, '')
    .replace(/_/g, ' ')
    .trim()
    .replace(/\s*\/\s*/g, '/')
    .replace(/(?<=-)\s+(?=\d)/g, '')
    .replace(/\s+/g, ' ')
    .toLowerCase();
  return text.charAt(0).toUpperCase() + text.slice(1);
}
