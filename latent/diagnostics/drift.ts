import { clusterMeans } from '../statistics/clusterBootstrap.js';
import { numberGroups } from '../base/groups.js';
import { centred, columnMeans, finiteFloat64, type Matrix } from '../base/matrix.js';
import { squaredDistance } from '../neighbours/pairwise.js';
import { nearestNeighbours } from '../neighbours/neighbours.js';
import { neighbourOverlaps } from '../similarity/mutualNeighbours.js';
import { countUp } from '../base/integers.js';
import { elementStrata } from '../samples/strata.js';
import type { Interval } from '../statistics/bootstrap.js';
import { applyMap, orthogonal } from '../maps/anchorMaps.js';

/** What changed of a group of atoms. */
export interface Drift {
  /** Atomic number; null: all atoms. */
  element: number | null;
  metric: 'shift' | 'shared_neighbours' | 'rotated_shift';
  interval: Interval;
  n: number;
}

/** Rows of two versions of a model; all [n, ...] of the same atoms. */
export interface Versions {
  coordinates: [Matrix, Matrix];
  embeddings: [Matrix, Matrix];
  atomicNumbers: ArrayLike<number>;
  structures: ArrayLike<number>;
}

/** Options of {@link drift}. */
export interface DriftOptions {
  neighbours: number;
  /** Atoms that an element needs. */
  rows: number;
  replicates: number;
  seed: number;
}

/**
 * Drift of a model between versions, over all atoms and by element. Shifts are root mean squares in units of the root mean square
 * distance of two random atoms of the two versions: 0 unchanged, 1 as far as another atom. Raw embeddings are compared after the best
 * rotation and scale, fitted on the same atoms: training again from scratch ends in another rotation, which means nothing.
 */
export async function drift(
  { coordinates, embeddings, atomicNumbers, structures }: Versions,
  { neighbours, rows, replicates, seed }: DriftOptions,
): Promise<Drift[]> {
  const n = coordinates[0].rows;
  if (n < 2) return []; // one atom does not say what a shift means
  const [zx, zy] = coordinates.map((z, side) => finiteFloat64(z, `coordinates of version ${side}`));
  const map = orthogonal(embeddings[0], embeddings[1]);
  const columns: [Drift['metric'], Float64Array, 'square root' | 'plain'][] = [
    ['shift', relativeSquares(zx, zy), 'square root'],
    [
      'rotated_shift',
      relativeSquares(applyMap(map, embeddings[0]), finiteFloat64(embeddings[1], 'embeddings')),
      'square root',
    ],
  ];
  if (n > neighbours + 1) {
    const overlaps = neighbourOverlaps(
      await nearestNeighbours(zx, neighbours, 'euclidean'),
      await nearestNeighbours(zy, neighbours, 'euclidean'),
    );
    columns.push(['shared_neighbours', overlaps, 'plain']);
  }
  const found: Drift[] = [];
  for (const { element, rows: members } of [
    { element: null, rows: countUp(n) },
    ...elementStrata(atomicNumbers, rows),
  ]) {
    const groups = numberGroups(Array.from(members, (row) => structures[row]));
    const means = clusterMeans(
      columns.map(([, values]) => Float64Array.from(members, (row) => values[row])),
      groups,
      replicates,
      seed,
    );
    columns.forEach(([metric, , scale], at) => {
      const { value, low, high } = means[at];
      const back = (square: number) => (scale === 'plain' ? square : Math.sqrt(square));
      found.push({
        element,
        metric,
        interval: { value: back(value), low: back(low), high: back(high) },
        n: members.length,
      });
    });
  }
  return found;
}

/** |x_i - y_i|² over the mean |x_i - y_j|² of all i, j; 0 where both are one point. */
function relativeSquares(x: Matrix<Float64Array>, y: Matrix<Float64Array>): Float64Array {
  const [mx, my] = [columnMeans(x), columnMeans(y)];
  const spread = (m: Matrix<Float64Array>, mean: Float64Array) =>
    centred(m, mean).data.reduce((sum, value) => sum + value * value, 0) / m.rows;
  const apart = mx.reduce((sum, value, c) => sum + (value - my[c]) ** 2, 0);
  const random = spread(x, mx) + spread(y, my) + apart;
  return Float64Array.from({ length: x.rows }, (_, row) =>
    random === 0 ? 0 : squaredDistance(x, row, y, row) / random,
  );
}
