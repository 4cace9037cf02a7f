import { spawnSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readStructures } from '../../structures/readers/read.js';
import { localSources } from '../../structures/sources.js';
import type { ReadItem } from '../../structures/structure.js';
import { referencePython } from '../support/python.js';
import { cif, poscar } from './bytes.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'koine-test-'));
  await mkdir((process.env.TMPDIR = join(folder, 'tmp')));
  const script = fileURLToPath(new URL('reference/writeContainers.py', import.meta.url));
  const { status, stderr } = spawnSync(referencePython(), [script, folder, cif('NaCl'), poscar], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const namesOf = async (path: string) => {
  const names: string[] = [];
  for await (const source of localSources(path)) names.push(source.name);
  return names;
};

describe('local sources', () => {
  let tree: string;
  beforeAll(async () => {
    tree = join(folder, 'tree [x]');
    for (const name of [
      'b.cif',
      'a.cif',
      'B.cif',
      'é.cif',
      '\u{10000}.cif',
      '\uffee.cif',
      'sub/deep/c.xyz',
      'sub.cif',
      '.hidden',
      '.git/config',
    ]) {
      await mkdir(join(tree, name, '..'), { recursive: true });
      await writeFile(join(tree, name), name);
    }
    await symlink(join(tree, 'a.cif'), join(tree, 'link.cif'));
  });

  test('a file is named by its base name', async () => {
    expect(await namesOf(join(tree, 'sub/deep/c.xyz'))).toEqual(['c.xyz']);
  });

  test('a folder whose name looks like a pattern is itself, before a pattern too', async () => {
    for (const name of ['run[5]', 'a{b}c', 'q?x', 'star*', 'MP (1)']) {
      await mkdir(join(folder, 'odd', name), { recursive: true });
      await writeFile(join(folder, 'odd', name, 'wanted.cif'), '');
    }
    await mkdir(join(folder, 'odd/run5'));
    await writeFile(join(folder, 'odd/run5/unwanted.cif'), '');
    for (const name of ['run[5]', 'a{b}c', 'q?x', 'star*', 'MP (1)']) {
      expect(await namesOf(join(folder, 'odd', name))).toEqual(['wanted.cif']);
      expect(await namesOf(join(folder, 'odd', name, '*.cif'))).toEqual(['wanted.cif']);
    }
    expect(await namesOf(join(folder, 'odd/run[0-9]/*.cif'))).toEqual(['run5/unwanted.cif']);
  });

  test('a folder gives all files below it but hidden ones, in code-point order', async () => {
    expect(await namesOf(tree)).toEqual([
      'B.cif',
      'a.cif',
      'b.cif',
      'link.cif',
      'sub.cif',
      'sub/deep/c.xyz',
      'é.cif',
      '\uffee.cif',
      '\u{10000}.cif',
    ]);
  });

  test('a glob gives the files it matches, named relative to its fixed part', async () => {
    const root = folder.replaceAll('\\', '/');
    expect(await namesOf(`${root}/tree*/{a,b}.cif`)).toEqual(['tree [x]/a.cif', 'tree [x]/b.cif']);
    expect(await namesOf(`${root}/**/*.xyz`)).toEqual(['tree [x]/sub/deep/c.xyz']);
  });

  test('the bytes are those of the file, as often as it is opened', async () => {
    for await (const source of localSources(join(tree, 'sub'))) {
      for (let time = 0; time < 2; time++) {
        let text = '';
        for await (const chunk of source.open()) text += Buffer.from(chunk).toString();
        expect(text).toBe('sub/deep/c.xyz');
      }
    }
  });

  test.each([
    ['missing.cif', /'.*missing\.cif' does not exist; a file, a folder or a glob/],
    ['*.nothing', /no file matches '.*\*\.nothing'/],
  ])('%s is an error that names the path', async (path, message) => {
    await expect(namesOf(join(folder, path))).rejects.toThrow(message);
  });

  test('an empty folder is an error', async () => {
    await mkdir(join(folder, 'void'));
    await expect(namesOf(join(folder, 'void'))).rejects.toThrow(/void' holds no files/);
  });
});

describe('archives and Parquet', () => {
  const told = (item: ReadItem) =>
    'structure' in item
      ? `${item.structure.materialId} ${item.structure.source}`
      : `${item.rejection.code} ${item.rejection.source}`;

  /** As a file on this machine and as a stream from elsewhere. */
  async function readBoth(name: string): Promise<ReadItem[]> {
    const path = join(folder, name);
    const local: ReadItem[] = [];
    for await (const source of localSources(path)) for await (const item of readStructures(source)) local.push(item);
    const streamed: ReadItem[] = [];
    for await (const item of readStructures({ name, open: () => createReadStream(path) })) streamed.push(item);
    expect(streamed.map(told)).toEqual(local.map(told));
    expect(await readdir(join(folder, 'tmp'))).toEqual([]);
    return local;
  }

  test.each(['set.zip', 'set.zip.gz'])('each member of %s is a file of its own', async (name) => {
    expect((await readBoth(name)).map(told)).toEqual([
      `a ${name}/sub/a.cif`,
      `b ${name}/b.cif.gz`,
      `mp-1 ${name}/mp-1/POSCAR`,
      `unparsable ${name}/notes.txt`,
      `c ${name}/inner.zip/c.cif`,
    ]);
  });

  test('an empty archive, a bomb of archives and a broken member are one rejection each', async () => {
    expect((await readBoth('empty.zip')).map(told)).toEqual(['empty empty.zip']);
    expect((await readBoth('deep.zip')).map(told)).toEqual([`unparsable deep.zip${'/deeper.zip'.repeat(4)}`]);
    expect((await readBoth('broken.zip')).map(told)).toEqual(['unparsable broken.zip/a.cif', 'b broken.zip/b.cif']);
  });

  test('stopping in the middle of a streamed archive removes its copy', async () => {
    for await (const item of readStructures({
      name: 'set.zip',
      open: () => createReadStream(join(folder, 'set.zip')),
    })) {
      expect(item).toHaveProperty('structure');
      break;
    }
    expect(await readdir(join(folder, 'tmp'))).toEqual([]);
  });

  test.each(['zstd', 'snappy', 'gzip', 'none'])(
    "koine's own Parquet with %s is read over all row groups",
    async (codec) => {
      const items = await readBoth(`${codec}.parquet`);
      expect(items).toHaveLength(2500);
      items.forEach((item, i) => {
        if (!('structure' in item)) throw new Error(item.rejection.message);
        expect(told(item)).toBe(`m-${i} ${codec}.parquet:${i}`);
        expect([
          ...item.structure.lattice,
          ...item.structure.fractionalCoordinates,
          ...item.structure.atomicNumbers,
        ]).toEqual([...[5.6, 0, 0, 0, 5.6, 0, 0, 0, 5.6], ...[0, 0, 0, 0.5, 0.5, 0.5], ...[11, 17]]);
      });
    },
  );

  test('other Parquet tables: a cif column, OPTIMADE columns, no structure', async () => {
    expect((await readBoth('cif.parquet')).map(told)).toEqual(['a cif.parquet:0', 'unparsable cif.parquet:1']);
    expect((await readBoth('optimade.parquet')).map(told)).toEqual(['x optimade.parquet']);
    expect((await readBoth('other.parquet')).map(told)).toEqual(['unparsable other.parquet']);
  });
});
