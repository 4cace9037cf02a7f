import { nearestNeighbours } from '../neighbours/neighbours.js';
import { rowsByLabel } from '../base/groups.js';
import { finiteFloat64, type Matrix } from '../base/matrix.js';
import { squaredDistance } from '../neighbours/pairwise.js';

/** Thresholds at which distances of equivalent atoms are counted. */
export const SPREAD_LADDER = [1e-12, 1e-10, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2] as const;

/**
 * For every atom of an orbit of two or more, the largest distance between two atoms of the orbit: 0 for a model that respects the
 * symmetry of the crystal, up to rounding.
 * @param x vectors of one structure's atoms [n, d]
 * @param orbits [n] for each atom the first atom of its orbit
 */
export function orbitSpreads(x: Matrix, orbits: ArrayLike<number>): Float64Array {
  const spreads: number[] = [];
  for (const atoms of rowsByLabel(orbits).values()) {
    if (atoms.length < 2) continue;
    let largest = 0;
    for (let i = 1; i < atoms.length; i++)
      for (let j = 0; j < i; j++) largest = Math.max(largest, squaredDistance(x, atoms[i], x, atoms[j]));
    for (let i = 0; i < atoms.length; i++) spreads.push(Math.sqrt(largest));
  }
  return Float64Array.from(spreads);
}

/**
 * Distance of every row to its nearest other row. The share of zeros (below a tolerance) is the collapse fraction of the notebook.
 * @param x [n, d], n >= 2
 */
export async function nearestDistances(x: Matrix): Promise<Float64Array> {
  const points = finiteFloat64(x, 'rows');
  const { indices } = await nearestNeighbours(points, 1, 'euclidean');
  return Float64Array.from(indices, (other, row) => Math.sqrt(squaredDistance(points, row, points, other)));
}
