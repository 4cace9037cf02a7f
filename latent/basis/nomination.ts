import { type AtomId, type AtomIds, compareAtoms } from '../base/atomId.js';
import { nearestCentroids } from '../kernels/nearestCentroid.js';
import type { AnchorCentres } from './leafClusters.js';

/** Candidates this much farther from a centre than the nearest one tie with it, in projected units: far above float noise. */
export const TIE_TOLERANCE = 1e-4;

/** A row that may become the anchor of a centre. */
export interface Nomination extends AtomId {
  /** Index of the centre. */
  centre: number;
  /** Euclidean distance to it, in projected units. */
  distance: number;
  /** Row number within the shard. */
  row: number;
}

/** What `nominate` needs of a shard. */
export interface ShardRows {
  /** [n, p] */
  projected: Float64Array;
  n: number;
  ids: AtomIds;
}

function distanceToCentre(projected: Float64Array, row: number, { p, centres }: AnchorCentres, centre: number): number {
  let sum = 0;
  for (let j = 0, a = row * p, b = centre * p; j < p; j++) sum += (projected[a++] - centres[b++]) ** 2;
  return Math.sqrt(sum);
}

/**
 * Of the rows within the tolerance of the nearest one, those that no other beats in both distance and id. Whatever the other shards
 * hold, the rows that tie with the global minimum are, here, the nearest few up to some distance; the smallest id among these is always
 * on this front, so `chooseAnchors` decides as if it saw every row.
 */
function front(candidates: Nomination[], tolerance: number): Nomination[] {
  const limit = candidates.reduce((least, { distance }) => Math.min(least, distance), Infinity) + tolerance;
  const near = candidates
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance || compareAtoms(a, b));
  const kept: Nomination[] = [];
  for (const candidate of near)
    if (kept.length === 0 || compareAtoms(candidate, kept[kept.length - 1]) < 0) kept.push(candidate);
  return kept;
}

/**
 * Step 3 of a shard: for every centre the shard's candidates, among its rows of that cluster (those whose nearest leaf centroid carries
 * its label). A cluster without rows here has none.
 * @param tolerance see `TIE_TOLERANCE`; the same number must go to `chooseAnchors`
 */
export async function nominate(
  { projected, n, ids }: ShardRows,
  centres: AnchorCentres,
  tolerance = TIE_TOLERANCE,
): Promise<Nomination[]> {
  const leaf = await nearestCentroids(projected, n, centres.p, centres.leafCentroids, centres.leafLabels.length);
  const distances = new Float64Array(n);
  const least = new Float64Array(centres.count).fill(Infinity);
  for (let row = 0; row < n; row++) {
    const centre = centres.leafLabels[leaf[row]];
    distances[row] = distanceToCentre(projected, row, centres, centre);
    if (distances[row] < least[centre]) least[centre] = distances[row];
  }
  const candidates: Nomination[][] = Array.from({ length: centres.count }, () => []);
  for (let row = 0; row < n; row++) {
    const centre = centres.leafLabels[leaf[row]];
    const distance = distances[row];
    if (distance > least[centre] + tolerance) continue;
    candidates[centre].push({
      centre,
      distance,
      materialId: ids.materialIds[row],
      atomIndex: ids.atomIndices[row],
      row,
    });
  }
  return candidates.flatMap((ofCentre) => front(ofCentre, tolerance));
}

/**
 * Candidates for centres that no row belongs to (possible where leaf centroids crowd): rows of any cluster that are not anchors yet.
 * @param anchors what `chooseAnchors` gave, with `null` where a centre still has none
 */
export function nominateReplacements(
  { projected, n, ids }: ShardRows,
  centres: AnchorCentres,
  anchors: readonly (AtomId | null)[],
  tolerance = TIE_TOLERANCE,
): Nomination[] {
  const key = ({ materialId, atomIndex }: AtomId): string => `${materialId}\0${atomIndex}`;
  const taken = new Set(anchors.filter((anchor) => anchor !== null).map(key));
  return anchors.flatMap((anchor, centre) => {
    if (anchor !== null) return [];
    let least = Infinity;
    let candidates: Nomination[] = [];
    for (let row = 0; row < n; row++) {
      const distance = distanceToCentre(projected, row, centres, centre);
      if (distance > least + tolerance) continue;
      const nomination = { centre, distance, materialId: ids.materialIds[row], atomIndex: ids.atomIndices[row], row };
      if (taken.has(key(nomination))) continue;
      if (distance < least) {
        least = distance;
        candidates = candidates.filter((candidate) => candidate.distance <= least + tolerance);
      }
      candidates.push(nomination);
    }
    return front(candidates, tolerance);
  });
}

/**
 * One anchor a centre: of all candidates within the tolerance of the smallest distance, the one with the smallest (material_id,
 * atom_index). Independent of how rows were sharded. Anchors are distinct: of two centres that want one atom the first gets it, and the
 * other waits for another round of `nominateReplacements`.
 * @param nominationsByShard any order
 * @param soFar result of the round before
 * @returns [K]; `null` where a centre has no anchor yet
 * @throws RangeError when a further round brought nothing: there are fewer atoms than centres
 */
export function chooseAnchors<N extends Nomination>(
  nominationsByShard: readonly (readonly N[])[],
  k: number,
  soFar: readonly (N | null)[] = [],
  tolerance = TIE_TOLERANCE,
): (N | null)[] {
  const byCentre: N[][] = Array.from({ length: k }, () => []);
  for (const nominations of nominationsByShard)
    for (const nomination of nominations) byCentre[nomination.centre].push(nomination);
  const anchors: (N | null)[] = Array.from({ length: k }, (_, centre) => soFar[centre] ?? null);
  let filled = 0;
  for (let centre = 0; centre < k; centre++) {
    if (anchors[centre] || byCentre[centre].length === 0) continue;
    const limit = byCentre[centre].reduce((least, { distance }) => Math.min(least, distance), Infinity) + tolerance;
    const winner = byCentre[centre]
      .filter(({ distance }) => distance <= limit)
      .reduce((a, b) => (compareAtoms(b, a) < 0 ? b : a));
    if (anchors.some((anchor) => anchor !== null && compareAtoms(anchor, winner) === 0)) continue;
    anchors[centre] = winner;
    filled++;
  }
  if (filled === 0)
    throw new RangeError(
      `latent/basis: no atom is left for centre ${anchors.indexOf(null)} of ${k}; ask for fewer anchors`,
    );
  return anchors;
}
