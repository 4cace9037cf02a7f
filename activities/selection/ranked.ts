/** Where a row stands in an order that its content alone decides: by rank, then by hash. */
export type Place = readonly [rank: number, hash: number];

/** The lowest rows of one page in order of place, in blocks of an object that can be read one at a time. */
export interface RankedRows {
  /** Byte range [start, end) of each block within the object, and the place of its last row. */
  blocks: { start: number; end: number; last: Place }[];
  rows: number;
}

/** A row with its place. */
export interface Ranked<Row> {
  place: Place;
  row: Row;
}

/** Most readers need the first hundreds of rows of a page: some 40 kB a block. */
const ROWS_PER_BLOCK = 1024;

/** Order by rank, then hash. */
export function comparePlaces([rank, hash]: Place, [otherRank, otherHash]: Place): number {
  return rank - otherRank || hash - otherHash;
}

/** Blocks of rows as bytes that follow `offset` others. @param rows in order of place */
export function encodeRanked<Row>(rows: readonly Ranked<Row>[], offset: number): { ranked: RankedRows; bytes: Buffer } {
  const blocks: RankedRows['blocks'] = [];
  const pieces: Buffer[] = [];
  let start = offset;
  for (let at = 0; at < rows.length; at += ROWS_PER_BLOCK) {
    const block = rows.slice(at, at + ROWS_PER_BLOCK);
    const piece = Buffer.from(JSON.stringify(block.map(({ place, row }) => [place, row])));
    blocks.push({ start, end: start + piece.length, last: block[block.length - 1].place });
    pieces.push(piece);
    start += piece.length;
  }
  return { ranked: { blocks, rows: rows.length }, bytes: Buffer.concat(pieces) };
}

/**
 * The n rows of lowest place among many pages, in order. Reads a block of every page, then further ones only of pages whose last row read comes
 * before the n-th of all: nearly always none, however many pages there are. Ties of place keep the order of pages.
 * @param read bytes [start, end) of page `page`
 * @param many does something for several pages at once, results in order
 */
export async function lowestRanked<Row>(
  pages: readonly RankedRows[],
  n: number,
  read: (page: number, start: number, end: number) => Promise<Uint8Array>,
  many: <T, R>(items: Iterable<T>, action: (item: T) => Promise<R>) => Promise<R[]>,
): Promise<(Ranked<Row> & { page: number })[]> {
  const next = pages.map(() => 0);
  let kept: (Ranked<Row> & { page: number })[] = [];
  let open = [...pages.keys()].filter((page) => pages[page].blocks.length > 0);
  while (open.length > 0) {
    const blocks = await many(open, async (page) => {
      const { start, end } = pages[page].blocks[next[page]++];
      const rows = JSON.parse(Buffer.from(await read(page, start, end)).toString('utf8')) as [Place, Row][];
      return rows.map(([place, row]) => ({ place, row, page }));
    });
    kept = kept
      .concat(...blocks)
      .sort((a, b) => comparePlaces(a.place, b.place) || a.page - b.page)
      .slice(0, n);
    const last = kept.length < n ? undefined : kept[n - 1].place;
    open = open.filter((page) => {
      const { blocks: all } = pages[page];
      return next[page] < all.length && (!last || comparePlaces(all[next[page] - 1].last, last) < 0);
    });
  }
  return kept;
}
