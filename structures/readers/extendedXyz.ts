import { DEFAULT_MAX_ATOMS } from '../canonical.js';
import { elementOfSpecies } from '../elements.js';
import { isObject } from './documentCrystals.js';
import { parseJson } from './jsonText.js';
import { LineReader } from './lines.js';
import { statedId } from './materialId.js';
import { Rejected, parseNumber, plainNumber, quote, type Crystal, type FormatReader } from './record.js';
import { latticeOf, parseComment, requirePeriodicFlags } from './xyzComment.js';

/** Characters; lattice, properties and a frame's scalars take far less. */
const MAX_COMMENT = 2 ** 20;

/** Sites may be this far from full occupancy: it is written with three digits. */
const OCCUPANCY_TOLERANCE = 1e-3;

const ATOM_COUNT = /^\s*\d+\s*$/;

/**
 * Extended XYZ (https://github.com/libAtoms/extxyz), frame by frame. After a broken frame, reading goes on at the next line
 * that is an atom count.
 */
export const readExtendedXyz: FormatReader = async function* ({ bytes, limits }) {
  const lines = new LineReader(bytes);
  const maxAtoms = limits.maxAtoms ?? DEFAULT_MAX_ATOMS;
  for (;;) {
    let line: string | undefined;
    do line = await lines.next();
    while (line !== undefined && line.trim() === '');
    if (line === undefined) return;
    lines.unread();

    let id: string | undefined;
    let found: Crystal | Rejected;
    try {
      found = await readFrame(lines, maxAtoms, (stated) => (id = stated));
    } catch (error) {
      if (!(error instanceof Rejected)) throw error;
      found = error;
      await skipToAtomCount(lines);
    }
    yield { id, found };
  }
};

async function readFrame(
  lines: LineReader,
  maxAtoms: number,
  named: (id: string | undefined) => void,
): Promise<Crystal> {
  const first = await lines.next();
  if (!ATOM_COUNT.test(first!))
    throw new Rejected('unparsable', `${quote(first)} stands where a frame begins; its number of atoms is needed`);
  const count = Number(first);
  const comment = (await lines.next()) ?? '';
  if (comment.length > MAX_COMMENT)
    throw new Rejected(
      'unparsable',
      `the comment line has ${comment.length} characters; at most ${MAX_COMMENT} are read`,
    );
  const fields = parseComment(comment);
  named(statedId(fields));
  if (count > maxAtoms) throw new Rejected('too_large', `${count} atoms; at most ${maxAtoms} are accepted`);

  const columns = parseProperties(fields.Properties ?? fields.properties);
  const species: number[] = [];
  const cartesian: number[] = [];
  let unknown: Rejected | undefined;
  for (let atom = 0; atom < count; atom++) {
    const soon = lines.soon();
    const line = soon instanceof Promise ? await soon : soon;
    const values = line?.trim().split(/\s+/) ?? [];
    if (values.length < columns.width) {
      if (line !== undefined) lines.unread();
      throw new Rejected(
        'unparsable',
        `line ${quote(line)} of atom ${atom} of ${count} has ${line?.trim() ? values.length : 0} columns; ${columns.width} are needed`,
      );
    }
    const label = values[columns.species];
    const element = columns.speciesIsNumber
      ? Number(label)
      : (elementOfSpecies(label) ?? (/^\d+$/.test(label) ? Number(label) : undefined));
    if (element === undefined)
      unknown ??= new Rejected(
        'unknown_element',
        `${quote(label)} at site ${atom} is not an element; a chemical symbol is needed`,
      );
    if (columns.occupancy !== undefined && Math.abs(Number(values[columns.occupancy]) - 1) > OCCUPANCY_TOLERANCE)
      throw new Rejected(
        'partial_occupancy',
        `site ${atom} has occupancy ${quote(values[columns.occupancy])}; 1 is needed`,
      );
    species.push(element ?? 0);
    for (let k = 0; k < 3; k++) {
      const text = values[columns.position + k];
      // The name is put together for a message alone.
      cartesian.push(plainNumber(text) ?? parseNumber(text, `coordinate ${'xyz'[k]} of site ${atom}`));
    }
  }
  await expectFrameEnd(lines, count);
  if (unknown) throw unknown;

  const lattice = fields.Lattice ?? fields.lattice ?? fields.cell;
  requirePeriodicFlags(fields.pbc);
  if (lattice === undefined)
    throw new Rejected('singular_cell', 'the frame has no Lattice; three lattice vectors are needed');
  requireOrdered(fields.occupancy);
  return { lattice: latticeOf(lattice), species, cartesian };
}

/** ASE keeps the occupancies of a CIF it has read as `occupancy="_JSON {"0": {"Al": 0.5, "Si": 0.5}}"`. */
function requireOrdered(occupancy: string | undefined): void {
  if (!occupancy?.startsWith('_JSON ')) return;
  const sites = parseJson(occupancy.slice('_JSON '.length));
  for (const [site, content] of Object.entries(isObject(sites) ? sites : {})) {
    const amounts = Object.values(isObject(content) ? content : {});
    if (amounts.length !== 1 || Math.abs(Number(amounts[0]) - 1) > OCCUPANCY_TOLERANCE)
      throw new Rejected(
        'partial_occupancy',
        `kind ${site} holds ${quote(JSON.stringify(content))}; one element is needed`,
      );
  }
}

/** A frame with more atom lines than its count must not pass as a smaller structure. */
async function expectFrameEnd(lines: LineReader, count: number): Promise<void> {
  let line: string | undefined;
  do line = await lines.next();
  while (line !== undefined && line.trim() === '');
  if (line === undefined) return;
  lines.unread();
  if (!ATOM_COUNT.test(line) && line.split(/\s+/).filter((word) => /^[+-]?(\d|\.\d)/.test(word)).length >= 3)
    throw new Rejected(
      'unparsable',
      `${quote(line)} follows the ${count} atoms of the frame; the next frame's number of atoms is needed`,
    );
}

async function skipToAtomCount(lines: LineReader): Promise<void> {
  for (;;) {
    try {
      const line = await lines.next();
      if (line === undefined) return;
      if (ATOM_COUNT.test(line)) return lines.unread();
    } catch (error) {
      // An overlong line belongs to the junk being skipped.
      if (!(error instanceof Rejected)) throw error;
    }
  }
}

interface Columns {
  species: number;
  speciesIsNumber: boolean;
  position: number;
  occupancy: number | undefined;
  width: number;
}

/** Columns of `Properties=species:S:1:pos:R:3:...`; without it, symbol and position as in plain XYZ. */
function parseProperties(properties = 'species:S:1:pos:R:3'): Columns {
  const parts = properties.split(':');
  const offsets = new Map<string, { at: number; kind: string; count: number }>();
  let width = 0;
  for (let i = 0; i + 2 < parts.length; i += 3) {
    const count = Number(parts[i + 2]);
    if (!Number.isInteger(count) || count < 1)
      throw new Rejected(
        'unparsable',
        `Properties ${quote(properties)} has the column count ${quote(parts[i + 2])}; name:type:count is needed`,
      );
    offsets.set(parts[i].toLowerCase(), { at: width, kind: parts[i + 1].toUpperCase(), count });
    width += count;
  }
  const species = offsets.get('species') ?? offsets.get('element') ?? offsets.get('z') ?? offsets.get('numbers');
  const position = offsets.get('pos') ?? offsets.get('positions');
  if (!species || !position || position.count !== 3) {
    throw new Rejected('unparsable', `Properties ${quote(properties)} has no species and pos:R:3; both are needed`);
  }
  const occupancy = (offsets.get('occupancy') ?? offsets.get('occupancies'))?.at;
  return { species: species.at, speciesIsNumber: species.kind === 'I', position: position.at, occupancy, width };
}
