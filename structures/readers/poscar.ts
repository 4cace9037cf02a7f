import { DEFAULT_MAX_ATOMS } from '../canonical.js';
import { elementOfSpecies } from '../elements.js';
import { determinant3 } from '../matrix3.js';
import { LineReader } from './lines.js';
import { Rejected, attempt, parseNumber, plainNumber, quote, type Crystal, type FormatReader } from './record.js';

/** Line before each frame of an XDATCAR. */
const FRAME = /^\s*(direct\s+configuration|konfig)\s*=/i;

/** POSCAR and CONTCAR of VASP 4, 5 and 6 (https://www.vasp.at/wiki/POSCAR), and XDATCAR: the same with a line before each frame. */
export const readPoscar: FormatReader = async function* ({ bytes, limits }) {
  const lines = new Lines(bytes);
  const maxAtoms = limits.maxAtoms ?? DEFAULT_MAX_ATOMS;
  let header = await readHeader(lines, maxAtoms);
  const separator = await lines.peek();
  // XDATCAR of VASP 4 and early 5 has a blank line before each frame and one header.
  const isBlank = separator !== undefined && separator.trim() === '';
  if (!isBlank && !FRAME.test(separator ?? '')) {
    const crystal = await readPositions(lines, header);
    await requireKnownRest(lines, header.total);
    yield { found: crystal };
    return;
  }
  while ((await lines.peekFilled()) !== undefined) {
    // VASP repeats the header before each frame where the cell changes.
    if (!isBlank && !FRAME.test((await lines.peek())!)) header = await readHeader(lines, maxAtoms);
    if (!isBlank && !FRAME.test((await lines.next()) ?? ''))
      throw new Rejected('unparsable', `no line 'Direct configuration=' stands before a frame of the XDATCAR`);
    const { lattice, kinds, counts, total, comment } = header;
    const fractional: number[] = [];
    for (let atom = 0; atom < total; atom++) {
      const soon = lines.soon();
      pushRow(fractional, soon instanceof Promise ? await soon : soon, 'position', atom);
    }
    yield {
      found: attempt(() => ({
        lattice,
        species: speciesOf(kinds ?? namesInComment(comment, counts), counts, comment),
        fractional,
      })),
    };
  }
};

/**
 * @param lines of a file
 * @returns whether they are laid out like a POSCAR: a scale (or three), three vectors
 */
export function looksLikePoscar(lines: readonly string[]): boolean {
  const numbers = lines.slice(1, 5).map((line) => {
    const values = words(line);
    const text = values.findIndex((x) => !/^[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?$/.test(x));
    return text < 0 ? values.length : text;
  });
  return numbers.length === 4 && numbers[0] >= 1 && numbers[0] <= 3 && numbers.slice(1).every((count) => count >= 3);
}

interface Header {
  comment: string;
  scale: number[];
  lattice: number[];
  /** Symbols of the groups of atoms, where the file has a line for them (VASP 5 and later). */
  kinds: string[] | undefined;
  /** Atoms of each group. */
  counts: number[];
  total: number;
}

async function readHeader(lines: Lines, maxAtoms: number): Promise<Header> {
  const comment = (await lines.next()) ?? '';
  const scaleLine = (await lines.next()) ?? '';
  const raw: number[] = [];
  for (const name of 'abc') raw.push(...row(await lines.next(), `lattice vector ${name}`));
  const scale = scaleFactors(scaleLine, raw);
  const lattice = raw.map((x, i) => x * scale[i % 3]);

  // VASP breaks these lines after 20 groups; programs write them whole.
  const names: string[] = [];
  for (
    let next = words(await lines.peek());
    next.length > 0 && !next.every(isCount);
    next = words(await lines.peek())
  ) {
    const stray = next.find(isCount);
    if (names.length > 0 && stray !== undefined)
      throw new Rejected(
        'unparsable',
        `${quote(stray)} stands among the element names; a line of its own is needed for the numbers of atoms`,
      );
    names.push(...next);
    await lines.next();
    if (names.length > MAX_GROUPS) break;
  }
  const counts: number[] = [];
  for (let next = words(await lines.peek()); next.length > 0 && next.every(isCount); next = words(await lines.peek())) {
    counts.push(...next.map(Number));
    await lines.next();
    if (counts.length > MAX_GROUPS || (names.length > 0 && counts.length >= names.length)) break;
  }
  if (counts.length === 0)
    throw new Rejected('unparsable', `${quote(await lines.peek())} stands where the numbers of atoms are needed`);
  if (names.length > 0 && names.length !== counts.length)
    throw new Rejected(
      'unparsable',
      `${names.length} element names (${names.slice(0, 30).join(' ')}) and ${counts.length} numbers of atoms; equally many are needed`,
    );
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total > maxAtoms) throw new Rejected('too_large', `${total} atoms; at most ${maxAtoms} are accepted`);
  return { comment, scale, lattice, kinds: names.length > 0 ? names : undefined, counts, total };
}

/** More groups than atoms are ever accepted; the bound only guards against junk. */
const MAX_GROUPS = 100_000;

const isCount = (word: string): boolean => /^\d+$/.test(word);

async function readPositions(lines: Lines, header: Header): Promise<Crystal> {
  const { lattice, scale, comment, counts, total } = header;
  const isSelective = /^\s*s/i.test((await lines.peek()) ?? '');
  if (isSelective) await lines.next();
  // VASP looks at the first letter only: c or k is Cartesian, anything else direct.
  const mode = (await lines.next()) ?? '';
  if (!/^\s*[A-Za-z]/.test(mode))
    throw new Rejected('unparsable', `${quote(mode)} stands where a line Direct or Cartesian is needed`);
  const isCartesian = /^\s*[ck]/i.test(mode);

  const kinds = header.kinds ?? namesInComment(comment, counts);
  const coordinates: number[] = [];
  const named: string[] = [];
  for (let atom = 0; atom < total; atom++) {
    const soon = lines.soon();
    const line = soon instanceof Promise ? await soon : soon;
    if ((line ?? '').trim() === '')
      throw new Rejected('unparsable', `${atom} positions for ${total} atoms; one line each is needed`);
    pushRow(coordinates, line, 'position', atom);
    if (!kinds) named.push(words(line)[isSelective ? 6 : 3] ?? '');
  }
  const species = speciesOf(kinds, counts, comment, named);
  const scaled = isCartesian ? coordinates.map((x, i) => x * scale[i % 3]) : coordinates;
  return isCartesian ? { lattice, species, cartesian: scaled } : { lattice, species, fractional: scaled };
}

function speciesOf(kinds: string[] | undefined, counts: number[], comment: string, named: string[] = []): number[] {
  if (kinds)
    return kinds.flatMap((name, kind) => {
      if (counts[kind] === 0) return [];
      // VASP 6 writes 'Si/9a8b', the hash of the potential; POTCAR names have suffixes as in 'Fe_pv'.
      const element = elementOfSpecies(name.split(/[/_]/)[0]);
      if (element === undefined)
        throw new Rejected(
          'unknown_element',
          `${quote(name)} at site ${counts.slice(0, kind).reduce((sum, count) => sum + count, 0)} is not an element; a chemical symbol is needed`,
        );
      return new Array<number>(counts[kind]).fill(element);
    });
  const total = counts.reduce((sum, count) => sum + count, 0);
  return Array.from({ length: total }, (_, atom) => {
    const element = elementOfSpecies((named[atom] ?? '').split(/[/_]/)[0]);
    if (element !== undefined) return element;
    throw new Rejected(
      'unknown_element',
      `the file (VASP 4) names no elements: neither its comment ${quote(comment)} nor the line of site ${atom} has them; a line of element symbols before the numbers of atoms is needed`,
    );
  });
}

/**
 * What VASP writes behind the positions of a POSCAR: velocities of lattice and atoms and the state of its thermostat. Anything else
 * is another format that begins alike (CHGCAR, LOCPOT), or positions without atoms.
 */
async function requireKnownRest(lines: Lines, total: number): Promise<void> {
  let directly = (await lines.peek()) ?? '';
  let line = await lines.peekFilled();
  if (/^\s*lattice velocities/i.test(line ?? '')) {
    for (let i = 0; i < 8; i++) await lines.next();
    directly = (await lines.peek()) ?? '';
    line = await lines.peekFilled();
  }
  if (line === undefined) return;
  const grid = words(line);
  if (grid.length === 3 && grid.every((word) => /^[1-9]\d*$/.test(word)))
    throw new Rejected(
      'unparsable',
      `a grid of ${grid.join(' x ')} points follows the positions: a density or potential of VASP; its CONTCAR holds the structure`,
    );
  if (/^\s*[ckd]/i.test(line)) await lines.next();
  else if (directly.trim() !== '')
    throw new Rejected(
      'unparsable',
      `${quote(directly)} follows the ${total} positions; the numbers of atoms must count all`,
    );
  for (let atom = 0; atom < total; atom++) {
    const velocity = await lines.next();
    // A file may end without velocities behind the line that announces them.
    if (atom === 0 && velocity === undefined) return;
    row(velocity, `velocity ${atom}, or what else follows the positions,`);
  }
  line = await lines.peekFilled();
  if (line !== undefined && words(line).length !== 1)
    throw new Rejected(
      'unparsable',
      `${quote(line)} follows the velocities; the state of a thermostat begins with one number`,
    );
  for (; line !== undefined; line = await lines.peekFilled()) {
    for (const word of words(await lines.next())) parseNumber(word, 'what follows the velocities');
  }
}

/** One factor for all, a negative one for the volume of the cell, or one for each Cartesian axis. */
function scaleFactors(line: string, lattice: number[]): number[] {
  const values = words(line).map((word) => parseNumber(word, 'scaling factor'));
  if (values.length === 3 && values.every((x) => x > 0)) return values;
  const scale = values[0];
  if (values.length !== 1 || scale === 0)
    throw new Rejected(
      'unparsable',
      `the scaling factor is ${quote(line)}; a number other than 0, or three above 0, are needed`,
    );
  if (scale > 0) return [scale, scale, scale];
  return new Array<number>(3).fill(Math.cbrt(-scale / Math.abs(determinant3(lattice))));
}

/** Elements in the comment of a VASP 4 file, if they match the counts: `Na Cl` or `Na4 Cl4` for `4 4`. */
function namesInComment(comment: string, counts: number[]): string[] | undefined {
  const parts = words(comment).map((word) => /^([A-Z][a-z]?)(\d*)$/.exec(word));
  const match =
    parts.length === counts.length &&
    parts.every((part, i) => part && elementOfSpecies(part[1]) && (part[2] === '' || Number(part[2]) === counts[i]));
  return match ? parts.map((part) => part![1]) : undefined;
}

function words(line: string | undefined): string[] {
  // Text behind ! or # is a remark.
  const text = (line ?? '').replace(/[!#].*$/, '').trim();
  return text === '' ? [] : text.split(/\s+/);
}

function row(line: string | undefined, what: string): number[] {
  const numbers: number[] = [];
  pushRow(numbers, line, what);
  return numbers;
}

/** Appends the three numbers of a line, which messages call by `what` and its index. */
function pushRow(numbers: number[], line: string | undefined, what: string, index?: number): void {
  let values = words(line);
  // Fortran leaves no blank before the sign of a number that fills its field: -0.63265286-0.11227753.
  if (values.length < 3) values = words(line?.replace(/(?<=\d)-(?=\d)/g, ' -'));
  for (let i = 0; i < 3; i++) {
    const value = plainNumber(values[i]);
    // The name is put together for a message alone.
    numbers.push(
      value ?? parseNumber(values[i], `component ${i + 1} of ${what}${index === undefined ? '' : ` ${index}`}`),
    );
  }
}

/** Lines that can be looked at before they are read. */
class Lines {
  readonly #lines: LineReader;

  constructor(bytes: AsyncIterable<Uint8Array>) {
    this.#lines = new LineReader(bytes);
  }

  next(): Promise<string | undefined> {
    return this.#lines.next();
  }

  soon(): string | undefined | Promise<string | undefined> {
    return this.#lines.soon();
  }

  async peek(): Promise<string | undefined> {
    const line = await this.#lines.next();
    if (line !== undefined) this.#lines.unread();
    return line;
  }

  /** The next line that has more than blanks and remarks, behind the others. */
  async peekFilled(): Promise<string | undefined> {
    for (;;) {
      const line = await this.peek();
      if (line === undefined || words(line).length > 0) return line;
      await this.#lines.next();
    }
  }
}
