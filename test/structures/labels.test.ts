import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { LabelsRefused, readLabels } from '../../structures/labels.js';
import { readStructures } from '../../structures/readers/read.js';
import { localSources } from '../../structures/sources.js';

const folder = mkdtempSync(join(tmpdir(), 'koine-labels-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Writes a file below the folder. @returns its path */
function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
  return path;
}
const labelsOf = async (path: string, column: string) => Object.fromEntries(await readLabels(path, column));

const frame = (comment: string) =>
  `1\nLattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3 ${comment}\nFe 0 0 0\n`;

describe('labels of a CSV', () => {
  test('are numbers by the id that the readers of structures see; others are left out', async () => {
    const path = file(
      'table.csv',
      '\ufeff# a comment\nmaterial_id,formula,energy,note\nmp-1,NaCl,-3.25,"a, b"\nmp-2,KCl,,\nmp-3,Fe,nan,\nmp-4,Fe, 1e-3 ,\nmp-5,Fe,inf,\n,Fe,2,\n',
    );
    expect(await labelsOf(path, 'energy')).toEqual({ 'mp-1': -3.25, 'mp-4': 1e-3 });
  });

  test('may be compressed, and spread over a folder or a glob', async () => {
    file('many/a.csv.gz', gzipSync('id,value\nx,1\n'));
    file('many/b.csv', 'id,value\ny,2\nx,1\n');
    expect(await labelsOf(join(folder, 'many'), 'value')).toEqual({ x: 1, y: 2 });
    expect(await labelsOf(join(folder, 'many', '*.csv'), 'value')).toEqual({ x: 1, y: 2 });
  });

  test('read row by row, however many', async () => {
    const rows = Array.from({ length: 20_000 }, (_, i) => `id-${i},${i / 8}`);
    const labels = await readLabels(file('long.csv', ['id,value', ...rows].join('\n')), 'value');
    expect(labels.size).toBe(20_000);
    expect(labels.get('id-19999')).toBe(19_999 / 8);
  });
});

describe('labels of extended XYZ', () => {
  test('are keys of the comment lines, under the ids that the structures of the same file get', async () => {
    const files = {
      'one.xyz': frame('energy=-1.5'),
      'several.extxyz': frame('energy=1') + '\n' + frame('energy=2'),
      'named.xyz': frame('material_id=mp-7 energy=3') + frame('energy=4'),
    };
    for (const [name, content] of Object.entries(files)) {
      const path = file(`xyz/${name}`, content);
      const ids: string[] = [];
      for await (const source of localSources(path))
        for await (const item of readStructures(source))
          ids.push('structure' in item ? item.structure.materialId : item.rejection.message);
      expect([...(await readLabels(path, 'energy')).keys()].sort(), name).toEqual(ids.sort());
    }
    expect(await labelsOf(join(folder, 'xyz/several.extxyz'), 'energy')).toEqual({ 'several-0': 1, 'several-1': 2 });
    expect(await labelsOf(join(folder, 'xyz/one.xyz'), 'energy')).toEqual({ one: -1.5 });
  });

  test('are found with quotes and beside other keys, and read from .gz', async () => {
    const path = file('quoted.extxyz.gz', gzipSync(frame('id="a b" note="energy=7" energy="-2.5"')));
    expect(await labelsOf(path, 'energy')).toEqual({ 'a b': -2.5 });
  });
});

describe('labels are refused with the reason and what there is', () => {
  test.each<[string, string, string, RegExp]>([
    ['no such column', 'none.csv', 'id,value\nx,1\n', /no record has a number 'energy'; the last one has id, value/],
    ['no number in it', 'words.csv', 'id,energy\nx,high\n', /no record has a number 'energy'/],
    ['no records', 'empty.csv', 'id,energy\n', /the last one has no fields/],
    ['two numbers of one id', 'twice.csv', 'id,energy\nx,1\nx,2\n', /'x' has energy 1 and 2; ids must be unique/],
    ['another kind of file', 'labels.json', '{}', /only \.csv, \.xyz and \.extxyz are read/],
  ])('%s', async (_, name, content, message) => {
    const reading = readLabels(file(`refused/${name}`, content), 'energy');
    await expect(reading).rejects.toBeInstanceOf(LabelsRefused);
    await expect(reading).rejects.toThrow(message);
  });

  test('a file that is not there, and one that is no gzip', async () => {
    await expect(readLabels(join(folder, 'nowhere.csv'), 'energy')).rejects.toThrow(/nowhere\.csv/);
    await expect(readLabels(file('broken.csv.gz', 'id,energy\nx,1\n'), 'energy')).rejects.toThrow(
      /^labels .*broken\.csv\.gz: cannot be read: .*header/,
    );
  });
});
