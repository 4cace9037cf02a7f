import { expect, test } from 'vitest';
import { distinctStems, fileStem, isTellingDataName } from '../../structures/readers/materialId.js';

test.each([
  ['mp-1.cif', 'mp-1'],
  ['set/mp-1.cif.gz', 'mp-1'],
  ['Fe0.5Ni0.5', 'Fe0.5Ni0.5'],
  ['mp-1/POSCAR', 'mp-1'],
  ['mp-1/CONTCAR.relax2.gz', 'mp-1'],
  ['mp-1/CONTCAR.vasp', 'mp-1'],
  ['mp-1/relax2/final.cif', 'mp-1'],
  ['mp-1/traj.xyz', 'mp-1'],
  ['./POSCAR', 'POSCAR'],
  ['POSCAR', 'POSCAR'],
  ['set.zip/POSCAR', 'set'],
  ['set.zip/mp-1/relaxed.cif', 'mp-1'],
])('%s is called %s', (name, stem) => expect(fileStem(name)).toBe(stem));

test('files of one name in several folders are called by their paths, others by their stems', () =>
  expect(distinctStems(['a/x.cif', 'b/x.cif.gz', 'b/y.cif', 'c/POSCAR'])).toEqual(['a/x', 'b/x', 'y', 'c']));

test.each([
  ['ICSD_18189', true],
  ['mp-149', true],
  ['9000046', true],
  ['ABAVIJ01', true],
  ['ABAVIJ', true],
  ['NaCl', false],
  ['image0', false],
  ['shelx', false],
  ['a', false],
  ['I', false],
  ['publ', false],
  ['compound12', false],
  ['VESTA_phase_1', false],
  ['', false],
])('the data name %j tells a structure apart: %s', (name, isTelling) =>
  expect(isTellingDataName(name)).toBe(isTelling),
);
