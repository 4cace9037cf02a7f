import fc from 'fast-check';
import type { Structure } from '../../structures/structure.js';

/** A structure from plain arrays; coordinates are wrapped. */
export function crystal(
  lattice: number[],
  fractional: number[],
  atomicNumbers?: number[],
  materialId = 'test',
): Structure {
  return {
    materialId,
    lattice: Float64Array.from(lattice),
    fractionalCoordinates: Float64Array.from(fractional, (f) => {
      const wrapped = f - Math.floor(f);
      return wrapped === 1 ? 0 : wrapped;
    }),
    atomicNumbers: Uint8Array.from(atomicNumbers ?? Array.from({ length: fractional.length / 3 }, () => 6)),
    source: 'test',
  };
}

export function volume([ax, ay, az, bx, by, bz, cx, cy, cz]: ArrayLike<number> & Iterable<number>): number {
  return Math.abs(ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx));
}

/** Decimals, as files have them: doubles like 1e-163 would only test coincident atoms again and again. */
const decimal = (min: number, max: number) => fc.integer({ min: min * 1e6, max: max * 1e6 }).map((x) => x / 1e6);

/** No two atoms within 1e-3 of the cell along every axis. */
function apart(sites: number[][]): boolean {
  const near = (x: number, y: number) => Math.abs(x - y - Math.round(x - y)) < 1e-3;
  return sites.every((site, i) => sites.slice(0, i).every((other) => ![0, 1, 2].every((k) => near(site[k], other[k]))));
}

/** Random cells, many of them strongly skewed or thin, 1 to `mostAtoms` atoms anywhere in them. */
export function anyCrystal(mostAtoms: number): fc.Arbitrary<Structure> {
  const cell = fc
    .record({
      rows: fc.array(decimal(-5, 5), { minLength: 9, maxLength: 9 }),
      skew: fc.tuple(fc.integer({ min: -3, max: 3 }), fc.integer({ min: -3, max: 3 }), fc.integer({ min: -3, max: 3 })),
    })
    .map(({ rows: [ax, ay, az, bx, by, bz, cx, cy, cz], skew: [p, q, r] }) => {
      const b = [bx + p * ax, by + p * ay, bz + p * az];
      const c = [cx + q * ax + r * b[0], cy + q * ay + r * b[1], cz + q * az + r * b[2]];
      return [ax, ay, az, ...b, ...c];
    })
    .filter((lattice) => volume(lattice) > 8);
  const sites = fc.array(fc.tuple(decimal(0, 1), decimal(0, 1), decimal(0, 1), fc.integer({ min: 1, max: 118 })), {
    minLength: 1,
    maxLength: mostAtoms,
  });
  return fc.tuple(cell, sites.filter(apart)).map(([lattice, atoms]) =>
    crystal(
      lattice,
      atoms.flatMap(([x, y, z]) => [x, y, z]),
      atoms.map(([, , , atomicNumber]) => atomicNumber),
    ),
  );
}

/** Rotation matrix (row-major) of a unit quaternion made from any four numbers. */
export function rotation(w: number, x: number, y: number, z: number): number[] {
  const s = 2 / (w * w + x * x + y * y + z * z);
  return [
    [1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)],
    [s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)],
    [s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)],
  ].flat();
}

/** A random rotation matrix. */
export const anyRotation = fc
  .tuple(decimal(-1, 1), decimal(-1, 1), decimal(-1, 1), decimal(-1, 1))
  .filter((q) => q.reduce((sum, x) => sum + x * x, 0) > 0.1)
  .map(([w, x, y, z]) => rotation(w, x, y, z));

/** The structure with its cell turned in space; fractional coordinates stay. */
export function rotated(structure: Structure, matrix: number[]): Structure {
  const lattice = new Float64Array(9);
  for (let row = 0; row < 3; row++) {
    for (let axis = 0; axis < 3; axis++) {
      for (let k = 0; k < 3; k++) lattice[3 * row + axis] += matrix[3 * axis + k] * structure.lattice[3 * row + k];
    }
  }
  return { ...structure, lattice };
}

/** The structure with atoms in the order `order[new] = old`. */
export function permuted(structure: Structure, order: number[]): Structure {
  const { fractionalCoordinates: f, atomicNumbers } = structure;
  return {
    ...structure,
    atomicNumbers: Uint8Array.from(order, (old) => atomicNumbers[old]),
    fractionalCoordinates: Float64Array.from(order.flatMap((old) => [f[3 * old], f[3 * old + 1], f[3 * old + 2]])),
  };
}
