import fc from 'fast-check';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { FilePart } from '../../structures/parts/filePart.js';
import { readPart } from '../../structures/parts/readPart.js';
import { scanFile } from '../../structures/parts/scanFile.js';
import { readStructures } from '../../structures/readers/read.js';
import type { ByteSource, ReadItem } from '../../structures/structure.js';
import { describeShared, sharedPath } from '../support/shared.js';

/** Text as a source with random access that gives it in pieces of a few bytes. */
function source(text: string | Uint8Array, name: string, piece = 7): ByteSource {
  const bytes = Buffer.from(text);
  const openRange = async function* (start: number, end: number) {
    for (let at = start; at < end; at += piece) yield bytes.subarray(at, Math.min(end, at + piece));
  };
  return { name, bytes: bytes.length, openRange, open: () => openRange(0, bytes.length) };
}

function file(path: string): ByteSource & { path: string } {
  const openRange = (start: number, end: number) => createReadStream(path, { start, end: end - 1 });
  return { name: basename(path), path, openRange, open: () => createReadStream(path) };
}

/** Numbers of records are left out where words between frames may make them differ by one. */
const numbered = (text: string) => (item: ReadItem) =>
  text.includes('some words') ? JSON.stringify(item).replace(/set(\.extxyz:|-)\d+/g, 'set') : item;

async function collect(items: AsyncIterable<ReadItem>): Promise<ReadItem[]> {
  const all: ReadItem[] = [];
  for await (const item of items) all.push(item);
  return all;
}

async function partsOf(of: ByteSource, partBytes: number): Promise<{ parts: FilePart[]; items: ReadItem[] }> {
  const { parts } = await scanFile(of, { partBytes });
  const items: ReadItem[] = [];
  for (const part of parts) items.push(...(await collect(readPart(of, part))));
  return { parts, items };
}

const frame = (id: string | null, shift: number) =>
  `2\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3${id ? ` material_id=${id}` : ''} pbc="T T T"\n` +
  `Na 0 0 ${shift / 100}\nCl 2 2 2\n`;
const structure = (shift: number) => ({
  lattice: { matrix: [[4, 0, 0], [0, 4, 0], [0, 0, 4 + shift / 100]] }, // prettier-ignore
  sites: [
    { species: [{ element: 'Na', occu: 1 }], abc: [0, 0, 0] },
    { species: [{ element: 'Cl', occu: 1 }], abc: [0.5, 0.5, 0.5] },
  ],
});
const cif = (shift: number) =>
  `data_x\n_cell_length_a 4\n_cell_length_b 4\n_cell_length_c ${4 + shift / 100}\n_cell_angle_alpha 90\n` +
  `_cell_angle_beta 90\n_cell_angle_gamma 90\nloop_\n_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n` +
  `_atom_site_fract_z\nNa 0 0 0\nCl 0.5 0.5 0.5\n`;

/** Records of each format, good and broken, by a number each. */
const FORMATS: Record<string, { name: string; header: string; records: ((i: number) => string)[] }> = {
  'extended XYZ': {
    name: 'set.extxyz',
    header: '',
    records: [
      (i) => frame(`id-${i}`, i),
      (i) => frame(null, i),
      (i) => frame(`short-${i}`, i).replace('Cl 2 2 2\n', ''),
      (i) => frame(`long-${i}`, i).replace('Cl 2 2 2\n', 'Cl 2 2 2\nK 1 1 1\n'),
      () => 'some words between frames\n',
      () => '\n  \n',
      (i) => frame(`vacancy-${i}`, i).replace('Cl', 'Xx'),
      (i) => frame(`gap-${i}`, i).replace('Cl', '\nCl'),
    ],
  },
  'JSON lines': {
    name: 'set.jsonl',
    header: `${JSON.stringify({ material_id: 'first', ...structure(0) })}\n`,
    records: [
      (i) => `${JSON.stringify({ material_id: `id-${i}`, ...structure(i) })}\n`,
      (i) => `${JSON.stringify(structure(i))}\n`,
      () => '{"material_id": "broken", "lattice":\n',
      () => '\n',
      () => '{"no": "structure"}\n',
    ],
  },
  CSV: {
    name: 'set.csv',
    header: 'material_id,cif\n',
    records: [
      (i) => `id-${i},"${cif(i)}"\n`,
      (i) => `,"${cif(i)}"\n`,
      () => 'broken,"data_x"\n',
      (i) => `three-${i},"${cif(i)}",more\n`,
      () => '# a remark with "quotes\n',
      () => '\n',
    ],
  },
};

describe.each(Object.entries(FORMATS))('%s', (_, { name, header, records }) => {
  const anyFile = fc
    .tuple(
      fc.array(fc.tuple(fc.nat(records.length - 1), fc.nat(99)), { minLength: 2, maxLength: 30 }),
      fc.boolean(),
      fc.boolean(),
    )
    .map(([chosen, crlf, cutEnd]) => {
      // Two good records come first: a file of one is named otherwise.
      const text = header + [[0, 1], [0, 2], ...chosen].map(([kind, i]) => records[kind](i)).join('');
      const ended = cutEnd ? text.replace(/\n$/, '') : text;
      return crlf ? ended.replaceAll('\n', '\r\n') : ended;
    });

  test('parts cover the file, and together give what the whole gives', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyFile,
        fc.integer({ min: 1, max: 900 }),
        fc.integer({ min: 1, max: 300 }),
        async (text, partBytes, piece) => {
          const of = source(text, name, piece);
          const { parts, items } = await partsOf(of, partBytes);
          const bytes = Buffer.from(text);
          expect(parts.map(({ start }) => start)).toEqual([0, ...parts.slice(0, -1).map(({ end }) => end)]);
          expect(parts.at(-1)?.end).toBe(bytes.length);
          for (const { start, end, sha256 } of parts)
            expect(sha256).toBe(createHash('sha256').update(bytes.subarray(start, end)).digest('hex'));
          const whole = await collect(readStructures(of));
          expect(items.map(numbered(text))).toEqual(whole.map(numbered(text)));
        },
      ),
      { numRuns: 120 },
    );
  });

  test('a file to which something is appended keeps its earlier parts', async () => {
    await fc.assert(
      fc.asyncProperty(anyFile, fc.nat(99), async (text, more) => {
        const before = text.replace(/([^\n])$/, '$1\n');
        const { parts } = await scanFile(source(before, name), { partBytes: 300 });
        const grown = await scanFile(source(before + records[0](more).repeat(3), name), { partBytes: 300 });
        expect(grown.parts.slice(0, parts.length - 1)).toEqual(parts.slice(0, -1));
      }),
      { numRuns: 60 },
    );
  });
});

test('formats that are not cut have no parts, and all bytes pass by', async () => {
  for (const [name, text] of [
    ['a.cif', cif(1)],
    ['POSCAR', 'NaCl\n1\n4 0 0\n0 4 0\n0 0 4\nNa Cl\n1 1\nDirect\n0 0 0\n.5 .5 .5\n'],
    ['a.json', JSON.stringify([structure(1), structure(2)])],
    ['nothing.xyz', ''],
    ['noise', 'words\n'],
  ]) {
    let bytes = 0;
    const { parts } = await scanFile(source(text, name), { partBytes: 1, onBytes: (piece) => (bytes += piece.length) });
    expect([name, parts]).toEqual([name, []]);
    expect(bytes).toBe(Buffer.byteLength(text));
  }
});

describeShared('parts of real files', () => {
  test.each(['models/dev.extxyz', 'data/acwf/acwf_PBE_v1_xsf.zip', 'data/spglib/spglib_test_structures_and_refs.zip'])(
    '%s',
    async (path) => {
      const of = file(sharedPath(path));
      const { size } = await stat(of.path);
      const { parts, items } = await partsOf(of, size / 9);
      expect(parts.length).toBeGreaterThan(3);
      expect(items).toEqual(await collect(readStructures(of)));
      expect(await readFile(of.path)).toHaveLength(size);
    },
  );
});
