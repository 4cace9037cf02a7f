import { elementOfSpecies } from '../elements.js';
import type { Formula } from './composition.js';
import { columnOf, isUnknown, type CifBlock, type CifLoop } from './cifSyntax.js';
import { Rejected, parseNumber, quote } from './record.js';
import { elementOfLabel } from './siteLabel.js';

/** A site counts as fully occupied within this: occupancies are rounded to three digits. */
const OCCUPANCY_TOLERANCE = 1e-3;

/** Atomic sites of a block. */
export interface CifSites {
  /** [n_sites] atomic numbers. */
  species: number[];
  /** [3 n_sites], fractional or in Å. */
  coordinates: number[];
  isCartesian: boolean;
}

const FRACTIONAL = ['_atom_site_fract_x', '_atom_site_fract_y', '_atom_site_fract_z'];
const CARTESIAN = ['_atom_site_cartn_x', '_atom_site_cartn_y', '_atom_site_cartn_z'];

/** Whether a block has sites; powder data leave the table empty. */
export function hasSites(block: CifBlock): boolean {
  return [FRACTIONAL[0], CARTESIAN[0], '_atom_site_label', '_atom_site_type_symbol'].some(
    (tag) => !(block.column(tag) ?? []).every(isUnknown),
  );
}

/**
 * Sites of a block, each with one atom.
 *
 * @param block of a CIF
 * @param formula what the block says it is made of, to tell what labels mean
 * @throws Rejected for what is no atom, for partial occupancy, alternatives, and hydrogens without positions
 */
export function sitesOfBlock(block: CifBlock, formula: Formula | undefined): CifSites {
  const isCartesian = !block.has(FRACTIONAL[0]) && block.has(CARTESIAN[0]);
  const tags = isCartesian ? CARTESIAN : FRACTIONAL;
  const column = siteColumns(block, tags);
  const axes = tags.map((tag) => {
    const values = column(tag);
    if (!values) throw new Rejected('unparsable', `no sites: ${tag} is missing`);
    return values;
  });
  const symbols = column('_atom_site_type_symbol');
  const labels = column('_atom_site_label') ?? column('_atom_site_label_atom_id');
  if (!symbols && !labels)
    throw new Rejected('unparsable', 'sites have neither _atom_site_type_symbol nor _atom_site_label');
  requireOneSet(column);

  const occupancies = column('_atom_site_occupancy');
  const hydrogens = column('_atom_site_attached_hydrogens');
  const flags = column('_atom_site_calc_flag');
  const omitsZeros =
    axes.some((values) => values.includes('.')) && writesWithoutZeros([...axes.flat(), ...(occupancies ?? [])]);
  const species: number[] = [];
  const coordinates: number[] = [];
  for (let site = 0; site < axes[0].length; site++) {
    // 'dum' marks a dummy site: a place without an atom.
    if (flags?.[site] === 'dum') continue;
    const symbol = symbols?.[site];
    const name = isUnknown(symbol) ? labels?.[site] : symbol;
    const told = `site ${site} (${labels?.[site] ?? symbol ?? '?'})`;
    const element = isUnknown(symbol) ? elementOfLabel(name ?? '', formula) : elementOfType(symbol!);
    if (element === undefined && isMixture(name ?? ''))
      throw new Rejected(
        'partial_occupancy',
        `${told} holds ${quote(name)}; one element is needed, or an ordered model of the crystal`,
      );
    if (element === undefined)
      throw new Rejected('unknown_element', `${quote(name)} at ${told} is not an element; a chemical symbol is needed`);
    const occupancy = isUnknown(occupancies?.[site]) ? 1 : measured(occupancies![site], `occupancy of ${told}`);
    if (!(Math.abs(occupancy - 1) <= OCCUPANCY_TOLERANCE))
      throw new Rejected(
        'partial_occupancy',
        `${told} has occupancy ${occupancy}; a fully occupied site (1) is needed, or an ordered model of the crystal`,
      );
    if (!isUnknown(hydrogens?.[site]) && Number(hydrogens![site]) !== 0)
      throw new Rejected(
        'incomplete',
        `${told} has ${quote(hydrogens![site])} hydrogen atoms attached without positions; every atom needs a site`,
      );
    species.push(element);
    for (const [k, values] of axes.entries()) {
      const text = omitsZeros && values[site] === '.' ? '0' : values[site];
      coordinates.push(measured(text, `coordinate ${'xyz'[k]} of ${told}`));
    }
  }
  return { species, coordinates, isCartesian };
}

/** A type symbol may name its scattering factor, `H(SDS)`, or an isotope, `B_11`; `T` is a tetrahedral site, not tritium. */
function elementOfType(symbol: string): number | undefined {
  const plain = symbol.trim().replace(/\([A-Za-z]+\)$|_\d*$/, '');
  return plain === 'T' ? undefined : elementOfSpecies(plain);
}

/** Elements with their shares, as Pauling File has them: `0.8Nb + 0.2Zr`. */
function isMixture(symbol: string): boolean {
  return /^\s*\d*\.\d+(\(\d+\))?\s*[A-Z][a-z]?\s*(\+|$)/.test(symbol);
}

/** A number with its uncertainty: `1.234(5)` is 1.234. */
export function measured(text: string | undefined, what: string): number {
  return parseNumber(isUnknown(text) ? undefined : text!.trim().replace(/\(\d*\)?$/, ''), what);
}

/**
 * Older files of the ICSD leave zeros out: 0.5 is `.5`, 1.0 is `1.`, 0.0 is `.`, elsewhere the sign of a value that does not
 * apply. The other numbers tell which way the file writes.
 */
function writesWithoutZeros(values: readonly string[]): boolean {
  return (
    values.some((value) => /^-?(\.\d+|\d+\.)(\(\d+\))?$/.test(value)) &&
    !values.some((value) => /^-?0(\.|$)/.test(value))
  );
}

/** Looks up columns of the site table; those of a second table, with U or occupancies, are joined by the label. */
function siteColumns(block: CifBlock, axes: readonly string[]): (tag: string) => readonly string[] | undefined {
  const tables = block.loopsOf(axes[0]);
  if (tables.length > 1)
    throw new Rejected(
      'contradictory',
      `there are ${tables.length} tables with ${axes[0]}; one list of sites is needed`,
    );
  const sites: CifLoop | undefined = tables[0];
  return (tag) => {
    if (!sites) return block.column(tag);
    if (sites.tags.includes(tag)) return columnOf(sites, tag);
    const [other] = block.loopsOf(tag);
    return other && joined(sites, other, tag);
  };
}

function joined(sites: CifLoop, other: CifLoop, tag: string): string[] {
  const key = ['_atom_site_label', '_atom_site_id'].find(
    (each) => sites.tags.includes(each) && other.tags.includes(each),
  );
  if (key === undefined)
    throw new Rejected(
      'unparsable',
      `${tag} stands in a table that shares no label with that of the sites; one table is needed`,
    );
  const values = new Map<string, string>();
  const column = columnOf(other, tag);
  for (const [row, label] of columnOf(other, key).entries()) {
    const before = values.get(label);
    if (before !== undefined && before !== column[row])
      throw new Rejected('contradictory', `${tag} of ${quote(label)} is ${quote(before)} and ${quote(column[row])}`);
    values.set(label, column[row]);
  }
  return columnOf(sites, key).map((label) => values.get(label) ?? '?');
}

/** Alternatives of one place (SHELX parts, alternate locations, models) cannot all be atoms of one crystal. */
function requireOneSet(column: (tag: string) => readonly string[] | undefined): void {
  const assemblies = column('_atom_site_disorder_assembly');
  const groups = column('_atom_site_disorder_group');
  const first = new Map<string, string>();
  for (const [site, group] of groups?.entries() ?? []) {
    if (isUnknown(group) || group === '0') continue;
    const assembly = isUnknown(assemblies?.[site]) ? '' : assemblies![site];
    const other = first.get(assembly) ?? group;
    first.set(assembly, other);
    if (other !== group || group.startsWith('-'))
      throw new Rejected(
        'partial_occupancy',
        `sites are in disorder groups ${quote(other)} and ${quote(group)}, alternatives of each other; one full set is needed`,
      );
  }
  for (const [tag, what] of [
    ['_atom_site_label_alt_id', 'alternate locations'],
    ['_atom_site_pdbx_pdb_model_num', 'models'],
  ] as const) {
    const [one, other] = new Set(column(tag)?.filter((value) => !isUnknown(value)));
    if (other !== undefined)
      throw new Rejected(
        'partial_occupancy',
        `sites belong to the ${what} ${quote(one)} and ${quote(other)}; one full set is needed`,
      );
  }
}
