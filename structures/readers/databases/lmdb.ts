import { MAX_RECORD_LENGTH, Rejected } from '../record.js';
import { Pages } from './pages.js';

const MAGIC = 0xbeefc0de;
const PAGE_HEADER = 16;
const BRANCH = 1;
const LEAF = 2;
/** Flag of a node whose value lies on pages of its own. */
const BIG = 1;

/** Whether a file begins like the page 0 of an LMDB database. */
export function isLmdb(head: Uint8Array): boolean {
  return head.length >= 24 && Buffer.from(head.buffer, head.byteOffset, 20).readUInt32LE(PAGE_HEADER) === MAGIC;
}

/** An entry of the database; its value is read when it is asked for. */
export interface LmdbEntry {
  key: string;
  value: () => Promise<Buffer>;
}

/**
 * Entries of the main database of an LMDB file of 64-bit machines (https://www.openldap.org, lmdb.h and mdb.c), in the order of their
 * keys: numbers by value, then the others.
 *
 * @param path of the file
 * @throws Rejected when it is none or broken
 */
export async function* lmdbEntries(path: string): AsyncGenerator<LmdbEntry> {
  const pages = await Pages.open(path, (head) => head.readUInt32LE(PAGE_HEADER + 24));
  try {
    // Two meta pages take turns; the later transaction counts.
    const metas = await Promise.all([0, 1].map((number) => pages.read(number)));
    const [last] = metas
      .filter((page) => page.readUInt32LE(PAGE_HEADER) === MAGIC)
      .sort((a, b) => Number(b.readBigUInt64LE(PAGE_HEADER + 128) - a.readBigUInt64LE(PAGE_HEADER + 128)));
    const root = last.readBigUInt64LE(PAGE_HEADER + 24 + 48 + 40);
    if (root === 0xffff_ffff_ffff_ffffn) return;
    const places: { key: string; start: number; length: number }[] = [];
    const pending = [Number(root)];
    let visited = 0;
    for (let number = pending.pop(); number !== undefined; number = pending.pop()) {
      if (++visited > pages.count) throw new Rejected('unparsable', 'the pages of the LMDB database form a circle');
      const page = await pages.read(number);
      const flags = page.readUInt16LE(10);
      const count = (page.readUInt16LE(12) - PAGE_HEADER) / 2;
      for (let i = 0; i < count; i++) {
        const node = page.readUInt16LE(PAGE_HEADER + 2 * i);
        const low = page.readUInt32LE(node);
        const nodeFlags = page.readUInt16LE(node + 4);
        const keyLength = page.readUInt16LE(node + 6);
        if (flags & BRANCH) pending.push(low + nodeFlags * 2 ** 32);
        else if (flags & LEAF) {
          const key = page.toString('latin1', node + 8, node + 8 + keyLength);
          const value = node + 8 + keyLength;
          const start =
            nodeFlags & BIG
              ? Number(page.readBigUInt64LE(value)) * pages.pageSize + PAGE_HEADER
              : number * pages.pageSize + value;
          places.push({ key, start, length: low });
        } else throw new Rejected('unparsable', `page ${number} of the LMDB database has the flags ${flags}`);
      }
    }
    places.sort((a, b) => rank(a.key) - rank(b.key));
    for (const { key, start, length } of places) {
      yield {
        key,
        value: () => {
          if (length > MAX_RECORD_LENGTH)
            throw new Rejected('too_large', `an entry has ${length} bytes; at most ${MAX_RECORD_LENGTH} are read`);
          return pages.bytes(start, length);
        },
      };
    }
  } finally {
    await pages.close();
  }
}

function rank(key: string): number {
  return /^\d+$/.test(key) ? Number(key) : Number.MAX_VALUE;
}
