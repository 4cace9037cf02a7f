import { atomicNumberOf } from '../elements.js';
import type { Structure } from '../structure.js';
import { CRYSTALS, SOURCES, type CrystalTable } from './crystals.js';
import { PROTOTYPES, type Prototype } from './prototypes.js';

/**
 * Real crystals that come with koine, built from structure types and lattice parameters: elements, salts, oxides,
 * semiconductors and intermetallics. Material ids are `<structure type>-<formula>`, e.g. `rocksalt-NaCl`.
 * @returns primitive cells, each made anew, in the order of the tables
 */
export function bundledStructures(): Structure[] {
  return CRYSTALS.flatMap((table) =>
    table.crystals
      .split(/[;\n]/)
      .map((row) => row.trim())
      .filter((row) => row !== '')
      .map((row) => build(table, row)),
  );
}

function build({ prototype: name, source }: CrystalTable, row: string): Structure {
  const prototype: Prototype = PROTOTYPES[name];
  const words = row.split(/\s+/);
  const symbols = words.slice(0, prototype.formula.length);
  const parameters = words.slice(prototype.formula.length).map(Number);
  if (parameters.length !== prototype.parameters.length || !parameters.every((value) => value > 0)) {
    throw new Error(
      `structures/bundled: '${row}' of ${name} must be ${prototype.formula.length} elements and ${prototype.parameters.join(', ')}`,
    );
  }
  const species = symbols.map((symbol) => {
    const z = atomicNumberOf(symbol);
    if (z === undefined) throw new Error(`structures/bundled: '${symbol}' in '${row}' of ${name} is not an element`);
    return z;
  });
  const { lattice, sites } = prototype.build(...parameters);
  const counts = new Map<string, number>(); // Co on both cation sites of a spinel is Co3O4
  symbols.forEach((symbol, k) => counts.set(symbol, (counts.get(symbol) ?? 0) + prototype.formula[k]));
  const formula = Array.from(counts, ([symbol, count]) => `${symbol}${count === 1 ? '' : count}`).join('');
  return {
    materialId: `${name}-${formula}`,
    atomicNumbers: Uint8Array.from(sites, ([kind]) => species[kind]),
    lattice: Float64Array.from(lattice),
    fractionalCoordinates: Float64Array.from(sites.flatMap(([, ...position]) => position.map(wrap))),
    source: `bundled: ${SOURCES[source]}`,
  };
}

/** Into [0, 1); rounding leaves 1 - 1e-16 where 0 is meant. */
function wrap(coordinate: number): number {
  const wrapped = coordinate - Math.floor(coordinate);
  return wrapped > 1 - 1e-12 ? 0 : wrapped;
}
