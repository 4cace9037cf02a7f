import { rowsByLabel } from '../base/groups.js';

/** Atoms of one element among the rows of a draw. */
export interface Stratum {
  element: number;
  /** Positions of the rows, ascending. */
  rows: Int32Array;
}

/** The elements that have at least `least` rows, by atomic number. */
export function elementStrata(elements: ArrayLike<number>, least: number): Stratum[] {
  return [...rowsByLabel(elements)]
    .filter(([, rows]) => rows.length >= least)
    .map(([element, rows]) => ({ element, rows }));
}
