import { elementSymbol } from './elements.js';

/**
 * Reduced chemical formula with the elements in alphabetical order, as OPTIMADE defines `chemical_formula_reduced`
 * (`Al3HfNi12`, `ClNa`), so that equal compositions have equal formulas whatever the source.
 *
 * @param atomicNumbers [n_atoms] atomic numbers, 1..118
 * @returns the formula; empty for no atoms
 */
export function reducedFormula(atomicNumbers: ArrayLike<number>): string {
  const counts = new Map<string, number>();
  for (let i = 0; i < atomicNumbers.length; i++) {
    const symbol = elementSymbol(atomicNumbers[i]);
    counts.set(symbol, (counts.get(symbol) ?? 0) + 1);
  }
  let divisor = 0;
  for (const count of counts.values()) divisor = greatestCommonDivisor(divisor, count);
  return [...counts.keys()]
    .sort()
    .map((symbol) => (counts.get(symbol) === divisor ? symbol : `${symbol}${counts.get(symbol)! / divisor}`))
    .join('');
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
