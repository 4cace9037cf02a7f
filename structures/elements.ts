/** Chemical symbols, index = atomic number (0 is unused). */
const SYMBOLS = (
  '- H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru ' +
  'Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn ' +
  'Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og'
).split(' ');

/** The heaviest element there is a symbol for (oganesson). */
export const MAX_ATOMIC_NUMBER = SYMBOLS.length - 1;

/** Deuterium and tritium are hydrogen: potentials know elements, not isotopes. */
const ATOMIC_NUMBERS = new Map<string, number>([
  ...SYMBOLS.map((s, z) => [s, z] as const).slice(1),
  ['D', 1],
  ['T', 1],
]);

/**
 * Chemical symbol of an atomic number.
 *
 * @param atomicNumber 1..118
 * @returns the symbol, e.g. `Fe` for 26
 * @throws RangeError when there is no such element
 */
export function elementSymbol(atomicNumber: number): string {
  const symbol = atomicNumber > 0 ? SYMBOLS[atomicNumber] : undefined;
  if (symbol === undefined)
    throw new RangeError(`structures/elements: no element ${atomicNumber}; 1..${MAX_ATOMIC_NUMBER} exist`);
  return symbol;
}

/**
 * Atomic number of a chemical symbol. `D` and `T` are hydrogen.
 *
 * @param symbol exactly as in the periodic table, e.g. `Fe`
 * @returns 1..118, or undefined when it names no element (`X`, `Vac`, `Fe0.5Ni0.5`)
 */
export function atomicNumberOf(symbol: string): number | undefined {
  return ATOMIC_NUMBERS.get(symbol);
}

/**
 * Element of a species or type label: a symbol in any case with an optional charge, spin or site number, as CIF, pymatgen
 * and VASP write them (`Fe3+`, `O2-`, `Ni0+,spin=5`, `CL`, `Si1`, `Fe_pv`).
 *
 * A label whose letters go on in lower case after the symbol names something else (`Wat` is water, not tungsten).
 *
 * @param label the label as the file has it
 * @returns 1..118, or undefined when the label names no single element
 */
export function elementOfLabel(label: string): number | undefined {
  const exact = ATOMIC_NUMBERS.get(label);
  if (exact !== undefined) return exact;
  const letters = /^([A-Za-z])([A-Za-z]?)([a-z]?)/.exec(label);
  if (!letters || letters[3] !== '') return undefined;
  const first = letters[1].toUpperCase();
  const second = letters[2];
  if (second === '') return ATOMIC_NUMBERS.get(first);
  const two = ATOMIC_NUMBERS.get(first + second.toLowerCase());
  // 'OH1' is an oxygen of a hydroxyl group, but 'Oh' is nothing: an upper-case second letter may belong to the site name.
  return two ?? (second === second.toUpperCase() ? ATOMIC_NUMBERS.get(first) : undefined);
}
