import { DEFAULT_MAX_ATOMS } from '../canonical.js';
import { elementOfSpecies } from '../elements.js';
import { LineReader } from './lines.js';
import { Rejected, parseNumber, quote, type Crystal, type FormatReader } from './record.js';

/** Å; phonopy writes lengths in Bohr where it worked with a code that does. */
const BOHR = 0.52917721092;

/** Cells that a file may have, the one that was put in first. */
const CELLS = ['unit_cell', 'primitive_cell'];

/**
 * `phonopy.yaml`, `phonopy_disp.yaml` and those of phono3py (https://phonopy.github.io/phonopy/phonopy-yaml.html): the unit cell, else
 * the primitive cell. Only what phonopy writes there is understood, line by line: the rest of the file may have gigabytes.
 */
export const readPhonopy: FormatReader = async function* ({ bytes, limits }) {
  const lines = new LineReader(bytes);
  const maxAtoms = limits.maxAtoms ?? DEFAULT_MAX_ATOMS;
  let factor = 1;
  let primitive: Crystal | undefined;
  for (let line = await lines.next(); line !== undefined; line = await lines.next()) {
    const unit = /^\s+length:\s*"?(\w+)"?/.exec(line)?.[1];
    if (unit !== undefined) factor = lengthOf(unit);
    const cell = CELLS.find((name) => line === `${name}:`);
    if (cell === undefined) continue;
    const crystal = await readCell(lines, cell, factor, maxAtoms);
    if (cell === 'unit_cell') {
      yield { found: crystal };
      return;
    }
    primitive = crystal;
  }
  if (!primitive)
    throw new Rejected('unparsable', `the YAML has neither ${CELLS.join(' nor ')}; a cell of phonopy is needed`);
  yield { found: primitive };
};

function lengthOf(unit: string): number {
  if (/^angstrom$/i.test(unit)) return 1;
  if (/^(au|bohr)$/i.test(unit)) return BOHR;
  throw new Rejected('unparsable', `the unit of length is ${quote(unit)}; angstrom or au are needed`);
}

/** The indented lines of a cell, which end where the next section begins. */
async function readCell(lines: LineReader, cell: string, factor: number, maxAtoms: number): Promise<Crystal> {
  const lattice: number[] = [];
  const species: number[] = [];
  const fractional: number[] = [];
  for (let line = await lines.next(); line !== undefined; line = await lines.next()) {
    if (/^\S/.test(line)) {
      lines.unread();
      break;
    }
    if (/^\s*reciprocal_lattice:/.test(line)) break;
    const what = `${cell} line ${quote(line)}`;
    const vector = /^\s*-\s*\[([^\]]*)\]/.exec(line);
    if (vector) lattice.push(...triple(vector[1], what).map((x) => x * factor));
    const symbol = /^\s*-\s*symbol:\s*(\S+)/.exec(line)?.[1];
    if (symbol !== undefined) species.push(elementAt(symbol, species.length));
    const coordinates = /^\s*(?:coordinates|position):\s*\[([^\]]*)\]/.exec(line);
    if (coordinates) fractional.push(...triple(coordinates[1], what));
    if (species.length > maxAtoms)
      throw new Rejected('too_large', `more than ${maxAtoms} atoms; at most ${maxAtoms} are accepted`);
  }
  return { lattice, species, fractional };
}

function elementAt(symbol: string, site: number): number {
  const element = elementOfSpecies(symbol);
  if (element === undefined)
    throw new Rejected(
      'unknown_element',
      `${quote(symbol)} at site ${site} is not an element; a chemical symbol is needed`,
    );
  return element;
}

function triple(text: string, what: string): number[] {
  const numbers = text.split(',').map((x) => parseNumber(x.trim(), what));
  if (numbers.length !== 3) throw new Rejected('unparsable', `${what} has ${numbers.length} numbers; three are needed`);
  return numbers;
}
