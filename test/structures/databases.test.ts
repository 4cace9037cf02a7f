import { spawnSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readStructures } from '../../structures/readers/read.js';
import type { ReadItem } from '../../structures/structure.js';
import { referencePython } from '../support/python.js';
import { readBytes } from './bytes.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'koine-databases-'));
  const script = fileURLToPath(new URL('reference/writeDatabases.py', import.meta.url));
  const { status, stderr } = spawnSync(referencePython(), [script, folder], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function read(name: string): Promise<ReadItem[]> {
  const items: ReadItem[] = [];
  const path = join(folder, name);
  for await (const item of readStructures({ name, open: () => createReadStream(path) })) items.push(item);
  return items;
}

/** What the script wrote as its i-th crystal. */
function expectCrystal(item: ReadItem, i: number): void {
  if ('rejection' in item) throw new Error(item.rejection.message);
  const { atomicNumbers, lattice, fractionalCoordinates } = item.structure;
  const times = i % 50 === 0 ? 4 : 1;
  expect(atomicNumbers.length).toBe(2 * times ** 3);
  expect([...atomicNumbers.subarray(0, 2)]).toEqual([11, 17]);
  [5, 0, 0, 0, 6, 0, 0, 0, 7 + i / 1000].forEach((x, k) => expect(lattice[k]).toBeCloseTo(times * x, 12));
  for (let k = 3; k < 6; k++) expect(fractionalCoordinates[k]).toBeCloseTo(0.5 / times, 12);
}

test('every row of an SQLite database of ASE is read, a molecule refused', async () => {
  const items = await read('rows.db');
  expect(items).toHaveLength(401);
  items.slice(0, 400).forEach((item, i) => {
    expectCrystal(item, i);
    if ('structure' in item)
      expect(item.structure.materialId).toMatch(i % 2 ? new RegExp(`^mp-${i}$`) : /^[0-9a-f]{32}$/);
  });
  expect(items[400]).toMatchObject({
    rejection: { code: 'unparsable', message: expect.stringMatching(/^pbc is 000/) as string },
  });
});

test('every row of an .aselmdb is read in the order of its numbers', async () => {
  const items = await read('rows.aselmdb');
  const expected = Array.from({ length: 800 }, (_, k) => k + 1).filter((i) => i !== 17);
  expect(items).toHaveLength(expected.length);
  items.forEach((item, k) => {
    expectCrystal(item, expected[k]);
    if ('structure' in item)
      expect(item.structure.materialId).toBe(expected[k] % 2 ? `m${expected[k]}` : `u${expected[k]}`);
  });
});

test.each(['rows.db', 'rows.aselmdb'])(
  '%s cut off or with other bytes ends as rows, never as an exception or a hang',
  async (name) => {
    const whole = await readFile(join(folder, name));
    for (let trial = 0; trial < 60; trial++) {
      const bytes = Buffer.from(
        whole.subarray(0, trial % 3 === 0 ? Math.floor((whole.length * trial) / 60) : whole.length),
      );
      for (let k = 0; k < 20 && bytes.length > 200; k++)
        bytes[(trial * 7919 + k * 104_729) % (k < 10 ? 8192 : bytes.length)] = (trial * 31 + k) % 256;
      const { items } = await readBytes(name, bytes);
      expect(items.length).toBeGreaterThan(0);
    }
  },
);

test('changes that are still in a write-ahead log are asked for', async () => {
  const path = join(folder, 'log.db');
  await writeFile(path, await readFile(join(folder, 'rows.db')));
  await writeFile(`${path}-wal`, 'frames');
  const items: ReadItem[] = [];
  for await (const item of readStructures({ name: 'log.db', path, open: () => createReadStream(path) } as never))
    items.push(item);
  expect(items).toMatchObject([{ rejection: { message: expect.stringMatching(/-wal file/) as string } }]);
});
