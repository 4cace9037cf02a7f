import { expect, test } from 'vitest';
import { reducedFormula } from '../../structures/formula.js';
import { optimade, pymatgen, readBytes } from './bytes.js';

async function outcome(value: unknown, name = 'set.json'): Promise<string[]> {
  const { items } = await readBytes(name, typeof value === 'string' ? value : JSON.stringify(value));
  return items.map((item) =>
    'rejection' in item
      ? `${item.rejection.materialId} ${item.rejection.code}: ${item.rejection.message}`
      : `${item.structure.materialId} ${reducedFormula(item.structure.atomicNumbers)}`,
  );
}

const salt = pymatgen();
const bromide = pymatgen({ sites: [{ species: [{ element: 'Br', occu: 1 }], abc: [0, 0, 0] }] });

test.each<[string, unknown, string[]]>([
  [
    'the result of a calculation rather than its input',
    { task_id: 't', input: { structure: bromide }, output: { structure: salt } },
    ['t ClNa'],
  ],
  ['the result under a name of its own', { id: 't', initial_structure: bromide, final_structure: salt }, ['t ClNa']],
  [
    'the last of several calculations',
    { task_id: 't', calcs_reversed: [{ output: { structure: salt } }, { output: { structure: bromide } }] },
    ['t ClNa'],
  ],
  [
    'a result without its steps',
    { id: 't', output: { structure: salt, ionic_steps: [{ structure: bromide }] } },
    ['t ClNa'],
  ],
  [
    'structures on the way and below',
    [{ start: { structure: bromide }, a: { b: { c: { d: { e: { f: [{ structure: salt }] } } } } } }],
    ['set-0 Br', 'set-1 ClNa'],
  ],
  [
    'several structures below one id',
    { material_id: 'm', frames: [{ structure: salt }, { structure: bromide }] },
    ['m-0 ClNa', 'm-1 Br'],
  ],
  [
    'frames below the keys of a dictionary',
    { 'mp-1': { f1: { structure: salt }, f2: { structure: bromide } }, 'mp-2': { f1: { structure: salt } } },
    ['mp-1-0 ClNa', 'mp-1-1 Br', 'mp-2 ClNa'],
  ],
  ['an entry with its composition', { entry_id: 'e', composition: { Na: 4, Cl: 4 }, structure: salt }, ['e ClNa']],
  [
    'atoms of ASE',
    {
      numbers: [11, 17],
      positions: [
        [0, 0, 0],
        [2.8, 2.8, 2.8],
      ],
      cell: { array: { __ndarray__: [[3, 3], 'float64', [5.6, 0, 0, 0, 5.6, 0, 0, 0, 5.6]] } },
      pbc: [true, true, true],
    },
    ['set ClNa'],
  ],
])('%s', async (_, value, expected) => expect(await outcome(value)).toEqual(expected));

test.each<[string, unknown, RegExp]>([
  [
    'an entry whose composition is another',
    { entry_id: 'e', composition: { Na: 1, Cl: 2 }, structure: salt },
    /^e contradictory: the cell holds Cl Na, but its composition is Cl2 Na/,
  ],
  [
    'another number of sites than its document says',
    { id: 'e', nsites: 3, structure: salt },
    /^e contradictory: nsites is 3/,
  ],
  ['implicit atoms', optimade('o', { structure_features: ['implicit_atoms'] }), /^o incomplete: .*'implicit_atoms'/],
  ['attached atoms', optimade('o', { structure_features: ['site_attachments'] }), /^o incomplete/],
  [
    'attached atoms in the species',
    optimade('o', {
      species: [
        { name: 'sodium', chemical_symbols: ['Na'], concentration: [1], attached: ['H'], nattached: [3] },
        { name: 'chlorine', chemical_symbols: ['Cl'], concentration: [1] },
      ],
    }),
    /^o incomplete: site 0/,
  ],
  ['disorder', optimade('o', { structure_features: ['disorder'] }), /^o partial_occupancy/],
  [
    'two periodic directions',
    optimade('o', { dimension_types: undefined, nperiodic_dimensions: 2 }),
    /^o unparsable: .*three directions/,
  ],
  [
    'a species that is not defined',
    optimade('o', { species_at_sites: ['sodium', 'chloride'] }),
    /^o unparsable: 'chloride' at site 1 is not one of the species/,
  ],
  ['another number of sites', optimade('o', { nsites: 3 }), /^o contradictory: nsites is '3'/],
  [
    'another formula',
    optimade('o', { chemical_formula_reduced: 'ClNa2' }),
    /^o contradictory: .*chemical_formula_reduced/,
  ],
  [
    'a group as a species',
    pymatgen({ sites: [{ species: [{ element: 'OH', occu: 1 }], abc: [0, 0, 0] }] }),
    /^set unknown_element: 'OH'/,
  ],
  [
    'a slab of ASE',
    {
      numbers: [11],
      positions: [[0, 0, 0]],
      cell: [
        [5, 0, 0],
        [0, 5, 0],
        [0, 0, 5],
      ],
      pbc: [true, true, false],
    },
    /three directions/,
  ],
])('%s is refused', async (_, value, message) => {
  const found = await outcome(value);
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(message);
});

test.each<[string, string]>([
  ['objects', `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`],
  ['structures', `${'{"structure":'.repeat(50_000)}1${'}'.repeat(50_000)}`],
  ['lists', `{"a":${'['.repeat(50_000)}1${']'.repeat(50_000)}}`],
])('%s nested without end are a row that says what was not looked at', async (_, text) => {
  expect(await outcome(`[${text}, ${JSON.stringify(salt)}]`)).toEqual([
    expect.stringMatching(/^set-0 too_large: what lies deeper than 100 levels/),
    'set-1 ClNa',
  ]);
});

test("Python's NaN is read in linear time, also behind quotes that never close", async () => {
  const open = '["\\"\\"\\"'.repeat(40_000);
  expect(await outcome(`[${JSON.stringify(salt)}, {"a": NaN, "b": ${open}`)).toHaveLength(2);
  expect(
    await outcome(
      JSON.stringify({ note: 'NaN \\" Infinity', x: 'here', structure: salt }).replace(
        '"here"',
        '[NaN, -Infinity, Infinity]',
      ),
    ),
  ).toEqual(['set ClNa']);
});
