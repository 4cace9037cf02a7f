import { FIRST_RARE, atomicNumberOf } from '../elements.js';
import type { Formula } from './composition.js';

/** Labels that name no atom, whatever is behind their letters: water, dummies, centroids, vacancies, ghosts, kinds of sites. */
const NO_ELEMENT = /^(wat|water|HOH|sol|dum|dummy|du|vac|va|vc|bq|x+|cen|cent|cnt|oct|tet|cat|alk)$/;

/** Labels that are whole molecules. */
const MOLECULE = /^(H2O|D2O|H3O\+?|NH4\+?)$/;

/** Elements whose labels carry the name of a place in the molecule or mineral: `OW1`, `CA`, `HB2`, `OXT`. */
const NAMED_BY_PLACE = new Set(['H', 'C', 'N', 'O', 'F', 'P', 'S']);

/**
 * Elements that the label of a site may mean, the likelier first; a label is asked only where the file has no type symbol.
 *
 * Two letters that are an element's symbol mean that element (`Ca1`, `CL1`), also before one small letter, which is a place in a
 * mineral (`Ala`), but not before more, which make a word. One letter means its element before anything but a letter (`O1`), before
 * the capitals of a place (`OW1`, `KA`) and, for oxygen and hydrogen, before one small letter (`Oh1`, `Ow`, `Hw`). Tritium is not meant by `T`, which is
 * a tetrahedral site. Two capitals that spell an element from curium on (`CM1`, `NO2`, `OG`) are a place rather than it.
 *
 * @returns atomic numbers; none where the label names no element
 */
export function elementsOfLabel(label: string): number[] {
  const letters = /^(?:\d{1,3}(?=[A-Z]))?([A-Za-z]+)/.exec(label.trim())?.[1] ?? '';
  const isNone = NO_ELEMENT.test(letters) || NO_ELEMENT.test(letters.toLowerCase()) || MOLECULE.test(label.trim());
  if (letters === '' || isNone) return [];
  const [first, rest] = [letters[0].toUpperCase(), letters.slice(1)];
  const one = first === 'T' ? undefined : atomicNumberOf(first);
  const isWord = /^.[a-z]/.test(rest) && !/^[a-z][a-z]$/.test(rest);
  const two = rest === '' || isWord ? undefined : atomicNumberOf(first + rest[0].toLowerCase());
  const isPlace = NAMED_BY_PLACE.has(first) ? /^[A-Z]{1,2}[a-z]?$/.test(rest) : /^[A-Z]$/.test(rest);
  const isSmallPlace = /[OH]/.test(first) && /^[a-z][A-Z]?$/.test(rest);
  const byFirst = one !== undefined && (rest === '' || isPlace || isSmallPlace) ? [one] : [];
  if (two === undefined) return byFirst;
  return two >= FIRST_RARE && /^[A-Z]/.test(rest) ? [...byFirst, two] : [two, ...byFirst];
}

/**
 * The element of a label: of those it may mean, the one that the file's own formula has (`HO2` is a hydrogen of C2 H2 O4, not
 * holmium), else the likeliest.
 */
export function elementOfLabel(label: string, formula: Formula | undefined): number | undefined {
  const candidates = elementsOfLabel(label);
  return candidates.find((element) => formula?.has(element)) ?? candidates[0];
}
