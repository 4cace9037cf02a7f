import { greatestCommonDivisor } from '../base/integers.js';
import { hashUnit } from '../base/random.js';

/** What mining needs of a structure. */
export interface Prototyped {
  materialId: string;
  /** International number; structures of undetermined symmetry (0) are left out. */
  spaceGroup: number;
  /** [n_atoms] */
  atomicNumbers: ArrayLike<number>;
  /** [n_atoms] for each atom the first atom of its symmetry orbit. */
  orbits: ArrayLike<number>;
}

/** Two structures that differ by one substituted element; positions in the list given. */
export interface Substitution {
  source: number;
  target: number;
  fromElement: number;
  toElement: number;
  /** Share x of the atoms that are substituted. */
  share: number;
  /** Space group and orbits with the elements made anonymous. */
  prototype: string;
}

/** Options of {@link mineSubstitutions}. */
export interface MiningOptions {
  /** Pairs of one prototype, and in all, at most. */
  perPrototype: number;
  pairs: number;
  seed: number;
}

/** Pairs looked at in one group of structures, in units of `perPrototype`: a large group (NaCl) has very many. */
const LOOKED_AT = 8;

/**
 * Finds pairs of one prototype that differ by one element: the same space group and the same orbits, size by size and element by element, once the
 * one is renamed to the other. Orbit sizes, in lowest terms, stand for the Wyckoff sequence. Which pairs are taken and which
 * way round follows from hashes of the ids, not from the order of the structures.
 */
export function mineSubstitutions(
  structures: readonly Prototyped[],
  { perPrototype, pairs, seed }: MiningOptions,
): Substitution[] {
  const groups = new Map<string, { structure: number; element: number; rank: number; share: number }[]>();
  const prototypes: string[] = [];
  structures.forEach(({ materialId, spaceGroup, atomicNumbers, orbits }, structure) => {
    const sites = orbitsOf(atomicNumbers, orbits);
    prototypes.push(`${spaceGroup} ${anonymous(sites)}`);
    if (spaceGroup === 0) return;
    for (const element of new Set(sites.map((site) => site.element))) {
      const key = `${spaceGroup} ${signature(sites, (other) => (other === element ? '*' : String(other)))}`;
      const share = Array.from(atomicNumbers).filter((z) => z === element).length / atomicNumbers.length;
      const entry = { structure, element, rank: hashUnit(seed, 'substitution', materialId), share };
      const known = groups.get(key);
      if (known) known.push(entry);
      else groups.set(key, [entry]);
    }
  });
  const found = new Map<string, { pair: Substitution; rank: number }[]>();
  for (const members of groups.values()) {
    if (members.length < 2) continue;
    members.sort((a, b) => a.rank - b.rank);
    let looked = 0;
    for (let i = 1; i < members.length && looked < LOOKED_AT * perPrototype; i++)
      for (let j = 0; j < i && looked < LOOKED_AT * perPrototype; j++) {
        const [a, b] = [members[j], members[i]];
        if (a.element === b.element) continue; // two crystals of one composition
        looked++;
        const [first, second] = [structures[a.structure].materialId, structures[b.structure].materialId];
        const rank = hashUnit(seed, 'pair', first, second);
        const [from, to] = hashUnit(seed, 'direction', first, second) < 0.5 ? [a, b] : [b, a];
        const prototype = prototypes[from.structure];
        const pair: Substitution = {
          source: from.structure,
          target: to.structure,
          fromElement: from.element,
          toElement: to.element,
          share: from.share,
          prototype,
        };
        const known = found.get(prototype);
        if (known) known.push({ pair, rank });
        else found.set(prototype, [{ pair, rank }]);
      }
  }
  return [...found.values()]
    .flatMap((candidates) => candidates.sort((a, b) => a.rank - b.rank).slice(0, perPrototype))
    .sort((a, b) => a.rank - b.rank)
    .slice(0, pairs)
    .map(({ pair }) => pair);
}

interface Site {
  /** Atoms of the orbit, over the greatest common divisor of all orbits of the structure. */
  size: number;
  element: number;
}

function orbitsOf(atomicNumbers: ArrayLike<number>, orbits: ArrayLike<number>): Site[] {
  const sites = new Map<number, Site>();
  for (let atom = 0; atom < atomicNumbers.length; atom++) {
    const site = sites.get(orbits[atom]);
    if (site) site.size++;
    else sites.set(orbits[atom], { size: 1, element: atomicNumbers[atom] });
  }
  const list = [...sites.values()];
  const unit = list.reduce((divisor, { size }) => greatestCommonDivisor(divisor, size), 0);
  return list.map(({ size, element }) => ({ size: size / unit, element }));
}

function signature(sites: readonly Site[], nameOf: (element: number) => string): string {
  return sites
    .map(({ size, element }) => `${size}${nameOf(element)}`)
    .sort()
    .join(' ');
}

/** Orbit sizes by element, elements unnamed: the same for NaCl and KBr. */
function anonymous(sites: readonly Site[]): string {
  const byElement = new Map<number, number[]>();
  for (const { size, element } of sites) byElement.set(element, [...(byElement.get(element) ?? []), size]);
  return [...byElement.values()]
    .map((sizes) => sizes.sort((a, b) => a - b).join('+'))
    .sort()
    .join(' ');
}
