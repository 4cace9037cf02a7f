import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nameAnchors } from '../../workers/anchorNumbering.js';

/** Cubic cells in file order; ids do not ascend, so that order and name cannot be mixed up. */
const SOURCE = [
  { id: 'mp-9', species: ['Na', 'Cl'] },
  { id: 'mp-10', species: ['Si'] },
  { id: 'mp-1', species: ['Cs', 'Cl', 'Cl'] },
];

describe('nameAnchors', () => {
  let folder: string;
  let data: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'koine-anchors-'));
    data = join(folder, 'data.extxyz');
    const frames = SOURCE.map(({ id, species }) => {
      const atoms = species.map((symbol, i) => `${symbol} ${i * 1.7} 0 0`);
      const header = `Lattice="6 0 0 0 6 0 0 0 6" Properties=species:S:1:pos:R:3 material_id=${id} pbc="T T T"`;
      return [species.length, header, ...atoms].join('\n');
    });
    await writeFile(data, `${frames.join('\n')}\n`);
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function numbered(fields: Record<string, unknown>): Promise<string> {
    const file = join(folder, 'anchors.json');
    await writeFile(file, JSON.stringify({ dataset: 'three cells', source: 'this test', ...fields }));
    return file;
  }

  test('counts atoms through the file in its order and keeps the order of the numbers', async () => {
    const file = await numbered({ structures: 3, atoms: 6, flat_atom_index: [5, 0, 2, 3] });
    expect(await nameAnchors(file, data)).toEqual(['mp-1:2', 'mp-9:0', 'mp-10:0', 'mp-1:0']);
  });

  test('refuses a data set of another size, a number past the end, and a file that is no list', async () => {
    const other = await numbered({ structures: 27136, atoms: 282847, flat_atom_index: [0] });
    await expect(nameAnchors(other, data)).rejects.toThrow('3 structures and 6 atoms');
    const past = await numbered({ flat_atom_index: [6] });
    await expect(nameAnchors(past, data)).rejects.toThrow('has 6 atoms');
    const empty = await numbered({ flat_atom_index: [] });
    await expect(nameAnchors(empty, data)).rejects.toThrow('flat_atom_index');
  });

  test('refuses a data set with a structure that cannot be read, since numbers would shift behind it', async () => {
    const file = await numbered({ flat_atom_index: [0] });
    const broken = join(folder, 'broken.extxyz');
    const header = 'Lattice="6 0 0 0 6 0 0 0 6" Properties=species:S:1:pos:R:3 pbc="T T T"';
    await writeFile(broken, `1\n${header} material_id=bad\nXx 0 0 0\n1\n${header} material_id=good\nSi 0 0 0\n`);
    await expect(nameAnchors(file, broken)).rejects.toThrow(/bad cannot be read/);
  });

  test('the published anchors are a hundred different atoms of the data set that they name', async () => {
    const { default: published } = await import('../../examples/mp20-train-anchors.json', { with: { type: 'json' } });
    expect(new Set(published.flat_atom_index).size).toBe(100);
    expect(Math.max(...published.flat_atom_index)).toBeLessThan(published.atoms);
  });
});
