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

/** From curium on there are next to no crystals. */
export const FIRST_RARE = 96;

/** What may follow the symbol: a site number or a charge (`3+`, `+3`, `2-`, `2.5+`, `0+`), and pymatgen's spin. */
const SUFFIX = /^(?:\d*|[+-]+|\d*\.?\d*[+-]|[+-]\d*\.?\d*)(?:,spin=[+-]?[\d.]+)?$/;

/**
 * Element of a species or type symbol: a chemical symbol in any case, alone or with a mass number before it or a site number or
 * charge behind it, as CIF, pymatgen and XCrySDen write them (`Fe3+`, `O2-`, `Ni0+,spin=5`, `CL`, `Si1`, `2H`). Several states of one
 * element are that element (`Fe2+/Fe3+`).
 *
 * Anything else is none: vacancies and dummies (`Va`, `VAC`, `X`, `DUM`), groups (`OH`, `NH4`), mixed sites (`FeNi`).
 *
 * @param species as the file has it
 * @returns 1..118, or undefined when it names no single element
 */
export function elementOfSpecies(species: string): number | undefined {
  const exact = ATOMIC_NUMBERS.get(species);
  if (exact !== undefined) return exact;
  const states = species.split(/[/,](?=[A-Z])|(?<=[+-])(?=[A-Z])/);
  const [first, ...others] = states.map(elementOfState);
  return others.every((other) => other === first) ? first : undefined;
}

function elementOfState(state: string): number | undefined {
  const [, letters, suffix] = /^(?:\d{1,3}(?=[A-Z]))?([A-Za-z]{1,2})([^A-Za-z].*)?$/.exec(state.trim()) ?? [];
  if (letters === undefined || !SUFFIX.test(suffix ?? '')) return undefined;
  const element = ATOMIC_NUMBERS.get(letters[0].toUpperCase() + letters.slice(1).toLowerCase());
  // NH4 and CN are groups and NO2 a place of oxygen rather than nihonium, copernicium and nobelium in capitals.
  return element !== undefined && element >= FIRST_RARE && /[A-Z]{2}/.test(letters) ? undefined : element;
}
