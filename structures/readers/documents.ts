import type { StructureLimits } from '../canonical.js';
import { elementOfSpecies } from '../elements.js';
import { parseCifCrystal } from './cif.js';
import { requireComposition, type Formula } from './composition.js';
import { crystalReaderOf, isObject, type JsonObject } from './documentCrystals.js';
import { parseJson } from './jsonText.js';
import { statedId } from './materialId.js';
import { Rejected, attempt, quote, type Crystal, type FoundRecord } from './record.js';

/** How deep structures are looked for in dictionaries and lists of unknown shape. */
const MAX_DEPTH = 100;

/** Fields that hold the structure of the document they stand in. */
const STRUCTURE_FIELDS = ['structure', 'atoms', 'cif', 'attributes'];

/** Fields of what a calculation ended with, and of what it began with or went through, as databases of tasks call them. */
const FINAL_FIELDS = ['output', 'final_structure', 'relaxed_structure', 'structure_relaxed', 'final'];
const EARLIER_FIELDS = new Set([
  ...['input', 'inputs', 'orig_inputs', 'initial', 'initial_structure', 'input_structure', 'unrelaxed_structure'],
  ...['structure_unrelaxed', 'calcs_reversed', 'ionic_steps'],
]);

const LOOKED_INTO = new Set([...STRUCTURE_FIELDS, ...FINAL_FIELDS]);

interface Place {
  /** Identifier that the document, or one around it, states. */
  id?: string;
  /** Whether other structures may be below the same identifier. */
  isShared: boolean;
  depth: number;
}

/**
 * Structures of a JSON document: a pymatgen `Structure`, a document with one under `structure` (Materials Project documents,
 * `ComputedStructureEntry`), an OPTIMADE resource, JARVIS and ASE `atoms`, an entry of AFLOW or NOMAD, a row of koine's
 * `structures` table, or any lists and dictionaries of these. Of a calculation that has its result under `output` or `final_structure`, that is read, and not what it
 * began with.
 *
 * @param value parsed JSON
 * @param limits what is still accepted
 * @param key under which a dictionary holds it: its identifier when the document states none
 * @param isDictionary whether the keys of the value may themselves be identifiers
 * @returns the records found, several under one identifier counted from 0; empty when there is no structure in it
 */
export function recordsOfDocument(
  value: unknown,
  limits: StructureLimits,
  key?: string,
  isDictionary = false,
): FoundRecord[] {
  const records: (FoundRecord & { isShared: boolean })[] = [];
  let isTooDeep = false;

  const collect = (value: unknown, place: Place): void => {
    if (typeof value !== 'object' || value === null) return;
    if (place.depth > MAX_DEPTH) {
      isTooDeep = true;
      return;
    }
    const inside = (id: string | undefined, isShared: boolean): Place => ({ id, isShared, depth: place.depth + 1 });
    if (Array.isArray(value)) {
      for (const each of value) collect(each, inside(place.id, true));
      return;
    }
    if (!isObject(value)) return;
    const stated = statedIdOf(value);
    const id = stated ?? place.id;
    const isShared = stated === undefined && place.isShared;
    const read = crystalReaderOf(value) ?? textReaderOf(value, limits);
    if (read) {
      records.push({ id, isShared, found: attempt(read) });
      return;
    }
    const before = records.length;
    for (const field of STRUCTURE_FIELDS) {
      collect(value[field], inside(id, isShared));
      if (records.length === before) continue;
      // A field may hold several, such as the frames of a trajectory; only one can be what the document says it is made of.
      if (records.length === before + 1) records[before].found = heldAgainst(value, records[before].found);
      return;
    }
    const hasFinal = FINAL_FIELDS.some((field) => {
      collect(value[field], inside(id, isShared));
      return records.length > before;
    });
    for (const [name, each] of Object.entries(value)) {
      // What was looked into above must not be looked into again: nested, that would double at every level.
      if (LOOKED_INTO.has(name) || (hasFinal && EARLIER_FIELDS.has(name))) continue;
      const own = isDictionary && place.depth === 0 ? name : undefined;
      collect(finalOf(name, each), inside(stated ?? own ?? place.id, true));
    }
  };
  collect(value, { id: key, isShared: false, depth: 0 });
  if (isTooDeep)
    records.push({
      id: undefined,
      isShared: true,
      found: new Rejected(
        'too_large',
        `what lies deeper than ${MAX_DEPTH} levels of lists and objects was not looked at`,
      ),
    });
  return numbered(records);
}

/** Of the calculations of a task and of the systems of a NOMAD run the last is the result: it is first in `calcs_reversed`. */
function finalOf(name: string, value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  if (name === 'calcs_reversed') return value[0];
  return name === 'system' ? value.at(-1) : value;
}

/** Several structures below one identifier are called by it and their place. */
function numbered(records: readonly (FoundRecord & { isShared: boolean })[]): FoundRecord[] {
  const counts = new Map<string, number>();
  for (const { id, isShared } of records) if (isShared && id !== undefined) counts.set(id, (counts.get(id) ?? 0) + 1);
  const places = new Map<string, number>();
  return records.map(({ id, isShared, found }) => {
    if (!isShared || id === undefined || counts.get(id) === 1) return { id, found };
    const place = places.get(id) ?? 0;
    places.set(id, place + 1);
    return { id: `${id}-${place}`, found };
  });
}

function statedIdOf(document: JsonObject): string | undefined {
  const inner = (field: string) => (isObject(document[field]) ? statedId(document[field]) : undefined);
  return statedId(document) ?? inner('properties') ?? inner('data');
}

/** Text of a structure in a field of its own. */
function textReaderOf(document: JsonObject, limits: StructureLimits): (() => Crystal) | undefined {
  const text = ['structure', 'cif'].map((field) => document[field]).find((value) => typeof value === 'string');
  return text === undefined ? undefined : () => crystalOfText(text, limits);
}

/** What a document says beside its structure, as entries of pymatgen and of the Materials Project do, must be true of it. */
function heldAgainst(document: JsonObject, found: Crystal | Rejected): Crystal | Rejected {
  if (found instanceof Rejected) return found;
  const { composition, nsites } = document;
  return attempt(() => {
    if (typeof nsites === 'number' && nsites !== found.species.length)
      throw new Rejected('contradictory', `nsites is ${nsites}, but the structure has ${found.species.length} sites`);
    const formula = isObject(composition) ? formulaOfAmounts(composition) : undefined;
    if (formula) requireComposition(Array.from(found.species) as number[], formula, 'its composition');
    return found;
  });
}

/** A composition as a dictionary of amounts; undefined where it is of another kind. */
function formulaOfAmounts(amounts: JsonObject): Formula | undefined {
  const formula = new Map<number, { amount: number; step: number }>();
  for (const [species, amount] of Object.entries(amounts)) {
    const element = elementOfSpecies(species);
    if (element === undefined || typeof amount !== 'number') return undefined;
    formula.set(element, { amount: (formula.get(element)?.amount ?? 0) + amount, step: 0 });
  }
  return formula.size > 0 ? formula : undefined;
}

/**
 * Crystal of text in a table cell or a JSON string: CIF or a JSON document.
 *
 * @param text of one structure
 * @param limits what is still accepted
 * @throws Rejected when it is neither
 */
export function crystalOfText(text: string, limits: StructureLimits): Crystal {
  if (text.trim() === '')
    throw new Rejected('empty', 'the text of the structure is empty; CIF or the JSON of a structure is needed');
  if (/^\s*(#|data_|_|loop_)/i.test(text)) return parseCifCrystal(text, limits);
  if (/^\s*\{/.test(text)) {
    const [record, other] = recordsOfDocument(parseJson(text), limits);
    if (other) throw new Rejected('unparsable', 'the text holds more than one structure; one is needed');
    if (record?.found instanceof Rejected) throw record.found;
    if (record) return record.found;
  }
  throw new Rejected('unparsable', `${quote(text)} is neither CIF nor the JSON of a structure`);
}
