import { atomicNumberOf, elementSymbol } from '../elements.js';
import { Rejected } from './record.js';

/** Amount of each element, by atomic number, as a formula states it. */
export type Formula = ReadonlyMap<
  number,
  { amount: number; /** What its last digit stands for; 0 for whole numbers. */ step: number }
>;

/** Atoms a cell; amounts that differ by less are equal up to the digits of the formula. */
const TOLERANCE = 0.1;

/**
 * Reads a formula such as `H2 Ni O2`, `C12H22O11`, `Cs Br0.5 Cl0.5`, `C4 H4 O8 2-`. `D` and `T` are hydrogen.
 *
 * @returns undefined when it is none of this kind, for instance with parentheses
 */
export function parseFormula(text: string): Formula | undefined {
  const formula = new Map<number, { amount: number; step: number }>();
  const plain = text.replace(/\s+\d*[+-]\s*$/, '').replace(/(?<=\d)\(\d+\)/g, '');
  const terms = plain.match(/[A-Z][a-z]?(?:\d+\.?\d*|\.\d+)?/g) ?? [];
  if (terms.length === 0 || terms.join('') !== plain.replace(/\s/g, '')) return undefined;
  for (const term of terms) {
    const [, symbol, digits] = /^([A-Z][a-z]?)(.*)$/.exec(term)!;
    const element = atomicNumberOf(symbol);
    if (element === undefined) return undefined;
    const decimals = digits.split('.')[1]?.length ?? 0;
    const before = formula.get(element);
    formula.set(element, {
      amount: (before?.amount ?? 0) + (digits === '' ? 1 : Number(digits)),
      step: (before?.step ?? 0) + (decimals > 0 ? 10 ** -decimals : 0),
    });
  }
  return formula;
}

/**
 * Reads a formula by moieties, `C12 H22 O11, 2(H2 O)`, `Ni2+, 2(C5 H7 O2 1-)`.
 *
 * @returns undefined when a part is no formula
 */
export function parseMoieties(text: string): Formula | undefined {
  const sum = new Map<number, { amount: number; step: number }>();
  for (const part of text.split(',')) {
    const [, times, inner, whole] = /^\s*(?:(\d+\.?\d*)?\s*\(([^()]+)\)|([^()]+?))\s*$/.exec(part) ?? [];
    const formula = parseFormula((inner ?? whole ?? '').replace(/\d*[+-]\s*$/, ''));
    if (!formula) return undefined;
    for (const [element, { amount, step }] of formula) {
      const before = sum.get(element) ?? { amount: 0, step: 0 };
      sum.set(element, { amount: before.amount + amount * Number(times ?? 1), step: before.step + step });
    }
  }
  return sum;
}

/**
 * Holds the atoms of a cell against a formula of the same crystal; the number of formula units does not matter, for files often
 * misstate it.
 *
 * @param species [n_atoms] atomic numbers of a whole cell
 * @param formula what is stated
 * @param where names the statement, for messages
 * @throws Rejected `incomplete` when the formula has hydrogen or other elements that no site holds, `contradictory` when the
 *   amounts differ otherwise
 */
export function requireComposition(species: readonly number[], formula: Formula, where: string): void {
  const counts = new Map<number, number>();
  for (const element of species) counts.set(element, (counts.get(element) ?? 0) + 1);
  const total = [...formula.values()].reduce((sum, { amount }) => sum + amount, 0);
  const units = species.length / total;
  const agrees = [...new Set([...counts.keys(), ...formula.keys()])].every((element) => {
    const { amount, step } = formula.get(element) ?? { amount: 0, step: 0 };
    return Math.abs((counts.get(element) ?? 0) - units * amount) <= TOLERANCE + units * step;
  });
  if (agrees) return;
  const isMissing =
    [...formula].some(([element, { amount }]) => amount > 0 && !counts.has(element)) || lacksHydrogen(counts, formula);
  const isForeign = [...counts.keys()].some((element) => !formula.has(element));
  throw new Rejected(
    isMissing && !isForeign ? 'incomplete' : 'contradictory',
    `the cell holds ${shown([...counts])}, but ${where} is ${shown([...formula].map(([element, { amount }]) => [element, amount]))}; positions of all its atoms and no others are needed`,
  );
}

/** Whether the other elements are in proportion and hydrogen is too little of it. */
function lacksHydrogen(counts: ReadonlyMap<number, number>, formula: Formula): boolean {
  const ratios = [...formula]
    .filter(([element]) => element !== 1)
    .map(([element, { amount }]) => (counts.get(element) ?? 0) / amount);
  const [first] = ratios;
  if (first === undefined || !ratios.every((ratio) => Math.abs(ratio - first) < 1e-6 * first)) return false;
  return (counts.get(1) ?? 0) < first * (formula.get(1)?.amount ?? 0);
}

function shown(amounts: readonly (readonly [element: number, amount: number])[]): string {
  return amounts
    .map(([element, amount]) => `${elementSymbol(element)}${amount === 1 ? '' : amount}`)
    .sort()
    .join(' ');
}
