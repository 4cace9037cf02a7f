import { createHash } from 'node:crypto';
import type { Structure } from './structure.js';

/** Grid steps: cell lengths in Å, cell angles in degrees, fractional coordinates. */
const LENGTH_STEP = 1e-4;
const ANGLE_STEP = 1e-3;
const COORDINATE_STEP = 1e-4;

/**
 * Where cell boundaries lie between grid points, in steps. Values that crystals prefer (k/2, k/3, k/4, k/6 ... k/32, 60°, 90°,
 * 120°, decimals with up to 7 places) are all more than 1e-4 steps away from 0.41425, and decimals with 8 places lie
 * half-way, so that only values with more digits can be split by rounding.
 */
const BOUNDARY = 0.41425;

const quantised = (value: number, step: number): number => Math.floor(value / step - BOUNDARY);

/**
 * Identity of a crystal as files describe it: hex sha256 over cell lengths and angles, atomic numbers and fractional
 * coordinates, quantised to 1e-4 Å, 1e-3° and 1e-4.
 *
 * Equal whatever the file format, the orientation of the cell in space, the order of the atoms, lattice translations of
 * single atoms, and digits beyond what the format carries. Different when a length, an angle or a coordinate of one atom
 * differs by more than a step, and for another description of the same crystal: a supercell, a primitive for a
 * conventional cell, another origin, axes in another order. A crystal and its mirror image in a mirrored cell have equal
 * lengths, angles and fractional coordinates, so their hashes are equal.
 *
 * A value at a boundary of the grid can fall on either side once a format has rounded it. The chance for a coordinate that is
 * neither special nor a short decimal is its rounding over the step: 5e-5 where a file keeps 8 decimals, 5e-3 where it keeps 6.
 * @returns 64 hex digits
 */
export function structureHash(structure: Structure): string {
  const { atomicNumbers, fractionalCoordinates } = structure;
  const { lengths, angles } = cellParameters(structure.lattice);
  const perCell = Math.round(1 / COORDINATE_STEP);
  const coordinate = (value: number): number => {
    const cell = quantised(value, COORDINATE_STEP) % perCell;
    return cell < 0 ? cell + perCell : cell;
  };
  const atoms = Array.from(
    atomicNumbers,
    (z, i) =>
      `${z} ${coordinate(fractionalCoordinates[3 * i])} ${coordinate(fractionalCoordinates[3 * i + 1])} ` +
      `${coordinate(fractionalCoordinates[3 * i + 2])}`,
  ).sort();
  const cell = [...lengths.map((l) => quantised(l, LENGTH_STEP)), ...angles.map((a) => quantised(a, ANGLE_STEP))];
  return createHash('sha256')
    .update(['koine structure 1', cell.join(' '), ...atoms].join('\n'))
    .digest('hex');
}

/** Lengths |a|, |b|, |c| in Å and angles (b,c), (c,a), (a,b) in degrees. */
function cellParameters(lattice: Float64Array): { lengths: number[]; angles: number[] } {
  const row = (k: number) => lattice.subarray(3 * k, 3 * k + 3);
  const dot = (k: number, l: number) => row(k).reduce((sum, x, axis) => sum + x * row(l)[axis], 0);
  const lengths = [0, 1, 2].map((k) => Math.sqrt(dot(k, k)));
  const angles = [0, 1, 2].map((k) => {
    const l = (k + 1) % 3;
    const m = (k + 2) % 3;
    const cosine = dot(l, m) / (lengths[l] * lengths[m]);
    return (Math.acos(Math.min(1, Math.max(-1, cosine))) * 180) / Math.PI;
  });
  return { lengths, angles };
}
