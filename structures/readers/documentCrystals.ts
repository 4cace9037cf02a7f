import { elementOfSpecies } from '../elements.js';
import { latticeFromParameters } from './cell.js';
import { parseFormula, requireComposition } from './composition.js';
import { Rejected, quote, type Crystal } from './record.js';

/** A JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Sites may be this far from full occupancy: it is written with three digits. */
const OCCUPANCY_TOLERANCE = 1e-3;

/**
 * How to read an object that is itself a structure, told by its fields.
 *
 * @returns undefined when it is no structure
 */
export function crystalReaderOf(document: JsonObject): (() => Crystal) | undefined {
  if ('lattice' in document && Array.isArray(document.sites)) return () => pymatgenCrystal(document);
  if ('lattice' in document && 'atomic_numbers' in document) return () => koineCrystal(document);
  if ('lattice_vectors' in document && ('species_at_sites' in document || 'cartesian_site_positions' in document))
    return () => optimadeCrystal(document);
  if (document.type === 'structures' && isObject(document.attributes)) {
    const { attributes } = document;
    return () => optimadeCrystal(attributes);
  }
  if ('lattice_mat' in document && 'elements' in document) return () => jarvisCrystal(document);
  if ('cell' in document && 'positions' in document && 'numbers' in document) return () => aseCrystal(document);
  if ('geometry' in document && 'positions_fractional' in document) return () => aflowCrystal(document);
  if ('lattice_vectors' in document && 'positions' in document && 'labels' in document)
    return () => nomadCrystal(document);
  return undefined;
}

/** https://pymatgen.org/pymatgen.core.html#pymatgen.core.structure.Structure: `as_dict`, with `abc` or `xyz` for each site. */
function pymatgenCrystal(document: JsonObject): Crystal {
  const lattice = pymatgenLattice(document.lattice);
  const sites = document.sites as unknown[];
  const species: number[] = [];
  const positions: number[] = [];
  const axes = sites.every((site) => isObject(site) && Array.isArray(site.abc)) ? 'abc' : 'xyz';
  sites.forEach((site, i) => {
    if (!isObject(site)) throw new Rejected('unparsable', `site ${i} is ${show(site)}; an object is needed`);
    const occupants = (Array.isArray(site.species) ? site.species : []) as unknown[];
    const named = occupants
      .map((each) => (isObject(each) ? `${show(each.element)}: ${show(each.occu ?? 1)}` : show(each)))
      .join(', ');
    const occupant = occupants[0];
    if (!isObject(occupant) || typeof occupant.element !== 'string') {
      throw new Rejected('unparsable', `species of site ${i} are [${named}]; one {element, occu} is needed`);
    }
    // Parquet has whole numbers as BigInt.
    const occupancy = typeof occupant.occu === 'bigint' ? Number(occupant.occu) : (occupant.occu ?? 1);
    if (occupants.length > 1 || typeof occupancy !== 'number' || Math.abs(occupancy - 1) > OCCUPANCY_TOLERANCE) {
      throw new Rejected('partial_occupancy', `site ${i} holds {${named}}; one element with occupancy 1 is needed`);
    }
    species.push(elementAt(occupant.element, i));
    positions.push(...triple(site[axes], `${axes} of site ${i}`));
  });
  return axes === 'abc' ? { lattice, species, fractional: positions } : { lattice, species, cartesian: positions };
}

function pymatgenLattice(value: unknown): number[] {
  const lattice = isObject(value) ? value : {};
  requirePeriodic(lattice.pbc);
  if (Array.isArray(lattice.matrix)) return matrix(lattice.matrix, 'lattice.matrix');
  const parameters = ['a', 'b', 'c', 'alpha', 'beta', 'gamma'].map((name) => lattice[name]);
  if (!parameters.every((x) => typeof x === 'number' || typeof x === 'bigint')) {
    throw new Rejected('unparsable', `lattice is ${show(value)}; a matrix or a, b, c, alpha, beta, gamma are needed`);
  }
  return latticeFromParameters(parameters.map(Number) as [number, number, number, number, number, number]);
}

/** Features of OPTIMADE structures by which the listed sites are not all of one ordered crystal. */
const OPTIMADE_FEATURES: Readonly<Record<string, readonly [code: 'partial_occupancy' | 'incomplete', what: string]>> = {
  disorder: ['partial_occupancy', 'sites that several species share'],
  assemblies: ['partial_occupancy', 'assemblies, alternative sets of sites'],
  implicit_atoms: ['incomplete', 'species that no site holds'],
  site_attachments: ['incomplete', 'atoms attached to sites without positions'],
};

/** https://github.com/Materials-Consortia/OPTIMADE, structures entries. */
function optimadeCrystal(attributes: JsonObject): Crystal {
  requirePeriodic(attributes.dimension_types);
  const { nperiodic_dimensions: periodic, structure_features: features, nsites } = attributes;
  if (periodic != null && Number(periodic) !== 3)
    throw new Rejected(
      'unparsable',
      `the structure is periodic in ${show(periodic)} directions; a crystal periodic in three directions is needed`,
    );
  for (const feature of listOrNone(features)) {
    const [code, what] = OPTIMADE_FEATURES[feature as string] ?? [];
    if (code !== undefined)
      throw new Rejected(code, `the structure has ${what} (${show(feature)}); one full set of atoms is needed`);
  }
  if (listOrNone(attributes.assemblies).length > 0)
    throw new Rejected(
      'partial_occupancy',
      'the structure has assemblies, alternative sets of sites; one full set is needed',
    );

  const lattice = matrix(attributes.lattice_vectors, 'lattice_vectors');
  const positions = listAt(attributes, 'cartesian_site_positions');
  const names = listAt(attributes, 'species_at_sites');
  if (positions.length !== names.length) {
    throw new Rejected(
      'unparsable',
      `${positions.length} cartesian_site_positions and ${names.length} species_at_sites; equal numbers are needed`,
    );
  }
  if (nsites != null && Number(nsites) !== names.length)
    throw new Rejected('contradictory', `nsites is ${show(nsites)}, but ${names.length} species_at_sites are listed`);
  const definitions = new Map<unknown, JsonObject>();
  for (const each of listOrNone(attributes.species)) if (isObject(each)) definitions.set(each.name, each);
  const species = names.map((name, i) => {
    const definition = definitions.get(name);
    if (!definition && definitions.size > 0)
      throw new Rejected(
        'unparsable',
        `${show(name)} at site ${i} is not one of the species; each name must be defined there`,
      );
    return elementAt(optimadeSymbol(name, definition, i), i);
  });
  const formula =
    typeof attributes.chemical_formula_reduced === 'string'
      ? parseFormula(attributes.chemical_formula_reduced)
      : undefined;
  if (formula && species.length > 0) requireComposition(species, formula, 'chemical_formula_reduced');
  return {
    lattice,
    species,
    cartesian: positions.flatMap((position, i) => triple(position, `cartesian_site_positions ${i}`)),
  };
}

function optimadeSymbol(name: unknown, definition: JsonObject | undefined, site: number): string {
  const symbols = definition ? listAt(definition, 'chemical_symbols') : [name];
  const concentrations = Array.isArray(definition?.concentration) ? (definition.concentration as unknown[]) : [];
  const concentration = Number(concentrations[0] ?? 1);
  if (symbols.length !== 1 || Math.abs(concentration - 1) > OCCUPANCY_TOLERANCE || symbols[0] === 'vacancy') {
    const content = symbols.map((symbol, i) => `${show(symbol)}: ${show(concentrations[i] ?? 1)}`).join(', ');
    throw new Rejected(
      'partial_occupancy',
      `site ${site} holds {${content}}; one element with concentration 1 is needed`,
    );
  }
  if (Array.isArray(definition?.attached) && definition.attached.length > 0) {
    throw new Rejected(
      'incomplete',
      `site ${site} has ${show(definition.attached)} attached without positions; every atom needs its own site`,
    );
  }
  return typeof symbols[0] === 'string' ? symbols[0] : show(symbols[0]);
}

/** JARVIS-tools `Atoms.to_dict`. */
function jarvisCrystal(atoms: JsonObject): Crystal {
  const lattice = matrix(atoms.lattice_mat, 'lattice_mat');
  const species = listAt(atoms, 'elements').map((symbol, i) => elementAt(symbol, i));
  const positions = listAt(atoms, 'coords').flatMap((position, i) => triple(position, `coords ${i}`));
  return atoms.cartesian === true
    ? { lattice, species, cartesian: positions }
    : { lattice, species, fractional: positions };
}

/** ASE's `Atoms.todict`, also as `ase.io` and `ase.db` write it to JSON: arrays may be `{__ndarray__: [shape, type, values]}`. */
function aseCrystal(atoms: JsonObject): Crystal {
  requirePeriodic(flattened(atoms.pbc ?? true));
  return {
    lattice: numbers(isObject(atoms.cell) && 'array' in atoms.cell ? atoms.cell.array : atoms.cell),
    species: numbers(atoms.numbers),
    cartesian: numbers(atoms.positions),
  };
}

/**
 * An entry of AFLOW (https://aflow.org/documentation): `geometry` holds the cell parameters, atoms are in the order of `species` with
 * the counts of `composition`. The text form of the interface writes lists with commas and semicolons.
 */
function aflowCrystal(entry: JsonObject): Crystal {
  const parameters = numbers(ofText(entry.geometry));
  const names = flattened(ofText(entry.species));
  const counts = numbers(ofText(entry.composition));
  if (parameters.length !== 6)
    throw new Rejected('unparsable', `geometry has ${parameters.length} numbers; six are needed`);
  if (names.length !== counts.length)
    throw new Rejected(
      'unparsable',
      `${names.length} species and ${counts.length} numbers in composition; equally many are needed`,
    );
  const total = counts.reduce((sum, count) => sum + count, 0);
  const fractional = numbers(ofText(entry.positions_fractional));
  if (3 * total !== fractional.length)
    throw new Rejected(
      'contradictory',
      `composition counts ${total} atoms, but positions_fractional has ${fractional.length / 3}`,
    );
  return {
    lattice: latticeFromParameters(parameters as [number, number, number, number, number, number]),
    species: names.flatMap((name, i) => new Array<number>(counts[i]).fill(elementAt(name, i))),
    fractional,
  };
}

function ofText(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  return value.split(/[,;]/).map((part) => (/^\s*[-+.\d]/.test(part) ? Number(part) : part.trim()));
}

/** Metres; NOMAD keeps lengths in SI units. */
const ANGSTROM = 1e-10;

/** `atoms` of a system in a NOMAD archive (https://nomad-lab.eu): labels, lattice vectors and positions in metres. */
function nomadCrystal(atoms: JsonObject): Crystal {
  requirePeriodic(atoms.periodic);
  const inAngstrom = (value: unknown) => numbers(value).map((x) => x / ANGSTROM);
  return {
    lattice: inAngstrom(atoms.lattice_vectors),
    species: listAt(atoms, 'labels').map((label, i) => elementAt(label, i)),
    cartesian: inAngstrom(atoms.positions),
  };
}

/** A row of koine's own `structures` table. */
function koineCrystal(row: JsonObject): Crystal {
  return {
    lattice: numbers(listAt(row, 'lattice')),
    species: numbers(listAt(row, 'atomic_numbers')),
    fractional: numbers(listAt(row, 'fractional_coordinates')),
  };
}

/** Numbers of an array of any shape, in order; what is none is NaN, for validation to name. */
function numbers(value: unknown): number[] {
  return flattened(value).map((x) => (typeof x === 'number' || typeof x === 'bigint' ? Number(x) : NaN));
}

function flattened(value: unknown): unknown[] {
  if (isObject(value) && Array.isArray(value.__ndarray__)) return flattened(value.__ndarray__[2]);
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<unknown>);
  return Array.isArray(value)
    ? (value as unknown[]).flat(2).flatMap((x) => (ArrayBuffer.isView(x) ? flattened(x) : [x]))
    : [value];
}

function elementAt(symbol: unknown, site: number): number {
  const element =
    typeof symbol === 'string' ? elementOfSpecies(symbol) : typeof symbol === 'number' ? symbol : undefined;
  if (element === undefined)
    throw new Rejected(
      'unknown_element',
      `${show(symbol)} at site ${site} is not an element; a chemical symbol is needed`,
    );
  return element;
}

/** Three numbers; null, which is what NaN becomes in JSON, is kept as NaN for validation to name. */
function triple(value: unknown, what: string): number[] {
  if (!Array.isArray(value) || value.length !== 3)
    throw new Rejected('unparsable', `${what} is ${show(value)}; three numbers are needed`);
  return value.map((x: unknown) => {
    if (typeof x === 'number') return x;
    if (typeof x === 'bigint') return Number(x);
    if (x === null) return NaN;
    throw new Rejected('unparsable', `${what} has the component ${show(x)}; a number is needed`);
  });
}

function matrix(value: unknown, what: string): number[] {
  if (!Array.isArray(value) || value.length !== 3)
    throw new Rejected('unparsable', `${what} is ${show(value)}; three vectors are needed`);
  return value.flatMap((row, i) => triple(row, `${what} ${i}`));
}

/** Flags of periodicity: booleans (pymatgen) or 0 and 1 (OPTIMADE). */
function requirePeriodic(flags: unknown): void {
  if (Array.isArray(flags) && flags.some((flag) => flag === false || flag === 0)) {
    throw new Rejected(
      'unparsable',
      `the structure is periodic along ${show(flags)}; a crystal periodic in three directions is needed`,
    );
  }
}

/** A list that may be missing. */
function listOrNone(value: unknown): unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

/** A list, also a typed array as Parquet columns come. */
function listAt(document: JsonObject, field: string): unknown[] {
  const value = document[field];
  if (Array.isArray(value)) return value;
  if (ArrayBuffer.isView(value) && !(value instanceof DataView))
    return Array.from(value as unknown as ArrayLike<number>);
  throw new Rejected('unparsable', `${field} is ${show(value)}; a list is needed`);
}

/** Whether a JSON value is an object. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

/** A value for a message: long lists and objects by their outline only. */
function show(value: unknown): string {
  if (Array.isArray(value))
    return value.length <= 6 && !value.some((x) => typeof x === 'object')
      ? `[${value.map(show).join(', ')}]`
      : `a list of ${value.length}`;
  if (isObject(value)) return `an object of ${Object.keys(value).slice(0, 8).join(', ')}`;
  if (typeof value === 'string') return quote(value);
  if (value === undefined || value === null) return quote(value);
  return quote(
    typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint' ? String(value) : typeof value,
  );
}
