import { bundledStructures } from '../structures/bundled/bundled.js';
import type { Structure } from '../structures/structure.js';
import { doubled, rattled, seededRandom, strained } from './crystalVariants.js';
import type { Crystal } from './graphBatch.js';

/** Crystals of more atoms are left out: the official code runs the set several times, in float64 too. */
const LARGEST = 14;

/**
 * Structures on which an export is compared with the official code: small bundled crystals that together hold every element
 * there is a crystal of, then what finds mistakes that ideal crystals hide: displaced atoms (no symmetry, all distances
 * different), strained and sheared cells, supercells, cells of one atom, an atom and a pair without further neighbours.
 * The same set for every model; exporters leave out what a model does not take.
 */
export function paritySet(): Structure[] {
  const random = seededRandom(4);
  const ideal = covering(bundledStructures().filter(({ atomicNumbers }) => atomicNumbers.length <= LARGEST));
  const several = ideal.filter(({ atomicNumbers }) => atomicNumbers.length > 2);
  const pick = () => several[Math.floor(random() * several.length)];
  const variants = (count: number, name: string, make: (crystal: Structure) => Crystal): Structure[] =>
    Array.from({ length: count }, (_, k) => {
      const crystal = pick();
      return { ...crystal, ...make(crystal), materialId: `${name}-${k}-${crystal.materialId}` };
    });
  return [
    ...ideal,
    ...variants(8, 'rattled', (crystal) => rattled(crystal, 0.1, random)),
    ...variants(3, 'melted', (crystal) => rattled(crystal, 0.25, random)),
    ...variants(5, 'strained', (crystal) => strained(rattled(crystal, 0.03, random), 0.08, random)),
    ...variants(3, 'doubled', (crystal) => rattled(doubled(crystal, 0), 0.05, random)),
    box('isolated-Fe', [26], [0, 0, 0]),
    box('isolated-O2', [8, 8], [0, 0, 0, 1.21 / BOX, 0, 0]),
  ];
}

/** Å; farther than any cutoff. */
const BOX = 25;

function box(materialId: string, atomicNumbers: number[], fractionalCoordinates: number[]): Structure {
  return {
    materialId,
    atomicNumbers: Uint8Array.from(atomicNumbers),
    lattice: Float64Array.of(BOX, 0, 0, 0, BOX, 0, 0, 0, BOX),
    fractionalCoordinates: Float64Array.from(fractionalCoordinates),
    source: 'models/paritySet',
  };
}

/** Crystals that hold every element, greedily: most new elements first, then fewest atoms, then id. */
function covering(crystals: readonly Structure[]): Structure[] {
  const covered = new Set<number>();
  const chosen: Structure[] = [];
  for (;;) {
    const gain = ({ atomicNumbers }: Structure) => new Set([...atomicNumbers].filter((z) => !covered.has(z))).size;
    const best = crystals.reduce((a, b) => {
      const order = gain(b) - gain(a) || a.atomicNumbers.length - b.atomicNumbers.length;
      return order > 0 || (order === 0 && b.materialId < a.materialId) ? b : a;
    });
    if (gain(best) === 0) return chosen;
    for (const z of best.atomicNumbers) covered.add(z);
    chosen.push(best);
  }
}
