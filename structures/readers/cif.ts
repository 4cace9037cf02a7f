import { elementOfLabel } from '../elements.js';
import { latticeFromParameters, latticeOfProteinDataBank, type CellParameters } from './cell.js';
import { parseCif, type CifBlock, type CifValue } from './cifSyntax.js';
import { namedOperations, parseOperation, type SymmetryOperation } from './cifSymmetry.js';
import { LineReader } from './lines.js';
import { MAX_RECORD_LENGTH, Rejected, attempt, parseNumber, quote, type Crystal, type FormatReader } from './record.js';

/**
 * Å; symmetry images of one site nearer than this are one atom on a special position. pymatgen's 1e-4 of a cell edge is for
 * coordinates of four digits; those of three miss a special position by up to 0.03 Å in a 20 Å cell. Nothing is lost by the
 * wider reach, for atoms below 0.4 Å are rejected anyway.
 */
const SAME_IMAGE = 0.05;

/** A site counts as fully occupied within this: occupancies are rounded to three digits. */
const OCCUPANCY_TOLERANCE = 1e-3;

/** CIF and mmCIF, block by block. Blocks without a cell (publication data) are passed over. */
export const readCif: FormatReader = async function* ({ bytes }) {
  let anyCell = false;
  for await (const text of blockTexts(bytes)) {
    const block = /^[ \t]*data_(\S*)/im.exec(text)?.[1] ?? '';
    const blocks = attempt(() => parseCif(text));
    if (blocks instanceof Rejected) {
      yield { block, found: blocks };
      anyCell = true;
      continue;
    }
    for (const each of blocks.filter(hasCell)) {
      yield { block: each.name, found: attempt(() => crystalOfBlock(each)) };
      anyCell = true;
    }
  }
  if (!anyCell)
    throw new Rejected('unparsable', 'no data block has a cell (_cell_length_a) and sites (_atom_site_fract_x)');
};

/**
 * The crystal of the first block that has one, for CIF text inside other formats.
 *
 * @param text CIF
 * @throws Rejected when it cannot be read
 */
export function parseCifCrystal(text: string): Crystal {
  const block = parseCif(text).find(hasCell);
  if (!block) throw new Rejected('unparsable', 'the CIF text has no cell (_cell_length_a)');
  return crystalOfBlock(block);
}

/** Cuts a file before each `data_` line that is not in a text field. */
async function* blockTexts(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const lines = new LineReader(bytes);
  let block: string[] = [];
  let length = 0;
  let started = false;
  let inTextField = false;
  for (let line = await lines.next(); line !== undefined; line = await lines.next()) {
    if (line.startsWith(';')) inTextField = !inTextField;
    else if (!inTextField && /^\s*data_/i.test(line)) {
      if (started) {
        yield block.join('\n');
        block = [];
        length = 0;
      }
      started = true;
    }
    block.push(line);
    length += line.length + 1;
    if (length > MAX_RECORD_LENGTH)
      throw new Rejected('unparsable', `a data block is longer than ${MAX_RECORD_LENGTH} characters`);
  }
  yield block.join('\n');
}

function hasCell(block: CifBlock): boolean {
  return block.items.has('_cell_length_a');
}

function crystalOfBlock(block: CifBlock): Crystal {
  const cell = ['length_a', 'length_b', 'length_c', 'angle_alpha', 'angle_beta', 'angle_gamma'].map((name) =>
    parseMeasured(block.items.get(`_cell_${name}`), `_cell_${name}`),
  ) as CellParameters;
  const column = siteColumns(block);
  const isCartesian = !column('fract_x') && column('cartn_x') !== undefined;
  const lattice = isCartesian ? latticeOfProteinDataBank(cell) : latticeFromParameters(cell);
  const axes = (isCartesian ? ['cartn_x', 'cartn_y', 'cartn_z'] : ['fract_x', 'fract_y', 'fract_z']).map((axis) => {
    const values = column(axis);
    if (!values) throw new Rejected('unparsable', `no sites: _atom_site_${axis} is missing`);
    return values;
  });

  const symbols = column('type_symbol');
  const labels = column('label');
  const names = symbols ?? labels;
  if (!names) throw new Rejected('unparsable', 'sites have neither _atom_site_type_symbol nor _atom_site_label');
  const occupancies = column('occupancy');
  const flags = column('calc_flag');
  const species: number[] = [];
  const coordinates: number[] = [];
  for (let site = 0; site < names.length; site++) {
    // 'dum' marks a dummy site: a place without an atom.
    if (flags?.[site] === 'dum') continue;
    const label = `site ${site} (${labels?.[site] ?? names[site] ?? '?'})`;
    const element = elementOfLabel(names[site] ?? labels?.[site] ?? '');
    if (element === undefined)
      throw new Rejected(
        'unknown_element',
        `${quote(names[site])} at ${label} is not an element; a chemical symbol is needed`,
      );
    const occupancy = occupancies?.[site] == null ? 1 : parseMeasured(occupancies[site], `occupancy of ${label}`);
    if (!(Math.abs(occupancy - 1) <= OCCUPANCY_TOLERANCE)) {
      throw new Rejected(
        'partial_occupancy',
        `${label} has occupancy ${occupancy}; a fully occupied site (1) is needed`,
      );
    }
    species.push(element);
    for (let k = 0; k < 3; k++) coordinates.push(parseMeasured(axes[k][site], `coordinate ${'xyz'[k]} of ${label}`));
  }

  const operations = blockOperations(block, lattice);
  if (isCartesian) {
    if (operations.length > 1) {
      throw new Rejected(
        'unparsable',
        'Cartesian sites with symmetry operations; fractional coordinates (_atom_site_fract_x) are needed',
      );
    }
    return { lattice, species, cartesian: coordinates };
  }
  if (operations.length <= 1) return { lattice, species, fractional: coordinates };
  return expanded(lattice, species, coordinates, operations);
}

/** Columns of the atom-site table, or single items where a file of one site has no loop. */
function siteColumns(block: CifBlock): (name: string) => CifValue[] | undefined {
  const isSites = (tag: string) => /^_atom_site_(fract|cartn)_x$/.test(tag);
  const loop = block.loops.find(({ tags }) => tags.some(isSites));
  return (name) => {
    const tag = `_atom_site_${name}`;
    if (!loop) return block.items.has(tag) ? [block.items.get(tag)!] : undefined;
    const index = loop.tags.indexOf(tag);
    if (index < 0) return undefined;
    return loop.values.filter((_, at) => at % loop.tags.length === index);
  };
}

/** A number with its uncertainty: `1.234(5)` is 1.234. */
function parseMeasured(value: CifValue | undefined, what: string): number {
  return parseNumber(value?.replace(/\(\d+\)$/, '').trim(), what);
}

/** Listed operations, else those of the named space group; a block that says nothing of symmetry lists all its atoms. */
function blockOperations(block: CifBlock, lattice: number[]): SymmetryOperation[] {
  for (const tag of ['_space_group_symop_operation_xyz', '_symmetry_equiv_pos_as_xyz']) {
    const loop = block.loops.find(({ tags }) => tags.includes(tag));
    const index = loop?.tags.indexOf(tag) ?? 0;
    const listed = loop
      ? loop.values.filter((_, at) => at % loop.tags.length === index)
      : block.items.has(tag)
        ? [block.items.get(tag)!]
        : [];
    if (listed.length > 0) return listed.map((text) => parseOperation(text ?? ''));
  }
  const item = (...tags: string[]) =>
    tags.map((tag) => block.items.get(tag)).find((value) => value != null && value.trim() !== '') ?? undefined;
  const hermannMauguin = item(
    '_space_group_name_h-m_alt',
    '_symmetry_space_group_name_h-m',
    '_space_group_name_h-m_ref',
    '_space_group_name_h-m_full',
  );
  const hall = item('_space_group_name_hall', '_symmetry_space_group_name_hall');
  const number = item('_space_group_it_number', '_symmetry_int_tables_number');
  const isIdentity = hermannMauguin
    ? /^p\s*1$/i.test(hermannMauguin.trim())
    : number === undefined
      ? hall === undefined || /^p\s*1$/i.test(hall)
      : number === '1';
  if (isIdentity) return [];
  return namedOperations({ hall, hermannMauguin, number: number === undefined ? undefined : Number(number) }, lattice);
}

/**
 * All symmetry images of all sites, site by site. Images that coincide within {@link SAME_IMAGE} are one atom, at their mean:
 * that is the projection onto the special position, so that 0.3333 becomes 1/3 as the symmetry means it.
 */
function expanded(lattice: number[], species: number[], sites: number[], operations: SymmetryOperation[]): Crystal {
  const allSpecies: number[] = [];
  const fractional: number[] = [];
  for (let site = 0; site < species.length; site++) {
    const images: { position: number[]; drift: number[]; count: number }[] = [];
    for (const { rotation, translation } of operations) {
      const position = [0, 1, 2].map((row) => {
        let x = translation[row];
        for (let k = 0; k < 3; k++) x += rotation[3 * row + k] * sites[3 * site + k];
        return x - Math.floor(x);
      });
      const near = images.find((image) => {
        const step = difference(position, image.position);
        return distanceSquared(lattice, step) < SAME_IMAGE ** 2;
      });
      if (!near) images.push({ position, drift: [0, 0, 0], count: 1 });
      else {
        const step = difference(position, near.position);
        near.drift = near.drift.map((x, k) => x + step[k]);
        near.count++;
      }
    }
    for (const { position, drift, count } of images) {
      allSpecies.push(species[site]);
      fractional.push(...position.map((x, k) => x + drift[k] / count));
    }
  }
  return { lattice, species: allSpecies, fractional };
}

/** Shortest fractional step from b to a. */
function difference(a: number[], b: number[]): number[] {
  return a.map((x, k) => x - b[k] - Math.round(x - b[k]));
}

function distanceSquared(lattice: number[], step: number[]): number {
  let sum = 0;
  for (let axis = 0; axis < 3; axis++)
    sum += (step[0] * lattice[axis] + step[1] * lattice[3 + axis] + step[2] * lattice[6 + axis]) ** 2;
  return sum;
}
