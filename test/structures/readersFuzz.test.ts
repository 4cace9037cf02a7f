import fc from 'fast-check';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { STRUCTURE_REJECTION_CODES, type ReadItem } from '../../structures/structure.js';
import { cif, frame, optimade, poscar, pymatgen, readBytes, xsf } from './bytes.js';

const operations = "loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n'-x,-y,z+1/2'\n";
const samples: Record<string, Uint8Array> = Object.fromEntries(
  Object.entries({
    'a.cif': cif('one') + cif('two', { 'loop_\n': `${operations}loop_\n` }),
    'a.xyz': frame('id=x') + frame('pbc="T T T"') + frame(),
    POSCAR: poscar,
    'a.xsf': xsf,
    'a.json': JSON.stringify([pymatgen(), { task_id: 't', structure: pymatgen() }]),
    'b.json': JSON.stringify({ data: [optimade('a'), optimade('b')], meta: {} }, null, 1),
    'c.json': JSON.stringify(pymatgen()),
    'a.jsonl': `${JSON.stringify(optimade('a'))}\n${JSON.stringify(pymatgen())}\n`,
    'a.csv': `material_id,cif\nx,"${cif('x')}"\ny,"${cif('y')}"\n`,
  }).flatMap(([name, text]) => [
    [name, Buffer.from(text)],
    [`${name}.gz`, gzipSync(text)],
  ]),
);

/** One change of the kind that transfers, editors and programs make. */
const change = fc.record({
  kind: fc.constantFrom(
    'flip' as const,
    'insert' as const,
    'remove' as const,
    'repeat' as const,
    'cut' as const,
    'token' as const,
  ),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.integer({ min: 1, max: 60 }),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 20 }),
  token: fc.constantFrom(
    'nan',
    '-1',
    '1e999',
    '?',
    '"',
    "'",
    ';',
    '\n;',
    '{',
    '}',
    '[',
    ']',
    '\\',
    'null',
    '\0',
    'data_',
    'loop_',
    '\n',
    '99999999',
    '',
    ',',
  ),
});
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

function changed(bytes: Uint8Array, { kind, at: where, length, bytes: junk, token }: Change): Uint8Array {
  const at = Math.floor(where * bytes.length);
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (kind) {
    case 'flip':
      return Buffer.concat([before, after.subarray(0, 1).map((x) => x ^ junk[0]), after.subarray(1)]);
    case 'insert':
      return Buffer.concat([before, junk, after]);
    case 'token':
      return Buffer.concat([before, Buffer.from(token), after.subarray(length % 4)]);
    case 'remove':
      return Buffer.concat([before, after.subarray(length)]);
    case 'repeat':
      return Buffer.concat([before, after.subarray(0, length), after]);
    case 'cut':
      return before;
  }
}

function expectSound(items: ReadItem[]): void {
  expect(items.length).toBeGreaterThan(0);
  for (const item of items) {
    if ('rejection' in item) {
      expect(STRUCTURE_REJECTION_CODES).toContain(item.rejection.code);
      expect(item.rejection.message.length).toBeGreaterThan(0);
      expect(item.rejection.message.length).toBeLessThanOrEqual(500);
      expect(item.rejection.materialId).not.toBe('');
    } else {
      const { atomicNumbers, lattice, fractionalCoordinates: f } = item.structure;
      expect(f.length).toBe(3 * atomicNumbers.length);
      expect(
        lattice.every(Number.isFinite) &&
          f.every((x) => x >= 0 && x < 1) &&
          atomicNumbers.every((z) => z >= 1 && z <= 118),
      ).toBe(true);
    }
  }
}

test('changed files of every format end as structures and rejections, never as an exception or a hang', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...Object.keys(samples)),
      fc.array(change, { minLength: 1, maxLength: 4 }),
      fc.constantFrom(1 << 16, 13),
      async (name, changes, chunk) => {
        expectSound((await readBytes(name, changes.reduce(changed, samples[name]), { chunk })).items);
      },
    ),
    { numRuns: 1500 },
  );
});

test('junk under any name ends as rejections', async () => {
  const starts = fc.constantFrom(
    '',
    'PK\x03\x04',
    'PAR1',
    '\x1f\x8b\x08',
    '{',
    '[',
    '[[[[',
    'data_x\n',
    '3\na=b\n',
    'CRYSTAL\n',
    'cif,b\n',
    '#',
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...Object.keys(samples), 'a.zip', 'a.parquet', 'x'),
      starts,
      fc.uint8Array({ maxLength: 300 }),
      async (name, start, bytes) => {
        expectSound((await readBytes(name, Buffer.concat([Buffer.from(start, 'latin1'), bytes]))).items);
      },
    ),
    { numRuns: 500 },
  );
});

test.each<[string, string, string]>([
  ['brackets', 'a.json', '['.repeat(3_000_000)],
  ['nested objects', 'a.json', `${'{"a":'.repeat(200_000)}1${'}'.repeat(200_000)}`],
  ['one long string', 'a.json', `["${'x'.repeat(5_000_000)}`],
  ['escapes', 'a.json', `["${'\\'.repeat(3_000_001)}`],
  ['digits', 'a.xyz', `1\nLattice="${'1'.repeat(900_000)} 0 0 0 1 0 0 0 1"\nH 0 0 ${'1'.repeat(2_000_000)}\n`],
  ['comment line', 'a.xyz', `1\nLattice="${'="{\'a'.repeat(150_000)}\nH 0 0 0\n`],
  ['quotes', 'a.cif', `data_x\n_cell_length_a ${"'a".repeat(2_000_000)}\n`],
  ['blank lines', 'a.cif', `data_x${'\n'.repeat(3_000_000)}`],
  ['tags', 'a.cif', `data_x\nloop_\n${'_a\n'.repeat(1_000_000)}`],
  ['quotes', 'a.csv', `cif\n${'"'.repeat(2_000_001)}`],
  ['an absurd count', 'a.xyz', '999999999999\nLattice="1 0 0 0 1 0 0 0 1"\nH 0 0 0\n'],
  ['an absurd count', 'a.xsf', 'CRYSTAL\nPRIMVEC\n1 0 0\n0 1 0\n0 0 1\nPRIMCOORD\n1e12 1\nH 0 0 0\n'],
  ['an absurd count', 'POSCAR', poscar.replace('1 1\n', '999999999 999999999\n')],
])('a huge run of %s in %s is rejected in linear time', async (_, name, text) => {
  expectSound((await readBytes(name, text)).items);
});
