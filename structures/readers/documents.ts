import { elementOfLabel } from '../elements.js';
import { parseCifCrystal } from './cif.js';
import { statedId } from './materialId.js';
import { latticeFromParameters } from './cell.js';
import { Rejected, attempt, quote, type Crystal, type FoundRecord } from './record.js';

/** A JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Sites may be this far from full occupancy: it is written with three digits. */
const OCCUPANCY_TOLERANCE = 1e-3;

/** How deep structures are looked for in dictionaries and lists of unknown shape. */
const MAX_DEPTH = 6;

/**
 * Structures of a JSON document: a pymatgen `Structure`, a document with one under `structure` (Materials Project documents,
 * `ComputedStructureEntry`), an OPTIMADE resource, JARVIS `atoms`, a row of koine's `structures` table, or any lists and
 * dictionaries of these.
 *
 * @param value parsed JSON
 * @param key under which a dictionary holds it: its identifier when the document states none
 * @param isDictionary whether the keys of the value may themselves be identifiers
 * @returns the records found; empty when there is no structure in it
 */
export function recordsOfDocument(value: unknown, key?: string, isDictionary = false): FoundRecord[] {
  const records: FoundRecord[] = [];
  const collect = (value: unknown, key: string | undefined, enclosingId: string | undefined, depth: number): void => {
    if (depth > MAX_DEPTH) return;
    if (Array.isArray(value)) for (const each of value) collect(each, undefined, enclosingId, depth + 1);
    if (!isObject(value)) return;
    const stated = statedIdOf(value) ?? enclosingId;
    const read = readerOf(value);
    if (read) {
      records.push({ id: stated ?? key, found: attempt(read) });
      return;
    }
    for (const [name, each] of Object.entries(value))
      collect(each, isDictionary && depth === 0 ? name : undefined, stated, depth + 1);
  };
  collect(value, key, undefined, 0);
  return records;
}

function statedIdOf(document: JsonObject): string | undefined {
  return (
    statedId(document) ?? statedId(objectAt(document, 'properties') ?? {}) ?? statedId(objectAt(document, 'data') ?? {})
  );
}

/** How to read a document, told by its fields; undefined when it is no structure. */
function readerOf(document: JsonObject): (() => Crystal) | undefined {
  if ('lattice' in document && Array.isArray(document.sites)) return () => pymatgenCrystal(document);
  if ('lattice' in document && 'atomic_numbers' in document) return () => koineCrystal(document);
  if ('lattice_vectors' in document && ('species_at_sites' in document || 'cartesian_site_positions' in document))
    return () => optimadeCrystal(document);
  if (document.type === 'structures' && objectAt(document, 'attributes'))
    return () => optimadeCrystal(objectAt(document, 'attributes')!);
  if ('lattice_mat' in document && 'elements' in document) return () => jarvisCrystal(document);
  for (const field of ['structure', 'atoms', 'cif', 'attributes']) {
    const inner = document[field];
    if (typeof inner === 'string' && (field === 'cif' || field === 'structure')) return () => crystalOfText(inner);
    const nested = objectAt(document, field);
    const read = nested && readerOf(nested);
    if (read) return read;
  }
  return undefined;
}

/**
 * Crystal of text in a table cell or a JSON string: CIF or a JSON document.
 *
 * @throws Rejected when it is neither
 */
export function crystalOfText(text: string): Crystal {
  if (text.trim() === '')
    throw new Rejected('empty', 'the text of the structure is empty; CIF or the JSON of a structure is needed');
  if (/^\s*(#|data_|_|loop_)/i.test(text)) return parseCifCrystal(text);
  if (/^\s*\{/.test(text)) {
    const document = parseJson(text);
    const read = isObject(document) ? readerOf(document) : undefined;
    if (read) return read();
  }
  throw new Rejected('unparsable', `${quote(text)} is neither CIF nor the JSON of a structure`);
}

/**
 * Parses JSON; Python's `NaN` and `Infinity`, which pymatgen writes, become null.
 *
 * @throws Rejected `unparsable` when it is no JSON
 */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const strict = text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|-?\b(?:NaN|Infinity)\b/g, (token) =>
      token.startsWith('"') ? token : 'null',
    );
    try {
      return JSON.parse(strict);
    } catch (error) {
      throw new Rejected('unparsable', `JSON: ${(error as Error).message}`);
    }
  }
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
    const occupancy = occupant.occu ?? 1;
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
  if (!parameters.every((x) => typeof x === 'number')) {
    throw new Rejected('unparsable', `lattice is ${show(value)}; a matrix or a, b, c, alpha, beta, gamma are needed`);
  }
  return latticeFromParameters(parameters as [number, number, number, number, number, number]);
}

/** https://github.com/Materials-Consortia/OPTIMADE, structures entries. */
function optimadeCrystal(attributes: JsonObject): Crystal {
  requirePeriodic(attributes.dimension_types);
  const lattice = matrix(attributes.lattice_vectors, 'lattice_vectors');
  const positions = listAt(attributes, 'cartesian_site_positions');
  const names = listAt(attributes, 'species_at_sites');
  if (positions.length !== names.length) {
    throw new Rejected(
      'unparsable',
      `${positions.length} cartesian_site_positions and ${names.length} species_at_sites; equal numbers are needed`,
    );
  }
  if (Array.isArray(attributes.assemblies) && attributes.assemblies.length > 0) {
    throw new Rejected(
      'partial_occupancy',
      'the structure has assemblies, alternative sets of sites; one full set is needed',
    );
  }
  const definitions = new Map<unknown, JsonObject>();
  for (const each of Array.isArray(attributes.species) ? (attributes.species as unknown[]) : [])
    if (isObject(each)) definitions.set(each.name, each);
  const species = names.map((name, i) => elementAt(optimadeSymbol(name, definitions.get(name), i), i));
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
      'partial_occupancy',
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

/** A row of koine's own `structures` table. */
function koineCrystal(row: JsonObject): Crystal {
  const numbers = (field: string) =>
    Array.from(listAt(row, field), (x) => (typeof x === 'number' || typeof x === 'bigint' ? Number(x) : NaN));
  return {
    lattice: numbers('lattice'),
    species: numbers('atomic_numbers'),
    fractional: numbers('fractional_coordinates'),
  };
}

function elementAt(symbol: unknown, site: number): number {
  const element = typeof symbol === 'string' ? elementOfLabel(symbol) : typeof symbol === 'number' ? symbol : undefined;
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

/** A list, also a typed array as Parquet columns come. */
function listAt(document: JsonObject, field: string): unknown[] {
  const value = document[field];
  if (Array.isArray(value)) return value;
  if (ArrayBuffer.isView(value) && !(value instanceof DataView))
    return Array.from(value as unknown as ArrayLike<number>);
  throw new Rejected('unparsable', `${field} is ${show(value)}; a list is needed`);
}

function objectAt(document: JsonObject, field: string): JsonObject | undefined {
  const value = document[field];
  return isObject(value) ? value : undefined;
}

/** Whether a JSON value is an object. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value for a message: long lists and objects by their outline only. */
function show(value: unknown): string {
  if (Array.isArray(value))
    return value.length <= 6 && !value.some((x) => typeof x === 'object')
      ? `[${value.map(show).join(', ')}]`
      : `a list of ${value.length}`;
  if (isObject(value)) return `an object of ${Object.keys(value).slice(0, 8).join(', ')}`;
  if (typeof value === 'string') return quote(value);
  return value === undefined || value === null ? quote(value) : quote(JSON.stringify(value));
}
