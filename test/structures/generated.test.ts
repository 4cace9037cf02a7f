import { expect, test } from 'vitest';
import type { Structure } from '../../structures/structure.js';
import { readBytes } from './bytes.js';
import { describeShared } from '../support/shared.js';
import { runReference } from './reference/run.js';
import { volume } from './crystals.js';

interface Generated {
  name: string;
  setting: string;
  text: string;
  numbers: number[];
  cell: number[];
  fractional: number[];
  /** Whether the writer chose another cell or other axes, or made them ideal, so that only composition and density can be compared. */
  turned: boolean;
}

/** `KOINE_GENERATED=3000` for the long form. */
const COUNT = process.env.KOINE_GENERATED ?? '150';
const SEED = process.env.KOINE_SEED ?? '1';

const counted = (numbers: Iterable<number>) => [...numbers].sort((a, b) => a - b).join(' ');

/** What is wrong with a reading, or undefined. */
function difference(
  { atomicNumbers, lattice, fractionalCoordinates }: Structure,
  generated: Generated,
): string | undefined {
  const expectedVolume = volumeOf(generated.cell);
  if (generated.turned) {
    const times = atomicNumbers.length / generated.numbers.length;
    const perAtom = volume(lattice) / atomicNumbers.length / (expectedVolume / generated.numbers.length);
    const isSame = [...new Set(generated.numbers)].every(
      (z) => atomicNumbers.filter((x) => x === z).length === times * generated.numbers.filter((x) => x === z).length,
    );
    return isSame && Math.abs(perAtom - 1) < 5e-3
      ? undefined
      : `${atomicNumbers.length} atoms, ${perAtom} of the volume an atom`;
  }
  if (counted(atomicNumbers) !== counted(generated.numbers))
    return `${atomicNumbers.length} atoms instead of ${generated.numbers.length}`;
  if (Math.abs(volume(lattice) / expectedVolume - 1) > 1e-4)
    return `a volume of ${volume(lattice)} instead of ${expectedVolume}`;
  const free = new Set(generated.numbers.keys());
  for (const [i, z] of atomicNumbers.entries()) {
    const step = (j: number) =>
      Math.max(
        ...[0, 1, 2].map((k) =>
          Math.abs(
            fractionalCoordinates[3 * i + k] -
              generated.fractional[3 * j + k] -
              Math.round(fractionalCoordinates[3 * i + k] - generated.fractional[3 * j + k]),
          ),
        ),
      );
    const near = [...free].find((j) => generated.numbers[j] === z && step(j) < 1e-4);
    if (near === undefined) return `atom ${i} is at no place of its element`;
    free.delete(near);
  }
  return undefined;
}

function volumeOf([a, b, c, ...angles]: number[]): number {
  const [x, y, z] = angles.map((angle) => Math.cos((angle * Math.PI) / 180));
  return a * b * c * Math.sqrt(1 - x * x - y * y - z * z + 2 * x * y * z);
}

describeShared('generated crystals', () => {
  test(`${COUNT} crystals in random settings of all space groups are read as gemmi, pymatgen and ASE wrote them (seed ${SEED})`, async () => {
    const wrong: string[] = [];
    const read = new Map<string, number>();
    for await (const generated of runReference<Generated>('generateFiles.py', [COUNT, SEED])) {
      const { structures, rejections } = await readBytes(generated.name, generated.text);
      const problem =
        rejections[0]?.message ??
        (structures.length === 1 ? difference(structures[0], generated) : `${structures.length} structures`);
      if (problem !== undefined) wrong.push(`${generated.name} (${generated.setting}): ${problem}`);
      const kind = generated.name.split('/')[1];
      read.set(kind, (read.get(kind) ?? 0) + 1);
    }
    expect(wrong).toEqual([]);
    expect(read.get('operations.cif')).toBe(Number(COUNT));
    expect(read.size).toBe(14);
  });
});
