import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGzip, gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { readStructures } from '../../structures/readers/read.js';
import type { ReadItem } from '../../structures/structure.js';
import { cif, frame, readBytes } from './bytes.js';

async function read(source: { name: string; open: () => AsyncIterable<Uint8Array> }): Promise<string[]> {
  const items: ReadItem[] = [];
  for await (const item of readStructures(source)) items.push(item);
  return items.map((item) =>
    'rejection' in item
      ? `${item.rejection.source} ${item.rejection.code}: ${item.rejection.message}`
      : item.structure.source,
  );
}

test('a packed file that unpacks to hundreds of times its size is refused', async () => {
  const zeros = Buffer.alloc(1 << 20, ' ');
  const open = () => {
    const packed = createGzip({ level: 9 });
    packed.write(frame());
    for (let i = 0; i < 100; i++) packed.write(zeros);
    packed.end();
    return packed;
  };
  expect(await read({ name: 'blanks.xyz.gz', open })).toEqual([
    expect.stringMatching(/^blanks\.xyz\.gz(:1)? too_large: \d+ packed bytes unpack to more than/),
  ]);
});

test('honest text of any length is read', async () => {
  const { structures } = await readBytes('long.xyz.gz', gzipSync(frame().repeat(20_000)));
  expect(structures).toHaveLength(20_000);
});

/** A zip archive of stored members, by the published layout (APPNOTE), so that names may be odd. */
function zipOf(members: [name: string, content: string, directorySize?: number][]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, content, size = content.length] of members) {
    const header = (signature: number, extra: number) => {
      const bytes = Buffer.alloc(extra);
      bytes.writeUInt32LE(signature, 0);
      return bytes;
    };
    const local = header(0x04034b50, 30);
    local.writeUInt32LE(content.length, 18);
    local.writeUInt32LE(content.length, 22);
    local.writeUInt16LE(name.length, 26);
    const entry = header(0x02014b50, 46);
    entry.writeUInt32LE(content.length, 20);
    entry.writeUInt32LE(size, 24);
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt32LE(offset, 42);
    parts.push(local, Buffer.from(name + content));
    directory.push(entry, Buffer.from(name));
    offset += 30 + name.length + content.length;
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(members.length, 8);
  end.writeUInt16LE(members.length, 10);
  end.writeUInt32LE(Buffer.concat(directory).length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, ...directory, end]);
}

test('an odd member of an archive is one row, and the others are read', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'koine-zip-'));
  try {
    const path = join(folder, 'set.zip');
    const text = cif('x');
    await writeFile(
      path,
      zipOf([
        ['a.cif', text],
        ['..\\b.cif', text],
        ['/c.cif', text],
        ['d.cif', text, text.length + 1],
        ['e.cif', text],
      ]),
    );
    expect(await read({ name: 'set.zip', open: () => createReadStream(path) })).toEqual([
      'set.zip/a.cif',
      'set.zip/../b.cif',
      'set.zip//c.cif',
      expect.stringMatching(/^set\.zip\/d\.cif unparsable: zip: the member has \d+ bytes/),
      'set.zip/e.cif',
    ]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('an error that no reader foresaw is a row that names the file', async () => {
  // A row of the table cannot be shown as text: whatever a reader trips over must not leave it.
  const source = {
    name: 'odd.xyz',
    async *open() {
      yield Buffer.from(frame());
      yield 'no bytes' as unknown as Uint8Array;
    },
  };
  expect((await read(source)).at(-1)).toMatch(/^odd\.xyz(:\d+)? unparsable: the reader failed on it/);
});
