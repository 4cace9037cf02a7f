/** Atoms of one element among the rows of a draw. */
export interface Stratum {
  element: number;
  /** Positions of the rows, ascending. */
  rows: Int32Array;
}

/** The elements that have at least `least` rows, by atomic number. */
export function elementStrata(elements: ArrayLike<number>, least: number): Stratum[] {
  const members = new Map<number, number[]>();
  for (let row = 0; row < elements.length; row++) {
    const known = members.get(elements[row]);
    if (known) known.push(row);
    else members.set(elements[row], [row]);
  }
  return [...members]
    .filter(([, rows]) => rows.length >= least)
    .sort(([a], [b]) => a - b)
    .map(([element, rows]) => ({ element, rows: Int32Array.from(rows) }));
}
