import { DEFAULT_MAX_ATOMS, type StructureLimits } from '../canonical.js';
import { determinant3 } from '../matrix3.js';
import { latticeFromParameters, latticeOfProteinDataBank, type CellParameters } from './cell.js';
import { hasSites, measured, sitesOfBlock } from './cifSites.js';
import { operationsOfBlock } from './cifSymmetry.js';
import { parseCif, type CifBlock } from './cifSyntax.js';
import { parseFormula, parseMoieties, requireComposition, type Formula } from './composition.js';
import { expandedSites } from './expansion.js';
import { LineReader } from './lines.js';
import { MAX_RECORD_LENGTH, Rejected, attempt, type Crystal, type FormatReader } from './record.js';

/** CIF and mmCIF, block by block. Blocks without sites (publication and powder data) are passed over. */
export const readCif: FormatReader = async function* ({ bytes, limits }) {
  let isAnyStructure = false;
  for await (const text of blockTexts(bytes)) {
    const block = /^[ \t]*data_(\S*)/im.exec(text)?.[1] ?? '';
    const blocks = attempt(() => parseCif(text));
    if (blocks instanceof Rejected) {
      yield { block, found: blocks };
      isAnyStructure = true;
      continue;
    }
    for (const each of blocks.filter(hasSites)) {
      yield { block: each.name, found: attempt(() => crystalOfBlock(each, limits)) };
      isAnyStructure = true;
    }
  }
  if (!isAnyStructure)
    throw new Rejected('unparsable', 'no data block has a cell (_cell_length_a) and sites (_atom_site_fract_x)');
};

/**
 * The crystal of the first block that has one, for CIF text inside other formats.
 *
 * @param text CIF
 * @param limits what is still accepted
 * @throws Rejected when it cannot be read
 */
export function parseCifCrystal(text: string, limits: StructureLimits): Crystal {
  const block = parseCif(text).find(hasSites);
  if (!block) throw new Rejected('unparsable', 'the CIF text has no sites (_atom_site_fract_x)');
  return crystalOfBlock(block, limits);
}

/** Cuts a file before each `data_` line that is not in a text field; what stands before the first one is left out. */
async function* blockTexts(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const lines = new LineReader(bytes);
  let block: string[] = [];
  let length = 0;
  let started = false;
  let inTextField = false;
  for (let line = await lines.next(); line !== undefined; line = await lines.next()) {
    if (started && line.startsWith(';')) inTextField = !inTextField;
    else if (!inTextField && /^\s*data_/i.test(line)) {
      if (started) yield block.join('\n');
      block = [];
      length = 0;
      started = true;
    }
    block.push(line);
    length += line.length + 1;
    if (length > MAX_RECORD_LENGTH)
      throw new Rejected('unparsable', `a data block is longer than ${MAX_RECORD_LENGTH} characters`);
  }
  yield block.join('\n');
}

const CELL = ['length_a', 'length_b', 'length_c', 'angle_alpha', 'angle_beta', 'angle_gamma'].map(
  (name) => `_cell_${name}`,
);

function crystalOfBlock(block: CifBlock, limits: StructureLimits): Crystal {
  const cell = CELL.map((tag) => measured(block.item(tag), tag)) as CellParameters;
  const stated = formulaOf(block);
  const { species, coordinates, isCartesian } = sitesOfBlock(block, stated?.formula);
  const lattice = isCartesian ? latticeOfProteinDataBank(cell) : latticeFromParameters(cell);
  // Without a volume there is no symmetry to ask for; validation says what is wrong with the cell.
  if (!(Math.abs(determinant3(lattice)) > 0)) return { lattice, species, fractional: coordinates };
  const operations = operationsOfBlock(block, lattice);
  const maxAtoms = limits.maxAtoms ?? DEFAULT_MAX_ATOMS;
  if (isCartesian && operations.length > 1)
    throw new Rejected(
      'unparsable',
      'Cartesian sites with symmetry operations; fractional coordinates (_atom_site_fract_x) are needed',
    );
  const atoms = isCartesian
    ? { species, cartesian: coordinates }
    : expandedSites(lattice, species, coordinates, operations, maxAtoms);
  if (stated && species.length > 0) requireComposition(atoms.species, stated.formula, stated.tag);
  return { lattice, ...atoms, mayHaveAlternatives: true };
}

/** What the block says it is made of. */
function formulaOf(block: CifBlock): { tag: string; formula: Formula } | undefined {
  for (const [tag, parse] of [
    ['_chemical_formula_sum', parseFormula],
    ['_chemical_formula_moiety', parseMoieties],
  ] as const) {
    const text = block.item(tag);
    const formula = text === undefined ? undefined : parse(text);
    if (formula) return { tag, formula };
  }
  return undefined;
}
