import { elementOfSpecies } from '../elements.js';
import { readText } from './lines.js';
import { Rejected, attempt, parseNumber, quote, type Crystal, type FormatReader } from './record.js';

/** XCrySDen XSF (http://www.xcrysden.org/doc/XSF.html): crystals, also as frames of an animation; grids are passed over. */
export const readXsf: FormatReader = async function* ({ bytes }) {
  const lines = (await readText(bytes)).split(/\r\n?|\n/).filter((line) => !/^\s*(#|$)/.test(line));
  const kind = lines.find((line) => /^\s*(SLAB|POLYMER|MOLECULE|ATOMS)\b/.test(line));
  if (kind !== undefined)
    throw new Rejected(
      'unparsable',
      `the file describes a ${kind.trim()}; a CRYSTAL, periodic in three directions, is needed`,
    );
  const frames = [...lines.keys()].filter((at) => /^\s*PRIMCOORD/.test(lines[at]));
  if (frames.length === 0)
    throw new Rejected('unparsable', 'no PRIMCOORD section; the atoms of the primitive cell are needed');
  for (const at of frames) yield { found: attempt(() => crystalAt(lines, at)) };
};

function crystalAt(lines: string[], at: number): Crystal {
  const vectors = lines.findLastIndex((line, i) => i < at && /^\s*PRIMVEC/.test(line));
  if (vectors < 0)
    throw new Rejected('unparsable', 'no PRIMVEC section before PRIMCOORD; three lattice vectors are needed');
  const lattice = [1, 2, 3].flatMap((row) => numbers(lines[vectors + row], 0, `PRIMVEC ${row}`));
  const count = parseNumber(lines[at + 1]?.trim().split(/\s+/)[0], 'number of atoms');
  const species: number[] = [];
  const cartesian: number[] = [];
  for (let atom = 0; atom < count; atom++) {
    const line = lines[at + 2 + atom];
    if (line === undefined) throw new Rejected('unparsable', `${atom} of ${count} atoms; one line each is needed`);
    const label = line.trim().split(/\s+/)[0];
    const element = /^\d+$/.test(label) ? Number(label) : elementOfSpecies(label);
    if (element === undefined)
      throw new Rejected(
        'unknown_element',
        `${quote(label)} at site ${atom} is not an element; a symbol or an atomic number is needed`,
      );
    species.push(element);
    cartesian.push(...numbers(line, 1, `position ${atom}`));
  }
  return { lattice, species, cartesian };
}

function numbers(line: string | undefined, from: number, what: string): number[] {
  const words = line?.trim().split(/\s+/) ?? [];
  return [0, 1, 2].map((i) => parseNumber(words[from + i], `component ${i + 1} of ${what}`));
}
