import { inverse3 } from '../structures/matrix3.js';
import type { Crystal } from './graphBatch.js';

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A random order of 0..n-1 (Fisher-Yates). */
export function randomOrder(n: number, random: () => number): Int32Array {
  const order = Int32Array.from({ length: n }, (_, k) => k);
  for (let k = n - 1; k > 0; k--) {
    const other = Math.floor(random() * (k + 1));
    [order[k], order[other]] = [order[other], order[k]];
  }
  return order;
}

/** A standard normal deviate (Box-Muller). */
export function normalDeviate(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** The crystal with every atom displaced by `sigma` (Å, normal, each Cartesian axis). */
export function rattled(crystal: Crystal, sigma: number, random: () => number): Crystal {
  const { lattice, fractionalCoordinates } = crystal;
  const inverse = inverse3(lattice);
  const moved = Float64Array.from(fractionalCoordinates);
  for (let atom = 0; atom < moved.length; atom += 3) {
    const shift = [normalDeviate(random), normalDeviate(random), normalDeviate(random)].map(
      (deviate) => sigma * deviate,
    );
    for (let k = 0; k < 3; k++)
      moved[atom + k] += shift[0] * inverse[k] + shift[1] * inverse[3 + k] + shift[2] * inverse[6 + k];
  }
  return { ...crystal, fractionalCoordinates: moved.map((x) => x - Math.floor(x)) };
}

/** The crystal with lattice vectors multiplied by I + E, the nine entries of E uniform in [-amplitude, amplitude]. */
export function strained(crystal: Crystal, amplitude: number, random: () => number): Crystal {
  const strain = Float64Array.from({ length: 9 }, () => amplitude * (2 * random() - 1));
  const lattice = crystal.lattice.map((component, k) => {
    const row = 3 * Math.floor(k / 3);
    return component + [0, 1, 2].reduce((sum, m) => sum + crystal.lattice[row + m] * strain[3 * m + (k % 3)], 0);
  });
  return { ...crystal, lattice };
}

/** The crystal turned by a random rotation, uniform over SO(3) (a normalised quaternion of four normal deviates). */
export function rotated(crystal: Crystal, random: () => number): Crystal {
  const quaternion = [normalDeviate(random), normalDeviate(random), normalDeviate(random), normalDeviate(random)];
  const length = Math.hypot(...quaternion);
  const [w, x, y, z] = quaternion.map((component) => component / length);
  const rotation = [
    [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
    [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
    [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
  ];
  const lattice = new Float64Array(9);
  for (let vector = 0; vector < 3; vector++) {
    for (let axis = 0; axis < 3; axis++) {
      for (let k = 0; k < 3; k++) lattice[3 * vector + axis] += rotation[axis][k] * crystal.lattice[3 * vector + k];
    }
  }
  return { ...crystal, lattice };
}

/** The crystal seen through its inversion: every lattice vector reversed, fractional coordinates kept. */
export function inverted(crystal: Crystal): Crystal {
  return { ...crystal, lattice: crystal.lattice.map((component) => -component) };
}

/** The crystal with its atoms in another order: atom k of the result is atom `order[k]` of the crystal. */
export function permuted(crystal: Crystal, order: Int32Array): Crystal {
  const fractionalCoordinates = new Float64Array(3 * order.length);
  for (const [k, from] of order.entries()) {
    fractionalCoordinates.set(crystal.fractionalCoordinates.subarray(3 * from, 3 * from + 3), 3 * k);
  }
  return {
    lattice: crystal.lattice,
    atomicNumbers: Uint8Array.from(order, (from) => crystal.atomicNumbers[from]),
    fractionalCoordinates,
  };
}

/** The crystal in a cell of twice the length along one axis: atoms k and n + k are images of atom k. */
export function doubled(crystal: Crystal, axis: 0 | 1 | 2): Crystal {
  const { atomicNumbers, lattice, fractionalCoordinates } = crystal;
  const atoms = atomicNumbers.length;
  const fractional = new Float64Array(6 * atoms);
  for (let k = 0; k < 6 * atoms; k++) {
    const value = fractionalCoordinates[k % (3 * atoms)];
    fractional[k] = k % 3 === axis ? (value + (k < 3 * atoms ? 0 : 1)) / 2 : value;
  }
  return {
    lattice: lattice.map((component, k) => (Math.floor(k / 3) === axis ? 2 * component : component)),
    atomicNumbers: Uint8Array.from({ length: 2 * atoms }, (_, k) => atomicNumbers[k % atoms]),
    fractionalCoordinates: fractional,
  };
}
