/** Distances that differ by less are equal: sums of shares in another order. */
const RESOLUTION = 1e-9;
/** Elements and one. */
const ELEMENTS = 119;

/** Atoms that structures are compared with, [m]: their elements and the structure each is of. */
export interface ReferenceAtoms {
  elements: ArrayLike<number>;
  structures: ArrayLike<number>;
}

/** How unusual a structure is by its composition alone. */
export interface CompositionBaselines {
  /** Minus the natural logarithm of the smallest share that one of its elements has of the reference atoms, pseudo-count 1. */
  rarity: Float64Array;
  /** Sum of absolute differences of the shares of elements (0 to 2) to the nearest reference structure; NaN without any. */
  distance: Float64Array;
}

/**
 * What a score of atypicality must beat: rarity of elements and distance of compositions. As for novelty, the structure's own atoms are no
 * reference for it. O(judged x reference structures x elements).
 * @param structures atomic numbers of every structure
 * @param judged [n] positions of the structures to score
 * @param reference atoms; structures by the same positions
 */
export function compositionBaselines(
  structures: readonly ArrayLike<number>[],
  judged: ArrayLike<number>,
  reference: ReferenceAtoms,
): CompositionBaselines {
  const total = new Int32Array(ELEMENTS);
  const own = new Map<number, Map<number, number>>();
  for (let atom = 0; atom < reference.elements.length; atom++) {
    const [element, structure] = [reference.elements[atom], reference.structures[atom]];
    total[element]++;
    const counts = own.get(structure) ?? new Map<number, number>();
    own.set(structure, counts.set(element, (counts.get(element) ?? 0) + 1));
  }
  const known = [...own.keys()];
  const table = new Float64Array(known.length * ELEMENTS);
  known.forEach((structure, row) => {
    for (const [element, share] of sharesOf(structures[structure])) table[row * ELEMENTS + element] = share;
  });

  const rarity = new Float64Array(judged.length);
  const distance = new Float64Array(judged.length).fill(NaN);
  for (let i = 0; i < judged.length; i++) {
    const shares = [...sharesOf(structures[judged[i]])];
    const counts = own.get(judged[i]);
    const others = reference.elements.length - sum(counts?.values() ?? []);
    const rarest = Math.min(...shares.map(([element]) => total[element] - (counts?.get(element) ?? 0)));
    rarity[i] = -Math.log((rarest + 1) / (others + 1));
    let nearest = Infinity;
    for (let row = 0; row < known.length; row++) {
      if (known[row] === judged[i]) continue;
      // Elements that the structure lacks add what is left of the other's shares.
      let apart = 1;
      for (const [element, share] of shares) {
        const other = table[row * ELEMENTS + element];
        apart += Math.abs(share - other) - other;
      }
      if (apart < nearest) nearest = apart;
    }
    if (nearest < Infinity) distance[i] = Math.round(nearest / RESOLUTION) * RESOLUTION;
  }
  return { rarity, distance };
}

function sharesOf(atomicNumbers: ArrayLike<number>): Map<number, number> {
  const counts = new Map<number, number>();
  for (let atom = 0; atom < atomicNumbers.length; atom++)
    counts.set(atomicNumbers[atom], (counts.get(atomicNumbers[atom]) ?? 0) + 1);
  for (const [element, count] of counts) counts.set(element, count / atomicNumbers.length);
  return counts;
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
