import { describe, expect, test } from 'vitest';
import { parseComment } from '../../structures/readers/xyzComment.js';
import { frame, readBytes } from './bytes.js';

test.each<[string, Record<string, string>]>([
  [`name=2,2'-bipyridine pbc="F F F" linker=4,4'-bpy`, { name: "2,2'-bipyridine", pbc: 'F F F', linker: "4,4'-bpy" }],
  [`note=5'-AMP`, { note: "5'-AMP" }],
  [`pbc='F F F' a={1 2 3}`, { pbc: 'F F F', a: '1 2 3' }],
  [`note='tis late=1`, { note: "'tis", late: '1' }],
  [`a = 1 b= 2 c =3`, { a: '1', b: '2', c: '3' }],
  [`config_type relaxed=T`, { config_type: 'T', relaxed: 'T' }],
  [`"my key"="a \\"quoted\\" value" x=y=z`, { 'my key': 'a "quoted" value', x: 'y=z' }],
  [`m=[[1, 2], [3, 4]] v=[1,2]`, { m: '[[1, 2], [3, 4]]', v: '[1,2]' }],
  [`2S-2-Amino-3-methylbutanoic=T acid=T`, { '2S-2-Amino-3-methylbutanoic': 'T', acid: 'T' }],
  [`open="never closed`, { open: '"never', closed: 'T' }],
  ['', {}],
])('%s', (comment, fields) => expect({ ...parseComment(comment) }).toEqual(fields));

describe('a frame', () => {
  const outcome = async (text: string) => {
    const { items } = await readBytes('a.xyz', text);
    return items.map((item) =>
      'rejection' in item ? `${item.rejection.code}: ${item.rejection.message}` : item.structure.lattice.join(' '),
    );
  };
  const named = (comment: string, atoms = 'Na 0 0 0\nCl 2.8 2.8 2.8') =>
    `2\n${comment} Properties=species:S:1:pos:R:3\n${atoms}\n`;

  const occupancy = (json: string) => `occupancy="_JSON ${json.replaceAll('"', '\\"')}"`;

  test.each<[string, string, string | RegExp]>([
    [
      'a matrix has the vectors in its columns',
      named('Lattice=[[5, 1, 2], [0, 6, 3], [0, 0, 7]]'),
      '5 0 0 1 6 0 2 3 7',
    ],
    [
      'nine numbers are the vectors one after the other',
      named('Lattice=[5, 0, 0, 1, 6, 0, 2, 3, 7]'),
      '5 0 0 1 6 0 2 3 7',
    ],
    ['three numbers are edges', named('Lattice="5 6 7"'), '5 0 0 0 6 0 0 0 7'],
    ['a cell under another name', named('cell="5 0 0 0 6 0 0 0 7"'), '5 0 0 0 6 0 0 0 7'],
    [
      'occupancies as ASE keeps them',
      named(`Lattice="5 6 7" ${occupancy('{"0": {"Na": 0.5, "K": 0.5}}')}`),
      /^partial_occupancy: kind 0/,
    ],
    [
      'full occupancies as ASE keeps them',
      named(`Lattice="5 6 7" ${occupancy('{"0": {"Na": 1.0}}')}`),
      '5 0 0 0 6 0 0 0 7',
    ],
    [
      'a column of occupancies',
      '1\nLattice="5 6 7" Properties=species:S:1:pos:R:3:occupancy:R:1\nNa 0 0 0 0.4\n',
      /^partial_occupancy: site 0/,
    ],
    ['species as numbers', named('Lattice="5 6 7"', '11 0 0 0\n17 2 2 2'), '5 0 0 0 6 0 0 0 7'],
    ['pbc in words', named('Lattice="5 6 7" pbc=[True, True, True]'), '5 0 0 0 6 0 0 0 7'],
    ['one pbc for all', named('Lattice="5 6 7" pbc=F'), /^unparsable: pbc is 'F'/],
    [
      'pbc behind a prime',
      named(`name=2,2'-bpy Lattice="5 6 7" pbc="T F T" linker=4,4'-bpy`),
      /^unparsable: pbc is 'T F T'/,
    ],
    ['a group as a species', named('Lattice="5 6 7"', 'OH 0 0 0\nCl 2 2 2'), /^unknown_element: 'OH'/],
    [
      'an atom line too many, of an unknown element',
      `${frame()}Qq 1 1 1\n`,
      /^unparsable: 'Qq 1 1 1' follows the 2 atoms/,
    ],
  ])('%s', async (_, text, expected) => {
    const found = await outcome(text);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(typeof expected === 'string' ? new RegExp(`^${expected}$`) : expected);
  });
});
