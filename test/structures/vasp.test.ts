import { expect, test } from 'vitest';
import { poscar, readBytes } from './bytes.js';

async function outcome(text: string, name = 'run/POSCAR'): Promise<string[]> {
  const { items } = await readBytes(name, text);
  return items.map((item) =>
    'rejection' in item
      ? `${item.rejection.code}: ${item.rejection.message}`
      : `${item.structure.materialId} ${item.structure.atomicNumbers.join(' ')} ${Array.from(item.structure.fractionalCoordinates, (x) => Number(x.toFixed(6))).join(' ')}`,
  );
}

const ROCK_SALT = 'run 11 17 0 0 0 0.5 0.5 0.5';
const header = poscar.slice(0, poscar.indexOf('Direct'));
const frame = (number: number, x: number) => `Direct configuration=  ${number}\n ${x} 0.0 0.0\n 0.5 0.5 0.5\n`;

test.each<[string, string]>([
  ['velocities behind a blank line', `${poscar}\n0.1 0.1 0.1\n-1e-3 0 0\n`],
  ['velocities behind their mode', `${poscar}Cartesian\n0.1 0.1 0.1\n0 0 0\n`],
  [
    'velocities of lattice and atoms',
    `${poscar}Lattice velocities and vectors\n 1\n${' 0.1 0 0\n'.repeat(6)}\n0 0 0\n0 0 0\n`,
  ],
  ['the state of a thermostat', `${poscar}\n0 0 0\n0 0 0\n\n 1\n 0.5E+00\n 0.1 0.2 0.3 0.4\n${' 0 0 0\n'.repeat(6)}`],
  ['blank lines and remarks', `${poscar}\n \n# a remark\n`],
  ['a mode line without velocities', `${poscar}\nCartesian\n`],
  ['symbols and counts on two lines', poscar.replace('Na Cl\n1 1\n', 'Na\nCl\n1\n1\n')],
  ['a group without atoms', poscar.replace('Na Cl\n1 1\n', 'Na Xx Cl\n1 0 1\n')],
  ['numbers that Fortran wrote without blanks', poscar.replace('0.5 0.5 0.5', '-0.50000000-0.50000000-0.50000000')],
  ['CR alone', poscar.replaceAll('\n', '\r')],
])('%s', async (_, text) => expect(await outcome(text)).toEqual([ROCK_SALT]));

test.each<[string, string, RegExp]>([
  [
    'a density on a grid',
    `${poscar}\n 2 2 2\n 0.1 0.2 0.3 0.4 0.5\n 0.1 0.2 0.3\n`,
    /^unparsable: a grid of 2 x 2 x 2 points/,
  ],
  ['a position too many', `${poscar}0.25 0.25 0.25\n`, /^unparsable: '0.25 0.25 0.25' follows the 2 positions/],
  ['other text', `${poscar}\nof the sample at 300 K\n`, /^unparsable: component 1 of velocity 0, or what else follows/],
  ['velocities of too few atoms', `${poscar}\n0 0 0\n`, /^unparsable: component 1 of velocity 1/],
  ['two factors', poscar.replace('1.0\n', '1.0 1.0\n'), /^unparsable: the scaling factor is '1.0 1.0'/],
  ['a negative factor among three', poscar.replace('1.0\n', '1 1 -1\n'), /^unparsable: the scaling factor/],
  ['no mode line', poscar.replace('Direct\n', ''), /^unparsable: '0 0 0' stands where a line Direct or Cartesian/],
  ['a vacancy', poscar.replace('Cl', 'Va'), /^unknown_element: 'Va' at site 1/],
  [
    'positions behind velocities',
    `${poscar}\n0 0 0\n0 0 0\n\n0.1 0 0\n0.5 0.5 0.5\n`,
    /^unparsable: '0.1 0 0' follows the velocities/,
  ],
  ['a pseudo-hydrogen', poscar.replace('Cl', 'H.5'), /^unknown_element: 'H.5'/],
  ['more atoms than are accepted', poscar.replace('1 1\n', '600 600\n'), /^too_large: 1200 atoms/],
])('%s is refused', async (_, text, message) => {
  const found = await outcome(text);
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(message);
});

test.each<[string, string]>([
  ['one header', header + frame(1, 0) + frame(2, 0.1) + frame(3, 0.2)],
  ['a header a frame', [0, 0.1, 0.2].map((x, i) => header + frame(i + 1, x)).join('')],
  [
    'the older name of a frame',
    header + [0, 0.1, 0.2].map((x, i) => frame(i + 1, x).replace('Direct configuration', 'Konfig')).join(''),
  ],
  [
    'blank lines in place of names, as VASP 4 has',
    header + [0, 0.1, 0.2].map((x, i) => frame(i + 1, x).replace(/Direct.*/, ' ')).join(''),
  ],
  ['blank lines between', `${header}${frame(1, 0)}\n${frame(2, 0.1)}\n\n${frame(3, 0.2)}\n`],
])('every frame of an XDATCAR with %s is read', async (_, text) =>
  expect(await outcome(text, 'run/XDATCAR')).toEqual([
    'run-0 11 17 0 0 0 0.5 0.5 0.5',
    'run-1 11 17 0.1 0 0 0.5 0.5 0.5',
    'run-2 11 17 0.2 0 0 0.5 0.5 0.5',
  ]),
);

test('an XDATCAR that breaks off gives its whole frames and one rejection', async () => {
  const found = await outcome(`${header}${frame(1, 0)}Direct configuration= 2\n 0.1 0`, 'run/XDATCAR');
  expect(found).toEqual([
    'run-0 11 17 0 0 0 0.5 0.5 0.5',
    expect.stringMatching(/^unparsable: component 3 of position 0 is missing/),
  ]);
});
