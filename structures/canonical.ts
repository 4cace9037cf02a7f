import { closestContact } from './closestContact.js';
import { atomicNumberOf, elementSymbol, MAX_ATOMIC_NUMBER } from './elements.js';
import { determinant3, inverse3 } from './matrix3.js';
import { shortestBonds } from './shortestBonds.js';
import type { ReadItem, Rejection, StructureRejectionCode } from './structure.js';

/** A crystal as a file states it, before validation. One of `fractional` and `cartesian` is given. */
export interface RawStructure {
  materialId: string;
  source: string;
  /** [9] row-major lattice vectors a, b, c in Å. */
  lattice: ArrayLike<number>;
  /** [n_atoms] chemical symbols or atomic numbers. */
  species: ArrayLike<string | number>;
  /** [3 n_atoms] fractional coordinates. */
  fractional?: ArrayLike<number>;
  /** [3 n_atoms] positions in Å. */
  cartesian?: ArrayLike<number>;
  /** Whether the sites may be alternatives of each other that the file does not mark, as in crystals from diffraction. @default false */
  mayHaveAlternatives?: boolean;
}

/** What a structure may be at most. */
export interface StructureLimits {
  /** Larger structures are rejected as `too_large`. @default 1000 */
  maxAtoms?: number;
}

/** Default of {@link StructureLimits.maxAtoms}. */
export const DEFAULT_MAX_ATOMS = 1000;

/** Volume over |a| |b| |c| below which three vectors span no cell. The flattest of 28,961 real cells has 0.003. */
const MIN_RELATIVE_VOLUME = 1e-6;

/**
 * Å; vectors beyond it are typing errors, and searching the symmetry of a cell of 250,000 Å does not end. The longest of 28,961 real
 * ones has 100 Å, slabs and isolated atoms in databases reach some hundreds.
 */
const MAX_CELL_LENGTH = 5000;

/** Longest message of a quarantine row, in characters. */
const MAX_MESSAGE = 500;

/**
 * Validates a crystal and brings it to canonical form: float64, fractional coordinates in [0, 1), source atom order kept,
 * `D` and `T` as hydrogen.
 *
 * @param raw the crystal as its file states it
 * @param limits what is still accepted
 * @returns the structure, or the first reason against it, in the order: empty, too_large (atoms), unparsable (counts do not
 *   match), unknown_element, non_finite, too_large (cell), singular_cell, atoms_too_close
 */
export function canonicalStructure(raw: RawStructure, limits: StructureLimits = {}): ReadItem {
  const n = raw.species.length;
  const maxAtoms = limits.maxAtoms ?? DEFAULT_MAX_ATOMS;
  const coordinates = raw.fractional ?? raw.cartesian ?? [];
  if (n === 0) return rejection(raw, 'empty', 'no atoms; a structure needs at least one');
  if (n > maxAtoms) return rejection(raw, 'too_large', `${n} atoms; at most ${maxAtoms} are accepted`);
  if (raw.lattice.length !== 9) {
    return rejection(raw, 'unparsable', `${raw.lattice.length} lattice numbers; three vectors of three are needed`);
  }
  if (coordinates.length !== 3 * n) {
    return rejection(raw, 'unparsable', `${coordinates.length} coordinates for ${n} atoms; ${3 * n} are needed`);
  }

  const atomicNumbers = new Uint8Array(n);
  for (let i = 0; i < n; i++) {
    const species = raw.species[i];
    const z = typeof species === 'number' ? species : atomicNumberOf(species);
    if (z === undefined || !Number.isInteger(z) || z < 1 || z > MAX_ATOMIC_NUMBER) {
      return rejection(
        raw,
        'unknown_element',
        `'${species}' at site ${i} is not an element; a symbol H..Og or a number 1..${MAX_ATOMIC_NUMBER} is needed`,
      );
    }
    atomicNumbers[i] = z;
  }

  const lattice = Float64Array.from(raw.lattice);
  const badLattice = lattice.findIndex((x) => !Number.isFinite(x));
  if (badLattice >= 0) {
    return rejection(
      raw,
      'non_finite',
      `lattice vector ${'abc'[Math.floor(badLattice / 3)]} has the component ${lattice[badLattice]}; finite numbers are needed`,
    );
  }
  for (let i = 0; i < 3 * n; i++) {
    if (!Number.isFinite(coordinates[i])) {
      return rejection(
        raw,
        'non_finite',
        `coordinate ${'xyz'[i % 3]} of site ${Math.floor(i / 3)} is ${coordinates[i]}; finite numbers are needed`,
      );
    }
  }

  const longest = Math.max(...[0, 3, 6].map((row) => Math.hypot(...lattice.subarray(row, row + 3))));
  if (longest > MAX_CELL_LENGTH)
    return rejection(
      raw,
      'too_large',
      `a lattice vector is ${longest} Å long; at most ${MAX_CELL_LENGTH} Å are accepted`,
    );

  const inverse = inverseLattice(lattice);
  if (!inverse) {
    return rejection(
      raw,
      'singular_cell',
      `the lattice vectors [${Array.from(lattice).join(', ')}] span no volume; three independent vectors are needed`,
    );
  }
  const fractionalCoordinates = new Float64Array(3 * n);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < 3; k++) {
      const value = raw.fractional
        ? coordinates[3 * i + k]
        : coordinates[3 * i] * inverse[k] +
          coordinates[3 * i + 1] * inverse[3 + k] +
          coordinates[3 * i + 2] * inverse[6 + k];
      // Beyond 2^53 cells, or where products overflow, there is no place within a cell.
      if (!(Math.abs(value) < Number.MAX_SAFE_INTEGER))
        return rejection(
          raw,
          'non_finite',
          `site ${i} is ${value} cells away along ${'abc'[k]}; coordinates near the cell are needed`,
        );
      fractionalCoordinates[3 * i + k] = wrapped(value);
    }
  }

  const bonds = shortestBonds(atomicNumbers, raw.mayHaveAlternatives ?? false);
  const contact = closestContact(lattice, fractionalCoordinates, bonds);
  if (contact) {
    const name = (i: number) => `${elementSymbol(atomicNumbers[i])} (site ${i})`;
    const pair =
      contact.i === contact.j ? `${name(contact.i)} and its own image` : `${name(contact.i)} and ${name(contact.j)}`;
    return rejection(
      raw,
      'atoms_too_close',
      `${pair} are ${Number(contact.distance.toPrecision(3))} Å apart; at least ${Number(bonds.between(contact.i, contact.j).toPrecision(3))} Å are needed, or one set of alternative sites`,
    );
  }
  return {
    structure: { materialId: raw.materialId, atomicNumbers, lattice, fractionalCoordinates, source: raw.source },
  };
}

/**
 * A rejection as a read item, its message cut to what a quarantine row holds.
 *
 * @param where id and source of the rejected input
 * @param code reason code
 * @param message names the value and what is needed
 */
export function rejection(
  where: { materialId: string; source: string },
  code: StructureRejectionCode,
  message: string,
): { rejection: Rejection } {
  // Control characters of a binary file must not reach a terminal or a table.
  const printable = message.replace(/\p{Cc}+/gu, ' ');
  const short = printable.length > MAX_MESSAGE ? `${printable.slice(0, MAX_MESSAGE - 1)}…` : printable;
  return { rejection: { materialId: where.materialId, source: where.source, code, message: short } };
}

/** Into [0, 1): -1e-17 minus its floor rounds to 1, which is 0; adding 0 turns -0 into 0. */
function wrapped(x: number): number {
  const fraction = x - Math.floor(x);
  return fraction >= 1 ? 0 : fraction + 0;
}

/** [9] row-major inverse of a row-major lattice, or undefined when it spans no volume. */
function inverseLattice(lattice: Float64Array): Float64Array | undefined {
  const [a, b, c] = [0, 3, 6].map((row) => Math.hypot(...lattice.subarray(row, row + 3)));
  return Math.abs(determinant3(lattice)) > MIN_RELATIVE_VOLUME * a * b * c ? inverse3(lattice) : undefined;
}
