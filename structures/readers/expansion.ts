import { closestContact } from '../closestContact.js';
import { inverse3 } from '../matrix3.js';
import { Rejected } from './record.js';
import type { SymmetryOperation } from './symmetry/operations.js';

/**
 * Å; symmetry images of one site nearer than this are one atom on a special position. pymatgen's 1e-4 of a cell edge is for
 * coordinates of four digits; those of three miss a special position by up to 0.03 Å in a 20 Å cell. Nothing is lost by the
 * wider reach, for atoms below 0.4 Å are rejected anyway.
 */
const SAME_ATOM = 0.05;

/** Å; width of the boxes in which near atoms are looked for. */
const BOX = 1;

/** All atoms of a cell. */
export interface ExpandedSites {
  /** [n_atoms] */
  species: number[];
  /** [3 n_atoms] */
  fractional: number[];
}

/**
 * All symmetry images of all sites, site by site. Images that coincide within {@link SAME_ATOM} are one atom, at their mean: that is
 * the projection onto the special position, so that 0.3333 becomes 1/3 as the symmetry means it. A site at the place of an atom of
 * the same element is that atom listed again, as programs do that write whole molecules.
 *
 * @param lattice [9] row-major lattice vectors in Å
 * @param species [n_sites]
 * @param sites [3 n_sites] fractional, finite
 * @param operations the identity among them
 * @param maxAtoms where the expansion stops
 * @throws Rejected `too_large` past `maxAtoms`
 */
export function expandedSites(
  lattice: readonly number[],
  species: readonly number[],
  sites: readonly number[],
  operations: readonly SymmetryOperation[],
  maxAtoms: number,
): ExpandedSites {
  // Where all atoms are listed, they are all there are unless two of them coincide.
  if (operations.length === 1 && species.length <= maxAtoms && !mayCoincide(lattice, sites))
    return { species: [...species], fractional: [...sites] };
  const atoms = new NearAtoms(lattice);
  const all: { element: number; position: number[]; drift: number[]; count: number }[] = [];
  for (let site = 0; site < species.length; site++) {
    const element = species[site];
    const own = sites.slice(3 * site, 3 * site + 3);
    const first = all.length;
    if (atoms.find(own, (index) => all[index].element === element) !== undefined) continue;
    for (const { rotation, translation } of operations) {
      const position = [0, 1, 2].map((row) => {
        const x =
          translation[row] +
          rotation[3 * row] * own[0] +
          rotation[3 * row + 1] * own[1] +
          rotation[3 * row + 2] * own[2];
        return x - Math.floor(x);
      });
      const known = atoms.find(position, (index) => index >= first);
      if (known === undefined) {
        atoms.add(position, all.length);
        all.push({ element, position, drift: [0, 0, 0], count: 1 });
        if (all.length > maxAtoms)
          throw new Rejected('too_large', `more than ${maxAtoms} atoms; at most ${maxAtoms} are accepted`);
      } else {
        const image = all[known];
        image.drift = image.drift.map((x, k) => x + shortest(position[k] - image.position[k]));
        image.count++;
      }
    }
  }
  return {
    species: all.map(({ element }) => element),
    fractional: all.flatMap(({ position, drift, count }) => position.map((x, k) => x + drift[k] / count)),
  };
}

/** Fractional; {@link SAME_ATOM} is less where the lattice planes are 1.7 Å apart or more, and nearer planes hold no crystal. */
const NEAR = 0.03;

/** Whether any two sites may be one atom: a coarse look, since nearly always none are. */
function mayCoincide(lattice: readonly number[], sites: readonly number[]): boolean {
  if (sites.length > 300) return closestContact(lattice, sites, SAME_ATOM) !== undefined;
  for (let i = 0; i < sites.length; i += 3)
    for (let j = 0; j < i; j += 3)
      if (
        Math.abs(shortest(sites[i] - sites[j])) < NEAR &&
        Math.abs(shortest(sites[i + 1] - sites[j + 1])) < NEAR &&
        Math.abs(shortest(sites[i + 2] - sites[j + 2])) < NEAR
      )
        return true;
  return false;
}

function shortest(step: number): number {
  return step - Math.round(step);
}

/** Atoms in boxes of about {@link BOX}, so that a near one is found without looking at all. */
class NearAtoms {
  readonly #positions: number[][] = [];
  readonly #boxes = new Map<number, number[]>();
  /** Boxes along each axis, and the fractional reach of {@link SAME_ATOM} along it. */
  readonly #counts: number[];
  readonly #reach: number[];

  constructor(readonly lattice: readonly number[]) {
    const inverse = inverse3(lattice);
    // |b*_k| is one over the distance of the planes that a box spans.
    const spacing = [0, 1, 2].map((k) => 1 / Math.hypot(inverse[k], inverse[3 + k], inverse[6 + k]));
    this.#counts = spacing.map((d) => Math.max(1, Math.min(1024, Math.floor(d / BOX) || 1)));
    this.#reach = spacing.map((d) => Math.min(0.5, SAME_ATOM / d || 0.5));
  }

  add(position: number[], index: number): void {
    this.#positions[index] = position;
    const [i, j, k] = position.map((x, axis) => this.#box(x, axis));
    const key = (i * this.#counts[1] + j) * this.#counts[2] + k;
    const box = this.#boxes.get(key);
    if (box) box.push(index);
    else this.#boxes.set(key, [index]);
  }

  /** An atom within {@link SAME_ATOM} that is accepted. */
  find(position: readonly number[], accepts: (index: number) => boolean): number | undefined {
    const [is, js, ks] = position.map((x, axis) => this.#range(x, axis));
    for (const i of is)
      for (const j of js)
        for (const k of ks)
          for (const index of this.#boxes.get((i * this.#counts[1] + j) * this.#counts[2] + k) ?? [])
            if (accepts(index) && this.#distanceSquared(position, this.#positions[index]) < SAME_ATOM ** 2)
              return index;
    return undefined;
  }

  #box(x: number, axis: number): number {
    const count = this.#counts[axis];
    return Math.min(count - 1, Math.floor((x - Math.floor(x)) * count));
  }

  /** Boxes that hold what is within reach along an axis: one, or two at a border, for boxes are far wider than the reach. */
  #range(x: number, axis: number): number[] {
    const low = this.#box(x - this.#reach[axis], axis);
    const high = this.#box(x + this.#reach[axis], axis);
    return low === high ? [low] : [low, high];
  }

  #distanceSquared(a: readonly number[], b: readonly number[]): number {
    const [u, v, w] = a.map((x, k) => shortest(x - b[k]));
    let sum = 0;
    for (let axis = 0; axis < 3; axis++)
      sum += (u * this.lattice[axis] + v * this.lattice[3 + axis] + w * this.lattice[6 + axis]) ** 2;
    return sum;
  }
}
