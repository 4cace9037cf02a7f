import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { readStructures } from '../../structures/readers/read.js';
import type { ReadItem, Structure } from '../../structures/structure.js';
import { cif, frame, optimade, poscar, pymatgen, readBytes, xsf } from './bytes.js';

const idsAndSources = (items: ReadItem[]) =>
  items.map((item) =>
    'structure' in item
      ? [item.structure.materialId, item.structure.source]
      : [item.rejection.materialId, item.rejection.code],
  );

/** All samples hold rock salt with an edge of 5.6 Å. */
function expectRockSalt(structure: Structure | undefined): void {
  expect(structure).toBeDefined();
  expect([...structure!.atomicNumbers]).toEqual([11, 17]);
  [5.6, 0, 0, 0, 5.6, 0, 0, 0, 5.6].forEach((x, i) => expect(structure!.lattice[i]).toBeCloseTo(x, 12));
  [0, 0, 0, 0.5, 0.5, 0.5].forEach((x, i) => expect(structure!.fractionalCoordinates[i]).toBeCloseTo(x, 12));
}

const csv = (rows: string[][]) =>
  rows
    .map((row) => row.map((field) => (/[",\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field)).join(','))
    .join('\n');

describe('every format is told by its content and read into the same structure', () => {
  test.each<[string, string]>([
    ['CIF', cif('x')],
    ['mmCIF', cif('x').replaceAll('_cell_', '_cell.').replaceAll('_atom_site_', '_atom_site.')],
    ['extended XYZ', frame()],
    ['POSCAR', poscar],
    ['XSF', xsf],
    ['pymatgen JSON', JSON.stringify(pymatgen())],
    ['pretty JSON list', JSON.stringify([pymatgen()], null, 2)],
    [
      'ComputedStructureEntry',
      JSON.stringify([{ '@class': 'ComputedStructureEntry', energy: -1, structure: pymatgen() }]),
    ],
    ['structure as a JSON string', JSON.stringify({ structure: JSON.stringify(pymatgen()) })],
    ['dictionary of documents', JSON.stringify({ 'mp-1': pymatgen() })],
    ['OPTIMADE response', JSON.stringify({ meta: {}, data: [optimade('a')] })],
    ['OPTIMADE single entry', JSON.stringify({ data: optimade('a') })],
    [
      'OPTIMADE JSONL',
      `${JSON.stringify({ 'x-optimade': { meta: {} } })}\n${JSON.stringify({ type: 'info', id: 'structures', properties: {} })}\n${JSON.stringify(optimade('a'))}\n`,
    ],
    [
      'JARVIS atoms',
      JSON.stringify([
        {
          jid: 'JVASP-1',
          atoms: {
            lattice_mat: [
              [5.6, 0, 0],
              [0, 5.6, 0],
              [0, 0, 5.6],
            ],
            elements: ['Na', 'Cl'],
            coords: [
              [0, 0, 0],
              [2.8, 2.8, 2.8],
            ],
            cartesian: true,
          },
        },
      ]),
    ],
    [
      'koine row',
      JSON.stringify({
        material_id: 'x',
        lattice: [5.6, 0, 0, 0, 5.6, 0, 0, 0, 5.6],
        atomic_numbers: [11, 17],
        fractional_coordinates: [0, 0, 0, 0.5, 0.5, 0.5],
      }),
    ],
    [
      'CSV with CIF',
      csv([
        ['material_id', 'cif'],
        ['mp-1', cif('x')],
      ]),
    ],
    [
      'CSV with pymatgen JSON',
      csv([
        ['id', 'structure'],
        ['mp-1', JSON.stringify(pymatgen())],
      ]),
    ],
    [
      'matminer CSV',
      `# ref: someone\n${csv([
        ['material_id', 'structure'],
        ['mp-1', `#generated using pymatgen\n${cif('x')}`],
      ])}`,
    ],
  ])('%s', async (_, text) => {
    for (const chunk of [1 << 16, 7]) {
      for (const content of [
        Buffer.from(text),
        gzipSync(text),
        Buffer.from(`\ufeff${text.replaceAll('\n', '\r\n')}`),
      ]) {
        const { structures, rejections } = await readBytes('file', content, { chunk });
        expect(rejections).toEqual([]);
        expect(structures).toHaveLength(1);
        expectRockSalt(structures[0]);
      }
    }
  });
});

describe('identifiers', () => {
  test.each<[string, string, string, [string, string][]]>([
    [
      'a formula as data name gives way to the file stem',
      'set/mp-1.cif.gz',
      cif('NaCl'),
      [['mp-1', 'set/mp-1.cif.gz']],
    ],
    ['so does the default of ASE', 'a.cif', cif('image0'), [['a', 'a.cif']]],
    ['a telling data name is kept', 'a.cif', cif('ICSD_18189'), [['ICSD_18189', 'a.cif']]],
    [
      'several blocks are named by their data names, a repeated one by its index',
      'a.cif',
      cif('NaCl') + cif('KCl') + cif('NaCl'),
      [
        ['NaCl', 'a.cif#NaCl'],
        ['KCl', 'a.cif#KCl'],
        ['a-2', 'a.cif:2'],
      ],
    ],
    ['publication blocks are no structures', 'a.cif', `data_global\n_audit_author x\n${cif('NaCl')}`, [['a', 'a.cif']]],
    ['one frame takes the stem', 'run.1.extxyz', frame(), [['run.1', 'run.1.extxyz']]],
    [
      'several frames are counted from 0',
      'run.xyz',
      frame() + frame(),
      [
        ['run-0', 'run.xyz:0'],
        ['run-1', 'run.xyz:1'],
      ],
    ],
    [
      'a frame may state its id',
      'run.xyz',
      frame('material_id="mp 1"') + frame("mp_id='x'") + frame('id=7'),
      [
        ['mp 1', 'run.xyz:0'],
        ['x', 'run.xyz:1'],
        ['7', 'run.xyz:2'],
      ],
    ],
    ['a POSCAR is called by its folder', 'set/mp-1/POSCAR', poscar, [['mp-1', 'set/mp-1/POSCAR']]],
    [
      'material_id wins over task_id',
      'a.json',
      JSON.stringify([
        { task_id: 't', material_id: 'm', structure: pymatgen() },
        { entry_id: 'e', structure: pymatgen() },
      ]),
      [
        ['m', 'a.json:0'],
        ['e', 'a.json:1'],
      ],
    ],
    [
      'a structure may have its id among its properties',
      'a.json',
      JSON.stringify(pymatgen({ properties: { material_id: 'mp-9' } })),
      [['mp-9', 'a.json']],
    ],
    [
      'the keys of a dictionary are identifiers',
      'a.json',
      JSON.stringify({ x: pymatgen(), y: { structure: pymatgen() } }),
      [
        ['x', 'a.json:0'],
        ['y', 'a.json:1'],
      ],
    ],
    [
      'OPTIMADE entries have an id',
      'a.json',
      JSON.stringify({ data: [optimade('db/1'), optimade('db/2')] }),
      [
        ['db/1', 'a.json:0'],
        ['db/2', 'a.json:1'],
      ],
    ],
    [
      'rows without an id column are counted',
      'a.csv',
      csv([['cif'], [cif('q')], [cif('q')]]),
      [
        ['a-0', 'a.csv:0'],
        ['a-1', 'a.csv:1'],
      ],
    ],
    [
      'an unnamed row index as pandas writes it does not shift the columns',
      'a.csv',
      csv([
        ['mp_id', 'cif'],
        ['0', 'mp-1', cif('q')],
        ['1', 'mp-2', cif('q')],
      ]),
      [
        ['mp-1', 'a.csv:0'],
        ['mp-2', 'a.csv:1'],
      ],
    ],
  ])('%s', async (_, name, text, expected) => {
    expect(idsAndSources((await readBytes(name, text)).items)).toEqual(expected);
  });
});

describe('CIF', () => {
  const one = async (text: string) => {
    const { structures, rejections } = await readBytes('a.cif', text);
    expect(rejections).toEqual([]);
    return structures[0];
  };
  const withGroup = (lines: string, cell = '') =>
    cif('x', { "_symmetry_space_group_name_H-M 'P 1'\n": `${lines}\n${cell}` });

  test('listed operations are applied; images on special positions are one atom', async () => {
    const operations = ['x,y,z', "'-X, -Y, -Z'", "'x+1/2, y+1/2, z'", "'1/2-x, 0.5-y, -z'"]
      .map((op) => ` ${op}`)
      .join('\n');
    const structure = await one(withGroup(`loop_\n_symmetry_equiv_pos_as_xyz\n${operations}`));
    expect([...structure.atomicNumbers]).toEqual([11, 11, 17, 17]);
    expect([...structure.fractionalCoordinates]).toEqual([0, 0, 0, 0.5, 0.5, 0, 0.5, 0.5, 0.5, 0, 0, 0.5]);
  });

  test('coordinates rounded to three digits are moved onto their special position', async () => {
    const text = withGroup('_space_group_IT_number 194')
      .replace('_cell_angle_gamma 90', '_cell_angle_gamma 120')
      .replace(/Na1.*\nCl1.*\n/, 'Mg1 Mg 0.333 0.667 0.25 1\n');
    const structure = await one(text);
    expect(structure.atomicNumbers.length).toBe(2);
    [1 / 3, 2 / 3, 0.25, 2 / 3, 1 / 3, 0.75].forEach((x, i) =>
      expect(structure.fractionalCoordinates[i]).toBeCloseTo(x, 12),
    );
  });

  test.each<[string, string, number]>([
    ['symbol', "_symmetry_space_group_name_H-M 'F m -3 m'", 8],
    ['symbol without blanks', '_space_group_name_H-M_alt Fm-3m', 8],
    ['number', '_space_group_IT_number 225', 8],
    ['Hall symbol', "_space_group_name_Hall '-F 4 2 3'", 8],
    ['origin choice 2', "_symmetry_space_group_name_H-M 'F d -3 m :2'", 16 + 16],
    ['origin choice 1 of ICSD', "_symmetry_space_group_name_H-M 'F d -3 m S'", 8 + 8],
  ])('operations of a space group named by its %s', async (_, lines, atoms) => {
    const { structures, rejections } = await readBytes('a.cif', withGroup(lines));
    expect(rejections).toEqual([]);
    expect(structures[0].atomicNumbers.length).toBe(atoms);
  });

  test.each<[string, string, RegExp]>([
    ['two origin choices', "_symmetry_space_group_name_H-M 'F d -3 m'", /two origin choices/],
    ['a group that does not fit the cell', '_space_group_IT_number 194', /does not fit the cell/],
    ['an unknown symbol', "_symmetry_space_group_name_H-M 'Q 7'", /'Q 7' is not known/],
    ['an operation that is none', "loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,w'", /'x,y,w' is not a symmetry operation/],
    [
      'an operation that is not invertible',
      "loop_\n_symmetry_equiv_pos_as_xyz\n'x,x,z'",
      /is not a symmetry operation/,
    ],
  ])('%s is a rejection that says what is needed', async (_, lines, message) => {
    const { rejections } = await readBytes('a.cif', withGroup(lines));
    expect(rejections).toHaveLength(1);
    expect(rejections[0].code).toBe(_.includes('fit the cell') ? 'contradictory' : 'unparsable');
    expect(rejections[0].message).toMatch(message);
  });

  test.each<[string, Record<string, string>, string, RegExp]>([
    ['partial occupancy', { '0 0 0 1\n': '0 0 0 0.5\n' }, 'partial_occupancy', /site 0 \(Na1\) has occupancy 0\.5/],
    ['no element', { 'Na1 Na+': 'Wat1 Wat' }, 'unknown_element', /'Wat'/],
    [
      'a coordinate that is no number',
      { '0.5 0.5 0.5000(3)': '0.5 abc 0.5' },
      'unparsable',
      /coordinate y of site 1 \(Cl1\) is 'abc'/,
    ],
    [
      'an unknown coordinate',
      { '0.5 0.5 0.5000(3)': '0.5 ? 0.5' },
      'unparsable',
      /coordinate y of site 1 \(Cl1\) is missing/,
    ],
    ['a loop that is not full', { 'Cl1 Cl-': 'Cl1' }, 'unparsable', /loop of _atom_site_label has 11 values/],
    ['an open quote', { "'P 1'": "'P 1" }, 'unparsable', /not closed/],
    ['no sites', { _atom_site_fract_x: '_atom_site_x' }, 'unparsable', /_atom_site_fract_x is missing/],
    [
      'an impossible cell',
      { '_cell_angle_gamma 90': '_cell_angle_gamma 179', '_cell_angle_beta 90': '_cell_angle_beta 20' },
      'non_finite',
      /finite numbers/,
    ],
    ['a flat cell', { '_cell_length_c 5.6': '_cell_length_c 0' }, 'singular_cell', /no volume/],
  ])('%s is one rejection, and the next block is read', async (_, replace, code, message) => {
    const { items } = await readBytes('a.cif', cif('bad', replace) + cif('good'));
    expect(idsAndSources(items)).toEqual([
      ['bad', code],
      ['good', 'a.cif#good'],
    ]);
    if ('rejection' in items[0]) expect(items[0].rejection.message).toMatch(message);
  });

  test('quotes, text fields, comments and case are read as CIF 1.1 says', async () => {
    const text = `#\\#CIF_1.1\n${cif('x', { "'P 1'\n": `"P 1" # a comment\n_publ_title\n;data_trap\nloop_ isn't one\n;\n_x 'it's'\n`, loop_: 'LOOP_', _atom_site_label: '_ATOM_site_Label' })}`;
    expectRockSalt(await one(text));
  });

  test('dummy sites are no atoms', async () => {
    const text = cif('x', {
      '_atom_site_occupancy\n': '_atom_site_occupancy\n_atom_site_calc_flag\n',
      '0 0 0 1\n': '0 0 0 1 d\nQ1 Cl 0.2 0.2 0.2 1 dum\n',
      '0.5000(3) 1.0': '0.5000(3) 1.0 .',
    });
    expectRockSalt(await one(text));
  });
});

describe('extended XYZ', () => {
  test('columns are found by name in any order', async () => {
    const text =
      '2\nenergy=-1.5 Properties=forces:R:3:pos:R:3:tag:I:1:species:S:1 pbc="T T T" Lattice="5.6 0 0 0 5.6 0 0 0 5.6"\n9 9 9 0 0 0 5 Na\n9 9 9 2.8 2.8 2.8 5 Cl\n';
    expectRockSalt((await readBytes('a', text)).structures[0]);
  });

  test.each<[string, string, string, RegExp]>([
    ['a missing atom line', frame().replace('Cl 2.8 2.8 2.8\n', ''), 'unparsable', /of atom 1 of 2 has 1 columns/],
    ['an atom line too many', `${frame()}Cl 1 1 1\n`, 'unparsable', /follows the 2 atoms/],
    ['a count that is none', frame().replace('2\n', 'two\n'), 'unparsable', /'two'|'Na 0 0 0'/],
    ['a coordinate that is none', frame('', 'Na 0 0 x\nCl 2.8 2.8 2.8'), 'unparsable', /coordinate z of site 0 is 'x'/],
    ['an unknown element', frame('', 'Na 0 0 0\nXx 2.8 2.8 2.8'), 'unknown_element', /'Xx' at site 1/],
    ['nan', frame('', 'Na 0 0 nan\nCl 2.8 2.8 2.8'), 'non_finite', /coordinate z of site 0 is NaN/],
    ['no lattice', '1\nenergy=0\nNa 0 0 0\n', 'singular_cell', /no Lattice/],
    ['a slab', frame('pbc="T T F"'), 'unparsable', /pbc is 'T T F'/],
    [
      'too many atoms',
      frame('', Array.from({ length: 4 }, (_, i) => `H ${i} 0 0`).join('\n')),
      'too_large',
      /4 atoms; at most 3/,
    ],
  ])('%s is one rejection, and the next frame is read', async (_, bad, code, message) => {
    for (const chunk of [1 << 16, 5]) {
      const { items } = await readBytes('a.xyz', frame('id=first') + bad + frame('id=last'), { maxAtoms: 3, chunk });
      expect(items.map((item) => ('structure' in item ? item.structure.materialId : item.rejection.code))).toEqual([
        'first',
        code,
        'last',
      ]);
      if ('rejection' in items[1]) expect(items[1].rejection.message).toMatch(message);
    }
  });
});

describe('POSCAR', () => {
  test.each<[string, string]>([
    ['one factor', poscar.replace('1.0\n', '2.0\n').replaceAll('5.6', '2.8')],
    ['a negative factor: the volume', poscar.replaceAll('5.6', '1').replace('1.0\n', `-${5.6 ** 3}\n`)],
    ['three factors', poscar.replace('1.0\n', '2.0 4 1\n').replace('5.6 0 0', '2.8 0 0').replace('0 5.6 0', '0 1.4 0')],
    [
      'Cartesian positions, scaled',
      poscar
        .replace('1.0\n', '2.0\n')
        .replaceAll('5.6', '2.8')
        .replace('Direct', 'Cartesian')
        .replace('0.5 0.5 0.5', '1.4 1.4 1.4'),
    ],
    [
      'selective dynamics',
      poscar.replace('Direct', 'Selective dynamics\nDirect').replace('0.5 0.5 0.5', '0.5 0.5 0.5 T F T'),
    ],
    ['scientific notation', poscar.replaceAll('5.6', '5.6E+0').replace('0.5 0.5 0.5', '5.0D-1 5e-1 .5 ! remark')],
    ['potential names', poscar.replace('Na Cl', 'Na_pv Cl/9a8b')],
    ['VASP 4 with elements in the comment', poscar.replace('rock salt', 'Na Cl').replace('Na Cl\n1 1', '1 1')],
    ['VASP 4 with a formula as comment', poscar.replace('rock salt', 'Na1 Cl1').replace('Na Cl\n1 1', '1 1')],
    [
      'VASP 4 with elements behind the positions',
      poscar.replace('Na Cl\n', '').replace('0 0 0\n0.5 0.5 0.5', '0 0 0 Na\n0.5 0.5 0.5 Cl'),
    ],
    ['velocities behind the positions', `${poscar}\n0.1 0.1 0.1\n0.1 0.1 0.1\n`],
  ])('%s', async (_, text) => expectRockSalt((await readBytes('POSCAR', text)).structures[0]));

  test.each<[string, string, string, RegExp]>([
    [
      'VASP 4 without elements',
      poscar.replace('Na Cl\n', ''),
      'unknown_element',
      /names no elements: neither its comment 'rock salt'/,
    ],
    ['a position too few', poscar.replace('0.5 0.5 0.5\n', ''), 'unparsable', /1 positions for 2 atoms/],
    [
      'names and counts that differ',
      poscar.replace('1 1\n', '1 1 1\n'),
      'unparsable',
      /2 element names \(Na Cl\) and 3 numbers/,
    ],
    ['no element', poscar.replace('Na Cl', 'Na Qq'), 'unknown_element', /'Qq' at site 1/],
    ['a factor of 0', poscar.replace('1.0\n', '0\n'), 'unparsable', /scaling factor is '0'/],
  ])('%s is a rejection', async (_, text, code, message) => {
    const { rejections } = await readBytes('POSCAR', text);
    expect(rejections).toHaveLength(1);
    expect(rejections[0].code).toBe(code);
    expect(rejections[0].message).toMatch(message);
  });
});

describe('JSON', () => {
  test.each<[string, object, string, RegExp]>([
    [
      'disordered site',
      pymatgen({
        sites: [
          {
            species: [
              { element: 'Fe', occu: 0.5 },
              { element: 'Ni', occu: 0.5 },
            ],
            abc: [0, 0, 0],
          },
        ],
      }),
      'partial_occupancy',
      /'Fe': '0\.5', 'Ni': '0\.5'/,
    ],
    [
      'dummy species',
      pymatgen({ sites: [{ species: [{ element: 'X0+', occu: 1 }], abc: [0, 0, 0] }] }),
      'unknown_element',
      /'X0\+' at site 0/,
    ],
    ['no atoms', pymatgen({ sites: [] }), 'empty', /no atoms/],
    [
      'slab',
      pymatgen({
        lattice: {
          matrix: [
            [5, 0, 0],
            [0, 5, 0],
            [0, 0, 5],
          ],
          pbc: [true, true, false],
        },
      }),
      'unparsable',
      /three directions/,
    ],
    [
      'no matrix',
      pymatgen({
        lattice: {
          matrix: [
            [1, 2],
            [3, 4],
          ],
        },
      }),
      'unparsable',
      /lattice.matrix is a list of 2/,
    ],
    [
      'OPTIMADE disorder',
      optimade('x', { species: [{ name: 'sodium', chemical_symbols: ['Na', 'vacancy'], concentration: [0.9, 0.1] }] }),
      'partial_occupancy',
      /'Na': '0\.9', 'vacancy': '0\.1'/,
    ],
    [
      'OPTIMADE vacancy',
      optimade('x', { species: [{ name: 'sodium', chemical_symbols: ['vacancy'], concentration: [1] }] }),
      'partial_occupancy',
      /'vacancy': '1'/,
    ],
    [
      'OPTIMADE assemblies',
      optimade('x', { assemblies: [{ sites_in_groups: [[0], [1]], group_probabilities: [0.5, 0.5] }] }),
      'partial_occupancy',
      /assemblies/,
    ],
    [
      'OPTIMADE without positions',
      optimade('x', { cartesian_site_positions: null }),
      'unparsable',
      /cartesian_site_positions is missing/,
    ],
    [
      'OPTIMADE unknown position',
      optimade('x', {
        cartesian_site_positions: [
          [0, 0, null],
          [2, 2, 2],
        ],
      }),
      'non_finite',
      /coordinate z of site 0 is NaN/,
    ],
    ['a document without a structure', { task_id: 'x', energy: 1 }, 'unparsable', /no structure, only task_id, energy/],
  ])('%s is one rejection, and the next document is read', async (_, bad, code, message) => {
    for (const text of [
      JSON.stringify([pymatgen(), bad, pymatgen()]),
      JSON.stringify({ data: [pymatgen(), bad, pymatgen()], meta: {} }, null, 1),
      [pymatgen(), bad, pymatgen()].map((x) => JSON.stringify(x)).join('\n'),
    ]) {
      const { items, rejections } = await readBytes('a', text);
      expect(items.map((item) => ('structure' in item ? 'ok' : item.rejection.code))).toEqual(['ok', code, 'ok']);
      expect(rejections[0].message).toMatch(message);
    }
  });

  test('an element that is no JSON is one rejection', async () => {
    const good = JSON.stringify(pymatgen());
    for (const text of [`[${good}, {"lattice": oops}, ${good}]`, `${good}\n{"lattice":\n${good}\n`]) {
      const { items } = await readBytes('a', text);
      expect(items.map((item) => ('structure' in item ? 'ok' : item.rejection.code))).toEqual([
        'ok',
        'unparsable',
        'ok',
      ]);
    }
  });

  test("Python's NaN in other fields does no harm", async () => {
    const text = JSON.stringify([pymatgen({ properties: { magmom: 'here', note: 'NaN \\" NaN' } })]).replace(
      '"here"',
      'NaN',
    );
    expectRockSalt((await readBytes('a', text)).structures[0]);
  });

  test('files without any structure are one rejection', async () => {
    const many = JSON.stringify(Array.from({ length: 50 }, (_, i) => ({ i })));
    for (const [text, code] of [
      [many, 'unparsable'],
      ['[]', 'empty'],
      ['{}', 'unparsable'],
      ['[1, 2, 3]', 'empty'],
    ]) {
      const { rejections } = await readBytes('a.json', text);
      expect(rejections).toHaveLength(1);
      expect(rejections[0].code).toBe(code);
    }
  });
});

describe('CSV', () => {
  test('a broken row is one rejection, and the rows around it are read', async () => {
    const text = csv([
      ['id', 'cif'],
      ['a', cif('q')],
      ['b'],
      ['c', ''],
      ['d', 'no cif'],
      ['e', cif('q', { ' 1.0\n': ' 0.3\n' })],
      ['f', cif('q')],
    ]);
    expect(idsAndSources((await readBytes('s.csv', text)).items)).toEqual([
      ['a', 's.csv:0'],
      ['b', 'unparsable'],
      ['c', 'empty'],
      ['d', 'unparsable'],
      ['e', 'partial_occupancy'],
      ['f', 's.csv:5'],
    ]);
  });

  test('a header without rows is one rejection', async () => {
    expect(idsAndSources((await readBytes('s.csv', 'id,cif\n')).items)).toEqual([['s', 'empty']]);
  });

  test('a table without structures is one rejection that names its columns', async () => {
    const { rejections } = await readBytes('s.csv', 'a,b\n1,2\n3,4\n');
    expect(rejections).toHaveLength(1);
    expect(rejections[0].message).toMatch(/the columns are a, b; a column cif or structure is needed/);
  });
});

describe('junk', () => {
  test.each<[string, string | Uint8Array, string, RegExp]>([
    ['an empty file', '', 'empty', /empty/],
    ['blanks', ' \n\n', 'empty', /empty/],
    ['a cut gzip', gzipSync(cif('x').repeat(50)).subarray(0, 100), 'unparsable', /gzip/],
    ['something after gzip magic', Buffer.from([0x1f, 0x8b, 1, 2, 3]), 'unparsable', /gzip/],
    ['a cut zip', Buffer.from('PK\x03\x04 and no more'), 'unparsable', /zip/],
    ['Parquet magic alone', Buffer.from('PAR1 and no more'), 'unparsable', /Parquet/],
    ['UTF-16', Buffer.from(`\ufeff${cif('x')}`, 'utf16le'), 'unparsable', /UTF-16/],
    ['HTML', '<!DOCTYPE html><html>', 'unparsable', /HTML/],
    [
      'bytes',
      Buffer.from(Array.from({ length: 999 }, (_, i) => (i * 73 + 129) % 256)),
      'unparsable',
      /none of the formats/,
    ],
  ])('%s is one rejection', async (_, content, code, message) => {
    const { items, rejections } = await readBytes('set/junk.bin', content);
    expect(items).toHaveLength(1);
    expect(rejections[0]).toMatchObject({ materialId: 'junk', source: 'set/junk.bin', code });
    expect(rejections[0].message).toMatch(message);
  });

  test('a failing source is an exception, for a retry may mend it', async () => {
    const failure = new Error('connection reset');
    const open = async function* () {
      yield gzipSync(frame().repeat(3)).subarray(0, 50);
      throw failure;
    };
    await expect(async () => {
      for await (const item of readStructures({ name: 'a.xyz.gz', open })) void item;
    }).rejects.toBe(failure);
  });

  test('stopping early closes the source', async () => {
    let closed = false;
    const open = async function* () {
      try {
        for (;;) yield Buffer.from(frame().repeat(5000));
      } finally {
        closed = true;
      }
    };
    for await (const item of readStructures({ name: 'endless.xyz', open })) {
      expect(item).toHaveProperty('structure');
      break;
    }
    expect(closed).toBe(true);
  });
});
