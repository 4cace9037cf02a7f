import { elementOfLabel } from '../elements.js';
import { determinant3 } from '../matrix3.js';
import { readText } from './lines.js';
import { Rejected, parseNumber, quote, type Crystal, type FormatReader } from './record.js';

/** POSCAR and CONTCAR of VASP 4, 5 and 6 (https://www.vasp.at/wiki/POSCAR). */
export const readPoscar: FormatReader = async function* ({ bytes }) {
  yield { found: parsePoscar(await readText(bytes)) };
};

/**
 * @param lines of a file
 * @returns whether they are laid out like a POSCAR: a scale (or three), three vectors
 */
export function looksLikePoscar(lines: readonly string[]): boolean {
  const numbers = lines.slice(1, 5).map((line) => {
    const values = line.trim().split(/\s+/);
    const text = values.findIndex((x) => x === '' || Number.isNaN(Number(x)));
    return text < 0 ? values.length : text;
  });
  return (
    numbers.length === 4 && (numbers[0] === 1 || numbers[0] === 3) && numbers.slice(1).every((count) => count >= 3)
  );
}

function parsePoscar(text: string): Crystal {
  const lines = text.split(/\r?\n/);
  const [comment = '', scaleLine = ''] = lines;
  const raw = [2, 3, 4].flatMap((at) => row(lines[at], `lattice vector ${'abc'[at - 2]}`));
  const scale = scaleFactors(scaleLine, raw);
  const lattice = raw.map((x, i) => x * scale[i % 3]);

  let at = 5;
  const named = words(lines[at]).some((word) => !/^\d+$/.test(word)) ? words(lines[at++]) : undefined;
  const counts = words(lines[at++]).map((word) => {
    if (!/^\d+$/.test(word))
      throw new Rejected('unparsable', `${quote(word)} stands where the numbers of atoms are needed`);
    return Number(word);
  });
  if (named && named.length !== counts.length) {
    throw new Rejected(
      'unparsable',
      `${named.length} element names (${named.join(' ')}) and ${counts.length} numbers of atoms; equally many are needed`,
    );
  }
  const total = counts.reduce((sum, count) => sum + count, 0);
  const isSelective = /^\s*s/i.test(lines[at] ?? '');
  if (isSelective) at++;
  // VASP looks at the first letter only: c or k is Cartesian, anything else direct.
  const isCartesian = /^\s*[ck]/i.test(lines[at++] ?? '');

  const coordinates: number[] = [];
  for (let atom = 0; atom < total; atom++) {
    if ((lines[at + atom] ?? '').trim() === '')
      throw new Rejected('unparsable', `${atom} positions for ${total} atoms; one line each is needed`);
    coordinates.push(...row(lines[at + atom], `position ${atom}`));
  }
  const kinds = named ?? namesInComment(comment, counts);
  const siteNames = kinds
    ? kinds.flatMap((name, kind) => new Array<string>(counts[kind]).fill(name))
    : Array.from({ length: total }, (_, atom) => words(lines[at + atom])[isSelective ? 6 : 3] ?? '');
  const species = siteNames.map((name, atom) => {
    // VASP 6 writes 'Si/9a8b', the hash of the potential; POTCAR names have suffixes as in 'Fe_pv'.
    const element = elementOfLabel(name.split(/[/_]/)[0]);
    if (element !== undefined) return element;
    if (kinds)
      throw new Rejected(
        'unknown_element',
        `${quote(name)} at site ${atom} is not an element; a chemical symbol is needed`,
      );
    throw new Rejected(
      'unknown_element',
      `the file (VASP 4) names no elements: neither its comment ${quote(comment)} nor the line of site ${atom} has them; a line of element symbols before the numbers of atoms is needed`,
    );
  });
  const scaled = isCartesian ? coordinates.map((x, i) => x * scale[i % 3]) : coordinates;
  return isCartesian ? { lattice, species, cartesian: scaled } : { lattice, species, fractional: scaled };
}

/** One factor for all, a negative one for the volume of the cell, or one for each Cartesian axis. */
function scaleFactors(line: string, lattice: number[]): number[] {
  const values = words(line).map((word) => parseNumber(word, 'scaling factor'));
  if (values.length === 3) return values;
  const scale = values[0];
  if (scale === undefined || scale === 0)
    throw new Rejected(
      'unparsable',
      `the scaling factor is ${quote(line)}; a number other than 0, or three, are needed`,
    );
  if (scale > 0) return [scale, scale, scale];
  return new Array<number>(3).fill(Math.cbrt(-scale / Math.abs(determinant3(lattice))));
}

/** Elements in the comment of a VASP 4 file, if they match the counts: `Na Cl` or `Na4 Cl4` for `4 4`. */
function namesInComment(comment: string, counts: number[]): string[] | undefined {
  const parts = words(comment).map((word) => /^([A-Z][a-z]?)(\d*)$/.exec(word));
  const match =
    parts.length === counts.length &&
    parts.every((part, i) => part && elementOfLabel(part[1]) && (part[2] === '' || Number(part[2]) === counts[i]));
  return match ? parts.map((part) => part![1]) : undefined;
}

function words(line: string | undefined): string[] {
  // Text behind ! or # is a remark.
  return (line ?? '')
    .replace(/[!#].*$/, '')
    .trim()
    .split(/\s+/)
    .filter((word) => word !== '');
}

function row(line: string | undefined, what: string): number[] {
  const values = words(line);
  return [0, 1, 2].map((i) => parseNumber(values[i], `component ${i + 1} of ${what}`));
}
