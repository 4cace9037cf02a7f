import { expect, test } from 'vitest';
import { pymatgen, readBytes } from './bytes.js';

/** Each reading as id, atomic numbers, lattice and fractional coordinates, to six digits. */
async function outcome(name: string, text: string, chunk = 1 << 16): Promise<string[]> {
  const { items } = await readBytes(name, text, { chunk });
  const told = (numbers: ArrayLike<number>) => Array.from(numbers, (x) => Number(x.toFixed(6))).join(' ');
  return items.map((item) =>
    'rejection' in item
      ? `${item.rejection.materialId} ${item.rejection.code}: ${item.rejection.message}`
      : [
          item.structure.materialId,
          told(item.structure.atomicNumbers),
          told(item.structure.lattice),
          told(item.structure.fractionalCoordinates),
        ].join(' | '),
  );
}

const SALT = '11 17 | 5 0 0 0 6 0 1 0 7 | 0 0 0 0.5 0.5 0.5';

const step = (x: string) => `<calculation>
<scstep><energy><i name="e_fr_energy">-1</i></energy></scstep>
<structure>
 <crystal>
  <varray name="basis" >
   <v>       5.0 0.0 0.0 </v>
   <v>       0.0 6.0 0.0 </v>
   <v>       1.0 0.0 7.0 </v>
  </varray>
 </crystal>
 <varray name="positions" >
  <v>       ${x} 0.0 0.0 </v>
  <v>       0.5 0.5 0.5 </v>
 </varray>
</structure>
</calculation>
`;
const vasprun = (steps: string) => `<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
<atominfo>
 <array name="atoms" >
  <field type="string">element</field>
  <set>
   <rc><c>Na</c><c>   1</c></rc>
   <rc><c>Cl</c><c>   2</c></rc>
  </set>
 </array>
</atominfo>
<structure name="initialpos" >
 <varray name="positions" ><v> 9 9 9 </v></varray>
</structure>
${steps}</modeling>
`;

test('every ionic step of a vasprun.xml is a structure', async () => {
  for (const chunk of [1 << 16, 9])
    expect(await outcome('run/vasprun.xml', vasprun(step('0.0') + step('0.1')), chunk)).toEqual([
      `run-0 | ${SALT}`,
      `run-1 | ${SALT.replace('| 0 0 0 0.5', '| 0.1 0 0 0.5')}`,
    ]);
});

test('a vasprun.xml without ionic steps has its final structure, one that breaks off its whole steps', async () => {
  const final = step('0.0')
    .replace(/<\/?calculation>|<scstep>.*/g, '')
    .replace('<structure>', '<structure name="finalpos" >');
  expect(await outcome('run/vasprun.xml', vasprun(final))).toEqual([`run | ${SALT}`]);
  const cut = vasprun(step('0.0') + step('0.1'));
  expect(await outcome('run/vasprun.xml', cut.slice(0, cut.lastIndexOf('<v>')))).toEqual([
    `run-0 | ${SALT}`,
    expect.stringMatching(/^run-1 unparsable: row 1 of positions/),
  ]);
  expect(await outcome('a.xml', '<?xml version="1.0"?>\n<other/>')).toEqual([
    expect.stringMatching(/unparsable: the file is HTML or XML/),
  ]);
});

const phonopy = (cell: string, length = 'angstrom') => `phonopy:
  version: 2.20.0
physical_unit:
  atomic_mass: "AMU"
  length: "${length}"
${cell}:
  lattice:
  - [     5.000000000000000,     0.000000000000000,     0.000000000000000 ] # a
  - [     0.0, 6.0, 0.0 ]
  - [     1.0, 0.0, 7.0 ]
  points:
  - symbol: Na # 1
    coordinates: [  0.0,  0.0,  0.0 ]
    mass: 22.989769
  - symbol: Cl # 2
    coordinates: [  0.5,  0.5,  0.5 ]
    mass: 35.453000
  reciprocal_lattice: # without 2pi
  - [ 1, 0, 0 ]
supercell:
  lattice:
  - [ 9, 0, 0 ]
`;

test.each<[string, string, string | RegExp]>([
  ['the unit cell', phonopy('unit_cell'), `a | ${SALT}`],
  ['the primitive cell where there is no other', phonopy('primitive_cell'), `a | ${SALT}`],
  [
    'lengths in Bohr',
    phonopy('unit_cell', 'au')
      .replace(/5\.0+,/, `${5 / 0.52917721092},`)
      .replace('6.0', `${6 / 0.52917721092}`)
      .replace('[     1.0, 0.0, 7.0', `[ ${1 / 0.52917721092}, 0.0, ${7 / 0.52917721092}`),
    `a | ${SALT}`,
  ],
  ['a unit nobody knows', phonopy('unit_cell', 'cubit'), /^a unparsable: the unit of length is 'cubit'/],
  ['no cell', phonopy('other_cell'), /^a unparsable: the YAML has neither unit_cell/],
])('phonopy YAML: %s', async (_, text, expected) => {
  const [found] = await outcome('a.yaml', text);
  if (expected instanceof RegExp) expect(found).toMatch(expected);
  else expect(found).toBe(expected);
});

const lammps = (changes: Record<string, string> = {}) =>
  Object.entries(changes).reduce(
    (text, [from, to]) => text.replace(from, to),
    `LAMMPS data file, units = metal

2 atoms
2 atom types

0.5 5.5 xlo xhi
0.0 6.0 ylo yhi
0.0 7.0 zlo zhi
0.0 1.0 0.0 xy xz yz

Masses

1 22.98977 # Na
2 35.453 # Cl

Atoms # charge

2 2 -1.0 3.5 3.0 3.5
1 1 1.0 0.5 0.0 0.0

Velocities

1 0 0 0
2 0 0 0
`,
  );

test.each<[string, string, string | RegExp]>([
  ['names behind the masses', lammps(), `a | ${SALT}`],
  [
    'type labels',
    lammps({ '# Na': '', '# Cl': '', Masses: 'Atom Type Labels\n\n1 Na\n2 Cl\n\nMasses' }),
    `a | ${SALT}`,
  ],
  [
    'labels in place of numbers',
    lammps({ '# Na': '', '# Cl': '', '2 2 -1.0': '2 Cl -1.0', '1 1 1.0': '1 Na 1.0' }),
    `a | ${SALT}`,
  ],
  [
    'atoms of another style',
    lammps({ '# charge': '# full', '2 2 -1.0': '2 1 2 -1.0', '1 1 1.0': '1 1 1 1.0' }),
    `a | ${SALT}`,
  ],
  [
    'vectors of a general cell',
    lammps({
      '0.5 5.5 xlo xhi\n0.0 6.0 ylo yhi\n0.0 7.0 zlo zhi\n0.0 1.0 0.0 xy xz yz':
        '5 0 0 avec\n0 6 0 bvec\n1 0 7 cvec\n0.5 0 0 abc origin',
    }),
    `a | ${SALT}`,
  ],
  ['types without names', lammps({ '# Na': '', '# Cl': '' }), /^a unknown_element: type '2' has no name/],
  ['a name that is no element', lammps({ '# Na': '# CG' }), /^a unknown_element: 'CG'/],
  ['no style', lammps({ '# charge': '' }), /^a unparsable: the style of Atoms is ''/],
  ['units without lengths', lammps({ metal: 'lj' }), /^a unparsable: the units are 'lj'/],
  ['an atom too few', lammps({ '1 1 1.0 0.5 0.0 0.0\n': '' }), /^a unparsable/],
])('LAMMPS data: %s', async (_, text, expected) => {
  const [found] = await outcome('a.data', text);
  if (expected instanceof RegExp) expect(found).toMatch(expected);
  else expect(found).toBe(expected);
});

test('Alexandria: entries under `entries`, ids in their data', async () => {
  const entry = (id: string) => ({
    '@class': 'ComputedStructureEntry',
    energy: -1,
    composition: { Na: 1, Cl: 1 },
    data: { mat_id: id, e_form: -1 },
    structure: pymatgen(),
  });
  const found = await outcome('alexandria_000.json', JSON.stringify({ entries: [entry('agm1'), entry('agm2')] }));
  expect(found.map((each) => each.slice(0, 14))).toEqual(['agm1 | 11 17 |', 'agm2 | 11 17 |']);
});

test('AFLOW: cell parameters, species with counts and fractional positions, as lists or as text', async () => {
  const entry = {
    auid: 'aflow:1',
    geometry: [5, 6, 7, 90, 90, 90],
    species: ['Na', 'Cl'],
    composition: [1, 1],
    positions_fractional: [
      [0, 0, 0],
      [0.5, 0.5, 0.5],
    ],
  };
  const text = {
    ...entry,
    geometry: '5,6,7,90,90,90',
    species: 'Na,Cl',
    composition: '1,1',
    positions_fractional: '0,0,0;0.5,0.5,0.5',
  };
  const expected = 'aflow:1 | 11 17 | 5 0 0 0 6 0 0 0 7 | 0 0 0 0.5 0.5 0.5';
  for (const each of [entry, text]) expect(await outcome('a.json', JSON.stringify([each]))).toEqual([expected]);
  expect(await outcome('a.json', JSON.stringify([{ ...entry, composition: [1, 2] }]))).toEqual([
    expect.stringMatching(/^aflow:1 contradictory/),
  ]);
});

test('NOMAD: the last system of a run, from metres', async () => {
  const system = (x: number) => ({
    atoms: {
      labels: ['Na', 'Cl'],
      periodic: [true, true, true],
      lattice_vectors: [
        [5e-10, 0, 0],
        [0, 6e-10, 0],
        [1e-10, 0, 7e-10],
      ],
      positions: [
        [x, 0, 0],
        [3e-10, 3e-10, 3.5e-10],
      ],
    },
  });
  expect(
    await outcome('a.json', JSON.stringify({ entry_id: 'n1', run: [{ system: [system(1e-10), system(0)] }] })),
  ).toEqual([`n1 | ${SALT}`]);
});
