import { DEFAULT_MAX_ATOMS } from '../canonical.js';
import { elementOfSpecies } from '../elements.js';
import { LineReader } from './lines.js';
import { Rejected, attempt, parseNumber, quote, type Crystal, type FormatReader } from './record.js';

/**
 * `vasprun.xml`: the structure of each ionic step, in order. VASP writes an element a line, and so it is read; a file that breaks off
 * gives the steps that are whole.
 */
export const readVasprun: FormatReader = async function* ({ bytes, limits }) {
  const lines = new LineReader(bytes);
  const maxAtoms = limits.maxAtoms ?? DEFAULT_MAX_ATOMS;
  const symbols: string[] = [];
  let isInAtoms = false;
  let isInStep = false;
  let steps = 0;
  for (let line = await lines.next(); line !== undefined; line = await lines.next()) {
    if (/<array name="atoms"/.test(line)) isInAtoms = true;
    else if (isInAtoms) {
      const symbol = /<rc><c>\s*([^<\s]*)\s*<\/c>/.exec(line)?.[1];
      if (symbol !== undefined) symbols.push(symbol);
      if (symbols.length > maxAtoms)
        throw new Rejected('too_large', `more than ${maxAtoms} atoms; at most ${maxAtoms} are accepted`);
      if (/<\/array>/.test(line)) isInAtoms = false;
    } else if (/<calculation>/.test(line)) isInStep = true;
    else if (/<\/calculation>/.test(line)) isInStep = false;
    else if (/<structure\b/.test(line) && (isInStep || (steps === 0 && line.includes('"finalpos"')))) {
      // Runs without ionic steps, such as those of spectra, state their structure behind everything else.
      const lattice = await varray(lines, 'basis', 3);
      const fractional = await varray(lines, 'positions', symbols.length);
      steps++;
      yield { found: attempt((): Crystal => ({ lattice, species: symbols.map(elementAt), fractional })) };
    }
  }
  if (steps === 0)
    throw new Rejected('empty', 'the vasprun.xml has no structure of an ionic step; one or more are needed');
};

function elementAt(symbol: string, site: number): number {
  const element = elementOfSpecies(symbol);
  if (element === undefined)
    throw new Rejected(
      'unknown_element',
      `${quote(symbol)} at site ${site} is not an element; a chemical symbol is needed`,
    );
  return element;
}

/** Rows of the next `<varray>` of a name. */
async function varray(lines: LineReader, name: string, rows: number): Promise<number[]> {
  let line = await lines.next();
  while (line !== undefined && !line.includes(`<varray name="${name}"`)) line = await lines.next();
  const numbers: number[] = [];
  for (let row = 0; row < rows; row++) {
    line = await lines.next();
    const words = /<v>([^<]*)<\/v>/
      .exec(line ?? '')?.[1]
      .trim()
      .split(/\s+/);
    if (words?.length !== 3)
      throw new Rejected('unparsable', `row ${row} of ${name} is ${quote(line)}; three numbers are needed`);
    numbers.push(...words.map((x) => parseNumber(x, `row ${row} of ${name}`)));
  }
  return numbers;
}
