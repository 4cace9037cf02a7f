import * as moyo from '@spglib/moyo-wasm';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import type { Structure } from './structure.js';

/** Space group and symmetry orbits of a structure. */
export interface Symmetry {
  /** International space-group number, 1..230; 0 when undetermined. */
  spaceGroup: number;
  /** [n_atoms] for each atom the first atom of its orbit; the identity when undetermined. */
  orbits: Int32Array;
}

type Engine = Pick<typeof moyo, 'analyze_cell' | 'initSync'>;

const packageRequire = createRequire(import.meta.url);
let engine: Engine | undefined;
let generation = 0;
let replacing = false;

function start(candidate: Engine): Engine {
  candidate.initSync({ module: readFileSync(packageRequire.resolve('@spglib/moyo-wasm/moyo_wasm_bg.wasm')) });
  return candidate;
}

/**
 * A trap leaves the stack of the WebAssembly instance where it was; after some 200 traps an instance is out of stack and
 * fails on everything (measured). The glue module holds its instance for life, so a fresh instance needs a fresh module;
 * until that has loaded, the old instance serves.
 */
function replaceEngine(): void {
  if (replacing) return;
  replacing = true;
  const glue = pathToFileURL(packageRequire.resolve('@spglib/moyo-wasm'));
  glue.search = `?instance=${++generation}`;
  void import(glue.href).then((fresh: Engine) => {
    engine = start(fresh);
    replacing = false;
  });
}

/**
 * Space group and orbits by moyo (https://github.com/spglib/moyo), the Rust successor of spglib.
 * @param structure any valid structure; species are told apart by atomic number
 * @param symprec distance in Å within which atoms count as mapped onto each other (pymatgen's default)
 * @returns space group 0 and identity orbits where moyo finds no answer; never throws for a valid structure
 */
export function findSymmetry(structure: Structure, symprec = 0.01): Symmetry {
  const { atomicNumbers, lattice, fractionalCoordinates } = structure;
  const positions: number[][] = [];
  for (let i = 0; i < atomicNumbers.length; i++) positions.push([...fractionalCoordinates.subarray(3 * i, 3 * i + 3)]);
  const cell = { lattice: { basis: [...lattice] }, positions, numbers: [...atomicNumbers] };
  engine ??= start(moyo);
  try {
    const { number, orbits } = engine.analyze_cell(JSON.stringify(cell), symprec, 'Spglib');
    return { spaceGroup: number, orbits: Int32Array.from(orbits) };
  } catch (error) {
    if (error instanceof Error) replaceEngine(); // moyo's own errors are strings; an Error is a trap
    return { spaceGroup: 0, orbits: Int32Array.from(atomicNumbers, (_, i) => i) };
  }
}
