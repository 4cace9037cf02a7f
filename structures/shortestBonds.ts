import type { ContactLimits } from './closestContact.js';

/** Å; nearer atoms are a mistake: the shortest bond there is, in H2, measures 0.74 Å. */
export const MIN_DISTANCE = 0.4;

/** Covalent radii in Å (Cordero et al., Dalton Trans. 2008, 2832), index = atomic number; 2 where none is known. */
const RADII = [
  ...[2, 0.31, 0.28, 1.28, 0.96, 0.84, 0.76, 0.71, 0.66, 0.57, 0.58, 1.66, 1.41, 1.21, 1.11, 1.07, 1.05, 1.02, 1.06],
  ...[2.03, 1.76, 1.7, 1.6, 1.53, 1.39, 1.39, 1.32, 1.26, 1.24, 1.32, 1.22, 1.22, 1.2, 1.19, 1.2, 1.2, 1.16],
  ...[2.2, 1.95, 1.9, 1.75, 1.64, 1.54, 1.47, 1.46, 1.42, 1.39, 1.45, 1.44, 1.42, 1.39, 1.39, 1.38, 1.39, 1.4],
  ...[2.44, 2.15, 2.07, 2.04, 2.03, 2.01, 1.99, 1.98, 1.98, 1.96, 1.94, 1.92, 1.92, 1.89, 1.9, 1.87, 1.87],
  ...[1.75, 1.7, 1.62, 1.51, 1.44, 1.41, 1.36, 1.36, 1.32, 1.45, 1.46, 1.48, 1.4, 1.5, 1.5],
  ...[2.6, 2.21, 2.15, 2.06, 2, 1.96, 1.9, 1.87, 1.8, 1.69],
];

/** B, C, N, O, F, Si, P, S, Cl, Ge, As, Se, Br, Sb, Te, I. */
const NON_METALS = new Set([5, 6, 7, 8, 9, 14, 15, 16, 17, 32, 33, 34, 35, 51, 52, 53]);

/**
 * Shares of the sum of two covalent radii below which atoms other than hydrogen are two places of one disordered atom, or a mistake.
 * Of 28,961 real structures, frames under 500 GPa among them, the nearest pair is at 0.31; of those in CIF the nearest non-metals are
 * at 0.61. Bonds between non-metals begin at 0.77 (N2), but approximants of disorder in databases do not.
 */
const LEAST_SHARE = 0.3;
const LEAST_SHARE_OF_REFINED = 0.6;

/**
 * Least distances between the atoms of a structure: 0.4 Å, for atoms other than hydrogen 0.3 of the sum of their covalent radii, and
 * 0.6 of it for two non-metals of a crystal that may have been refined with alternatives.
 *
 * @param atomicNumbers [n_atoms]
 * @param mayHaveAlternatives whether the format is one of crystals from diffraction
 */
export function shortestBonds(atomicNumbers: Uint8Array, mayHaveAlternatives: boolean): ContactLimits {
  const n = atomicNumbers.length;
  const radii = new Float64Array(n);
  const strict = new Uint8Array(n);
  let largest = 0;
  let largestStrict = 0;
  for (let i = 0; i < n; i++) {
    const z = atomicNumbers[i];
    // Hydrogen has no radius here: its bonds are told by MIN_DISTANCE.
    if (z === 1) continue;
    radii[i] = RADII[z] ?? 2;
    if (radii[i] > largest) largest = radii[i];
    if (!mayHaveAlternatives || !NON_METALS.has(z)) continue;
    strict[i] = 1;
    if (radii[i] > largestStrict) largestStrict = radii[i];
  }
  return {
    most: Math.max(MIN_DISTANCE, 2 * LEAST_SHARE * largest, 2 * LEAST_SHARE_OF_REFINED * largestStrict),
    between: (i, j) => {
      const share = strict[i] && strict[j] ? LEAST_SHARE_OF_REFINED : LEAST_SHARE;
      const isWithHydrogen = radii[i] === 0 || radii[j] === 0;
      return isWithHydrogen ? MIN_DISTANCE : Math.max(MIN_DISTANCE, share * (radii[i] + radii[j]));
    },
  };
}
