import { readStructures } from '../../structures/readers/read.js';
import type { StructureLimits } from '../../structures/canonical.js';
import type { ReadItem, Rejection, Structure } from '../../structures/structure.js';

/** Reads a file that exists only here, cut into chunks of a given size. */
export async function readBytes(
  name: string,
  content: string | Uint8Array,
  { chunk = 1 << 16, ...limits }: StructureLimits & { chunk?: number } = {},
): Promise<{ items: ReadItem[]; structures: Structure[]; rejections: Rejection[] }> {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  const items: ReadItem[] = [];
  async function* open(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += chunk) yield bytes.subarray(at, at + chunk);
  }
  for await (const item of readStructures({ name, open }, limits)) items.push(item);
  return {
    items,
    structures: items.flatMap((item) => ('structure' in item ? [item.structure] : [])),
    rejections: items.flatMap((item) => ('rejection' in item ? [item.rejection] : [])),
  };
}

/** CIF of rock salt with an edge of 5.6 Å; lines may be replaced. */
export function cif(name: string, replace: Record<string, string> = {}): string {
  const text = `data_${name}
_cell_length_a 5.6(1)
_cell_length_b 5.6
_cell_length_c 5.6
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Na1 Na+ 0 0 0 1
Cl1 Cl- 0.5 0.5 0.5000(3) 1.0
`;
  return Object.entries(replace).reduce((all, [from, to]) => all.replace(from, to), text);
}

/** Extended XYZ frame of rock salt. */
export function frame(fields = '', atoms = 'Na 0 0 0\nCl 2.8 2.8 2.8'): string {
  return `${atoms.split('\n').length}\nLattice="5.6 0 0 0 5.6 0 0 0 5.6" Properties=species:S:1:pos:R:3 ${fields}\n${atoms}\n`;
}

/** pymatgen `Structure` of rock salt. */
export function pymatgen(changes: object = {}): object {
  const site = (element: string, x: number) => ({ species: [{ element, occu: 1 }], abc: [x, x, x], label: element });
  return {
    '@module': 'pymatgen.core.structure',
    '@class': 'Structure',
    lattice: {
      matrix: [
        [5.6, 0, 0],
        [0, 5.6, 0],
        [0, 0, 5.6],
      ],
      pbc: [true, true, true],
    },
    sites: [site('Na+', 0), site('Cl-', 0.5)],
    ...changes,
  };
}

/** OPTIMADE resource of rock salt. */
export function optimade(id: string, attributes: object = {}): object {
  return {
    id,
    type: 'structures',
    attributes: {
      lattice_vectors: [
        [5.6, 0, 0],
        [0, 5.6, 0],
        [0, 0, 5.6],
      ],
      cartesian_site_positions: [
        [0, 0, 0],
        [2.8, 2.8, 2.8],
      ],
      species_at_sites: ['sodium', 'chlorine'],
      species: [
        { name: 'sodium', chemical_symbols: ['Na'], concentration: [1] },
        { name: 'chlorine', chemical_symbols: ['Cl'], concentration: [1] },
      ],
      dimension_types: [1, 1, 1],
      ...attributes,
    },
  };
}

/** POSCAR of rock salt. */
export const poscar = `rock salt
1.0
5.6 0 0
0 5.6 0
0 0 5.6
Na Cl
1 1
Direct
0 0 0
0.5 0.5 0.5
`;

/** XSF of rock salt. */
export const xsf = `# comment
CRYSTAL
PRIMVEC
5.6 0 0
0 5.6 0
0 0 5.6
PRIMCOORD
2 1
11 0 0 0
Cl 2.8 2.8 2.8
`;
