/** Edge lengths in Å and angles in degrees. */
export type CellParameters = [a: number, b: number, c: number, alpha: number, beta: number, gamma: number];

/** cos 90° is 0, not 6e-17: right angles give exact zeros in the lattice. */
const cosine = (degrees: number) => (degrees === 90 ? 0 : Math.cos((degrees * Math.PI) / 180));
const sine = (degrees: number) => Math.sin((degrees * Math.PI) / 180);

/**
 * Lattice vectors with c along z and a in the xz plane, as pymatgen places them, so that both read a file into the same axes.
 *
 * @param parameters of the cell; impossible angles give components that are not finite
 * @returns [9] row-major, Å
 */
export function latticeFromParameters([a, b, c, alpha, beta, gamma]: CellParameters): number[] {
  const cosGammaStar = (cosine(alpha) * cosine(beta) - cosine(gamma)) / (sine(alpha) * sine(beta));
  const sinGammaStar = Math.sqrt(1 - cosGammaStar ** 2);
  // prettier-ignore
  return [
    a * sine(beta), 0, a * cosine(beta),
    -b * sine(alpha) * cosGammaStar + 0, b * sine(alpha) * sinGammaStar, b * cosine(alpha),
    0, 0, c,
  ];
}

/**
 * Lattice vectors with a along x and b in the xy plane: the axes to which Cartesian coordinates of the PDB and mmCIF refer.
 *
 * @param parameters of the cell; impossible angles give components that are not finite
 * @returns [9] row-major, Å
 */
export function latticeOfProteinDataBank([a, b, c, alpha, beta, gamma]: CellParameters): number[] {
  const x = c * cosine(beta);
  const y = (c * (cosine(alpha) - cosine(beta) * cosine(gamma))) / sine(gamma);
  return [a, 0, 0, b * cosine(gamma), b * sine(gamma), 0, x, y, Math.sqrt(c ** 2 - x ** 2 - y ** 2)];
}
