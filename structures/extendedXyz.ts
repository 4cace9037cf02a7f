import { elementSymbol } from './elements.js';
import type { Structure } from './structure.js';

/**
 * Structures as extended XYZ (https://github.com/libAtoms/extxyz), Cartesian positions in Å, with as many digits as it takes
 * to read the same float64 back. Ids are given as `material_id`.
 */
export function extendedXyz(structures: readonly Structure[]): string {
  return structures.map(frame).join('');
}

function frame({ materialId, atomicNumbers, lattice, fractionalCoordinates }: Structure): string {
  const quoted = `"${materialId.replace(/[\\"]/g, '\\$&')}"`;
  const comment = `Lattice="${[...lattice].join(' ')}" Properties=species:S:1:pos:R:3 material_id=${quoted} pbc="T T T"`;
  const atoms = Array.from(atomicNumbers, (z, atom) => {
    const [a, b, c] = fractionalCoordinates.subarray(3 * atom, 3 * atom + 3);
    const position = [0, 1, 2].map((axis) => a * lattice[axis] + b * lattice[3 + axis] + c * lattice[6 + axis]);
    return `${elementSymbol(z)} ${position.join(' ')}`;
  });
  return `${[atomicNumbers.length, comment, ...atoms].join('\n')}\n`;
}
