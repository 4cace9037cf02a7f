import { describe, expect, test } from 'vitest';
import { elementSymbol } from '../../structures/elements.js';
import { reducedFormula } from '../../structures/formula.js';
import { cif, readBytes } from './bytes.js';

interface Sample {
  cell?: string;
  symmetry?: string;
  tags?: string;
  sites?: string;
  more?: string;
}

/** CIF of a cell with the sites Ti and N at general places; the defaults are a triclinic cell without symmetry. */
function block({
  cell = '5 6 7 80 95 100',
  symmetry = '',
  tags = '',
  sites = 'Ti1 Ti 0.11 0.22 0.34\nN1 N 0.62 0.45 0.08',
  more = '',
}: Sample): string {
  const names = ['length_a', 'length_b', 'length_c', 'angle_alpha', 'angle_beta', 'angle_gamma'];
  const lines = cell.split(' ').map((x, i) => `_cell_${names[i]} ${x}`);
  const columns = ['label', 'type_symbol', 'fract_x', 'fract_y', 'fract_z'].map((name) => `_atom_site_${name}`);
  return `data_s\n${lines.join('\n')}\n${symmetry}\nloop_\n${columns.join('\n')}\n${tags}\n${sites}\n${more}\n`;
}

const ORTHORHOMBIC = '5 6 7 90 90 90';
const operations = (tag: string, list: string[]) => `loop_\n${tag}\n${list.map((text) => `'${text}'`).join('\n')}`;
const XYZ = '_space_group_symop_operation_xyz';

async function outcome(sample: Sample | string): Promise<string> {
  const { items } = await readBytes('a.cif', typeof sample === 'string' ? sample : block(sample));
  return items
    .map((item) =>
      'rejection' in item
        ? `${item.rejection.code}: ${item.rejection.message}`
        : `${item.structure.atomicNumbers.length} ${reducedFormula(item.structure.atomicNumbers)}`,
    )
    .join(' | ');
}

describe('symmetry that is stated is expanded or refused', () => {
  test.each<[string, Sample, string | RegExp]>([
    ['nothing', {}, '2 NTi'],
    ['a crystal system alone', { symmetry: '_space_group_crystal_system triclinic' }, '2 NTi'],
    ['a symbol with underscores', { symmetry: "_symmetry_space_group_name_H_M 'P -1'" }, '4 NTi'],
    ['a symbol under a short name', { symmetry: "_space_group_name_H-M 'P -1'" }, '4 NTi'],
    ['the reference symbol', { symmetry: "_space_group.name_H-M_ref 'P -1'" }, '4 NTi'],
    ['a number of mmCIF', { symmetry: '_symmetry.Int_Tables_number 2' }, '4 NTi'],
    ['a tag that ends in an underscore', { symmetry: '_space_group_IT_number_ 2' }, '4 NTi'],
    ['a centred triclinic symbol', { symmetry: "_space_group_name_H-M_alt 'I -1'" }, '8 NTi'],
    ['generators', { symmetry: operations('_space_group_symop_generator_xyz', ['-x,-y,-z']) }, '4 NTi'],
    [
      'operations with an identifier',
      { symmetry: 'loop_\n_space_group_symop.id\n_space_group_symop.operation_xyz\n1 x,y,z\n2 -x,-y,-z' },
      '4 NTi',
    ],
    [
      'a symbol that is not known beside operations',
      { symmetry: `_space_group_name_H-M_alt 'Q -1'\n${operations(XYZ, ['x,y,z', '-x,-y,-z'])}` },
      '4 NTi',
    ],
    [
      'a symbol that is not known beside a number',
      { symmetry: "_space_group_name_H-M_alt 'Q -1'\n_space_group_IT_number 2" },
      /^unparsable: space group 'Q -1' is not known/,
    ],
    [
      'a Schoenflies symbol alone',
      { symmetry: '_space_group_name_Schoenflies Ci.1' },
      /^unparsable: _space_group_name_schoenflies is the only statement/,
    ],
    [
      'superspace operations',
      { symmetry: operations('_space_group_symop_ssg_operation_algebraic', ['x1,x2,x3,x4']) },
      /^unparsable: .*modulated/,
    ],
    ['a modulated cell', { symmetry: '_cell_modulation_dimension 1' }, /^unparsable: .*modulated/],
    ['a magnetic group by name', { symmetry: '_space_group_magn.number_BNS 2.4' }, /^unparsable: .*magnetic group/],
    [
      'magnetic operations and centrings',
      {
        cell: ORTHORHOMBIC,
        symmetry: `${operations('_space_group_symop_magn_operation.xyz', ['x,y,z,+1', '-x,-y,z,-1'])}\n${operations('_space_group_symop_magn_centering.xyz', ['x,y,z,+1', 'x+1/2,y,z,-1'])}`,
      },
      '8 NTi',
    ],
    [
      'unknown in quotes',
      { symmetry: "_symmetry_space_group_name_H-M '?'\n_symmetry_space_group_name_Hall '.'\n_space_group_IT_number 2" },
      '4 NTi',
    ],
  ])('%s', async (_, sample, expected) =>
    expect(await outcome(sample)).toMatch(typeof expected === 'string' ? new RegExp(`^${expected}$`) : expected),
  );

  test('the unique axis is the one that fits best, also where the angle is nearly right', async () => {
    const named = { symmetry: "_symmetry_space_group_name_H-M 'P 2'" };
    const at = async (cell: string) => {
      const { structures } = await readBytes('a.cif', block({ ...named, cell }));
      const f = structures[0].fractionalCoordinates;
      return [0, 1, 2].map((k) => Math.round(100 * f[3 + k]));
    };
    expect(await at('5 6 7 90 90.6 90')).toEqual([89, 22, 66]);
    expect(await at('5 6 7 90 90 90.6')).toEqual([89, 78, 34]);
  });
});

describe('a file is held against itself', () => {
  const glide = ['x,y,z', 'x,-y,z+1/2'];
  test.each<[string, Sample, RegExp]>([
    [
      'operations that form no group',
      { symmetry: operations(XYZ, ['x,y,z', '-x,-y,-z', '-x,y,-z']), cell: ORTHORHOMBIC },
      /^contradictory: the 3 symmetry operations form no group/,
    ],
    [
      'operations without the centring of the symbol',
      { symmetry: `_space_group_name_H-M_alt 'C 1 c 1'\n${operations(XYZ, glide)}`, cell: '5 6 7 90 100 90' },
      /^contradictory: the 2 symmetry operations are not those of the symbol 'C 1 c 1'/,
    ],
    [
      'the identity beside a symbol of more',
      { symmetry: `_space_group_name_H-M_alt 'P -1'\n${operations(XYZ, ['x,y,z'])}` },
      /^contradictory: the 1 symmetry operations/,
    ],
    [
      'operations of another glide',
      { symmetry: `_space_group_name_H-M_alt 'P 1 m 1'\n${operations(XYZ, glide)}`, cell: '5 6 7 90 100 90' },
      /^contradictory/,
    ],
    [
      'operations that the cell does not keep',
      { symmetry: operations(XYZ, ['x,y,z', '-y,x,z', '-x,-y,z', 'y,-x,z']), cell: '5 6 40 90 90 90' },
      /^contradictory: the symmetry operations change the cell/,
    ],
    [
      'two symbols',
      { symmetry: "_space_group_name_H-M_alt 'P -1'\n_space_group_name_Hall 'P 1'" },
      /^contradictory: .*'P 1' and the symbol 'P -1'/,
    ],
    [
      'two numbers',
      { symmetry: '_space_group_IT_number 1\n_symmetry_Int_Tables_number 2\n_space_group_IT_number 2' },
      /^contradictory: _space_group_it_number is '1' and '2'/,
    ],
    [
      'two lists of operations',
      { symmetry: `${operations(XYZ, ['x,y,z'])}\n${operations('_symmetry_equiv_pos_as_xyz', ['x,y,z', '-x,-y,-z'])}` },
      /^contradictory: .*list different operations/,
    ],
    [
      'two tables of sites',
      { more: 'loop_\n_atom_site_label\n_atom_site_fract_x\nTi1 0.3' },
      /^contradictory: there are 2 tables/,
    ],
    [
      'hydrogens that no site holds',
      { symmetry: "_chemical_formula_sum 'H3 N Ti'" },
      /^incomplete: the cell holds N Ti, but _chemical_formula_sum is H3 N Ti/,
    ],
    ['too few hydrogens', { symmetry: "_chemical_formula_sum 'H3 N Ti'", more: 'H1 H 0.8 0.8 0.8' }, /^incomplete/],
    ['another element', { symmetry: "_chemical_formula_sum 'N V'" }, /^contradictory/],
    ['half an atom', { symmetry: "_chemical_formula_sum 'Ti0.5 N'" }, /^contradictory/],
    ['a formula of many units', { symmetry: "_chemical_formula_sum 'Ti4 N4'\n_cell_formula_units_Z 7" }, /^2 NTi$/],
    ['a formula with a charge', { symmetry: "_chemical_formula_sum 'N Ti 2+'" }, /^2 NTi$/],
    [
      'moieties',
      { symmetry: "_chemical_formula_moiety 'Ti, 2(H2 O), N 3-'" },
      /^incomplete: .*_chemical_formula_moiety is H4 N O2 Ti/,
    ],
    ['moieties that agree', { symmetry: "_chemical_formula_moiety 'Ti 3+, N 3-'" }, /^2 NTi$/],
    ['a formula that is none', { symmetry: "_chemical_formula_sum 'Ti (N)2'" }, /^2 NTi$/],
    [
      'more than 192 operations',
      {
        symmetry: operations(
          XYZ,
          Array.from({ length: 200 }, (_, i) => `x+${i}/200,y,z`),
        ),
      },
      /^too_large: 200 symmetry operations/,
    ],
  ])('%s', async (_, sample, expected) => expect(await outcome(sample)).toMatch(expected));

  test('an expansion stops at the most atoms that are accepted', async () => {
    const sites = Array.from(
      { length: 400 },
      (_, i) => `C${i} C ${(i / 401).toFixed(4)} 0.123 ${((i * 7) / 401).toFixed(4)}`,
    ).join('\n');
    const text = block({ sites, cell: '90 90 90 90 90 90', symmetry: "_space_group_name_H-M_alt 'F m -3 m'" });
    const { rejections } = await readBytes('a.cif', text, { maxAtoms: 500 });
    expect(rejections.map(({ code, message }) => `${code} ${message}`)).toEqual([
      'too_large more than 500 atoms; at most 500 are accepted',
    ]);
  });
});

describe('sites', () => {
  test.each<[string, Sample, RegExp]>([
    [
      'an image of another site',
      { symmetry: operations(XYZ, ['x,y,z', '-x,-y,-z']), more: 'N2 N 0.38 0.55 -0.08' },
      /^4 NTi$/,
    ],
    ['a site that is listed twice', { more: 'N2 N 0.62 1.45 0.08' }, /^2 NTi$/],
    ['another element at the place', { more: 'O2 O 0.62 0.45 0.08' }, /^atoms_too_close/],
    [
      'an unknown occupancy',
      { tags: '_atom_site_occupancy', sites: "Ti1 Ti 0.1 0.2 0.3 '?'\nN1 N 0.6 0.4 0.1 ." },
      /^2 NTi$/,
    ],
    [
      'an occupancy in a second table',
      { more: 'loop_\n_atom_site_label\n_atom_site_occupancy\nTi1 1\nN1 0.4' },
      /^partial_occupancy: site 1 \(N1\) has occupancy 0\.4/,
    ],
    [
      'displacements in a second table',
      { more: 'loop_\n_atom_site_label\n_atom_site_U_iso_or_equiv\nTi1 0.1\nN1 0.4' },
      /^2 NTi$/,
    ],
    [
      'attached hydrogens',
      { tags: '_atom_site_attached_hydrogens', sites: 'Ti1 Ti 0.1 0.2 0.3 0\nN1 N 0.6 0.4 0.1 2' },
      /^incomplete: site 1 \(N1\) has '2' hydrogen/,
    ],
    [
      'alternatives',
      { tags: '_atom_site_disorder_group', sites: 'Ti1 Ti 0.1 0.2 0.3 .\nN1 N 0.6 0.4 0.1 1\nN2 N 0.6 0.4 0.3 2' },
      /^partial_occupancy: .*'1' and '2'/,
    ],
    [
      'one set of alternatives',
      { tags: '_atom_site_disorder_group', sites: 'Ti1 Ti 0.1 0.2 0.3 .\nN1 N 0.6 0.4 0.1 1' },
      /^2 NTi$/,
    ],
    ['numbers without zeros', { sites: 'Ti1 Ti . .5 .\nN1 N .5 . .5' }, /^2 NTi$/],
    [
      'coordinates that do not apply',
      { sites: 'Ti1 Ti 0.1 0.2 0.3\nH1 H . . .' },
      /^unparsable: coordinate x of site 1 \(H1\) is missing/,
    ],
    [
      'a cell in a loop of one row',
      {
        cell: '',
        symmetry:
          'loop_\n_cell_length_a\n_cell_length_b\n_cell_length_c\n_cell_angle_alpha\n_cell_angle_beta\n_cell_angle_gamma\n5 6 7 80 95 100',
      },
      /^2 NTi$/,
    ],
    ['a scattering factor in the type', { sites: 'Ti1 Ti(RHF) 0.1 0.2 0.3\nN1 N3- 0.6 0.4 0.1' }, /^2 NTi$/],
    ['a group of atoms as a type', { sites: 'Ti1 Ti 0.1 0.2 0.3\nN1 NH4 0.6 0.4 0.1' }, /^unknown_element/],
    ['a vacancy', { sites: 'Ti1 Ti 0.1 0.2 0.3\nVa1 VAC 0.6 0.4 0.1' }, /^unknown_element: 'VAC'/],
    ['a tetrahedral site', { sites: 'Ti1 Ti 0.1 0.2 0.3\nT1 T 0.6 0.4 0.1' }, /^unknown_element: 'T'/],
  ])('%s', async (_, sample, expected) => {
    const text = block(sample);
    expect(await outcome(sample.cell === '' ? text.replace(/_cell_length_a \n/, '') : text)).toMatch(expected);
  });

  test.each<[string, string, string | undefined]>([
    ['Ca1', '', 'Ca'],
    ['CL1', '', 'Cl'],
    ['OW1', '', 'O'],
    ['Ow', '', 'O'],
    ['Oh2', '', 'O'],
    ['OBo', '', 'O'],
    ['SiT1m', '', 'Si'],
    ['KA', '', 'K'],
    ['CM1', '', 'C'],
    ['NO2', '', 'N'],
    ['HO2', '', 'Ho'],
    ['HO2', 'H2 N2', 'H'],
    ['CA1', 'C2 N2', 'C'],
    ['WAT1', '', undefined],
    ['Wat', '', undefined],
    ['DUM1', '', undefined],
    ['VAC', '', undefined],
    ['BQ1', '', undefined],
    ['H2O', '', undefined],
    ['T1', '', undefined],
    ['M2', '', undefined],
    ['X1', '', undefined],
    ['1', '', undefined],
  ])('label %s with the formula %j is %s', async (label, formula, element) => {
    const text = `data_s\n_cell_length_a 5\n_cell_length_b 5\n_cell_length_c 5\n_cell_angle_alpha 90\n_cell_angle_beta 90\n_cell_angle_gamma 90
${formula && `_chemical_formula_sum '${formula}'`}\nloop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n${label} 0 0 0\nN9 0.5 0.5 0.5\n`;
    const { structures, rejections } = await readBytes('a.cif', text);
    if (element === undefined) expect(rejections.map(({ code }) => code)).toEqual(['unknown_element']);
    else expect(elementSymbol(structures[0].atomicNumbers[0])).toBe(element);
  });
});

describe('text', () => {
  const text = cif('one');
  test.each<[string, string]>([
    ['CR alone', text.replaceAll('\n', '\r')],
    ['headings before the first block', `Supplement to a paper\n# (c) someone\n\n${text}`],
    ['provenance in braces before the first block', `{'origin': 'a database', 'n': 1}\n${text}`],
    [
      'a title over two lines',
      text.replace('data_one\n', "data_one\n_publ_section_title\n'On a salt\nthat was weighed'\n"),
    ],
    [
      'a text field that quotes a block',
      text.replace('data_one\n', 'data_one\n_details\n;\ndata_inner\n_cell_length_a 9\n;\n'),
    ],
  ])('%s', async (_, content) => {
    for (const chunk of [1 << 16, 1])
      for (const each of [content, content.replaceAll('\n', '\r\n')]) {
        const { structures, rejections } = await readBytes('a.cif', each, { chunk });
        expect(rejections).toEqual([]);
        expect(structures.map(({ atomicNumbers }) => [...atomicNumbers])).toEqual([[11, 17]]);
      }
  });

  test('sites that lost their cell are a rejection beside the others', async () => {
    const broken = text.replace(/_cell_.*\n/g, '').replace('data_one', 'data_two');
    expect(await outcome(text + broken)).toMatch(/^2 ClNa \| unparsable: _cell_length_a is missing/);
  });
});
