import type { AtomId } from '../base/atomId.js';
import { hashUnit } from '../base/random.js';

/** Two lists of positions, [n] each: entry i of both is an atom of the same element. */
export interface DisjointRows {
  source: Int32Array;
  target: Int32Array;
}

/**
 * Two disjoint samples with the same elements. Every structure belongs to one side by the hash of (seed, draw, material_id), so that no
 * crystal is on both: an atom could find its own neighbours there. The k-th atom of an element on one side is matched
 * with the k-th on the other, and the n matches that were complete first are taken; atoms without a partner are left out. So both sides have
 * the same number of atoms of every element, in proportions near those of the data, and samples of a grown database share almost all rows.
 * @param rows in order of place (rows.ts)
 * @param elements atomic numbers of the rows
 * @returns positions in `rows`; fewer than n where the rows do not give more
 */
export function disjointRows(
  rows: ArrayLike<AtomId>,
  elements: ArrayLike<number>,
  n: number,
  seed: number,
  draw: number,
): DisjointRows {
  const sides = new Map<string, boolean>();
  /** Atoms of an element that wait for a partner: all of one side. */
  const waiting = new Map<number, { target: boolean; rows: number[]; next: number }>();
  const source: number[] = [];
  const target: number[] = [];
  for (let row = 0; row < rows.length && source.length < n; row++) {
    const { materialId } = rows[row];
    let onTarget = sides.get(materialId);
    if (onTarget === undefined) {
      onTarget = hashUnit(seed, draw, materialId) < 0.5;
      sides.set(materialId, onTarget);
    }
    const queue = waiting.get(elements[row]) ?? { target: onTarget, rows: [], next: 0 };
    waiting.set(elements[row], queue);
    const partner = queue.target === onTarget ? undefined : queue.rows[queue.next];
    if (partner === undefined) {
      queue.target = onTarget;
      queue.rows.push(row);
    } else {
      queue.next++;
      source.push(onTarget ? partner : row);
      target.push(onTarget ? row : partner);
    }
  }
  return { source: Int32Array.from(source), target: Int32Array.from(target) };
}
