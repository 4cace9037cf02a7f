import { sha256Hex } from '../../datasets/digest.js';
import type { SourceListing, SourceUnit, UnitList } from '../run/documents.js';
import type { RequestedRun } from '../run/openRun.js';
import { scanOf } from './scanning.js';
import { filesOf } from './sourceFiles.js';

/** Files read by one activity at most, and on average half as many: a folder of 150,000 CIF files becomes some 1,300 units. */
const FILES_PER_UNIT = 256;
/** Bytes read by one activity: some ten seconds of a thread; a larger file is cut where its format allows. */
const BYTES_PER_UNIT = 16 * 2 ** 20;
/** Units named in one document. */
const UNITS_PER_LIST = 1000;

/** Collects units in order into lists of bounded length. */
class UnitLists {
  readonly lists: string[] = [];
  units = 0;
  private list: UnitList = [];

  constructor(private readonly run: RequestedRun) {}

  async add(unit: SourceUnit): Promise<void> {
    this.units++;
    await this.push(await this.run.write('units', unit));
  }

  async push(entry: string | number): Promise<void> {
    this.list.push(entry);
    if (this.list.length === UNITS_PER_LIST) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.list.length > 0) this.lists.push(await this.run.write('lists', { entries: this.list }));
    this.list = [];
  }
}

/** Enumerates the files of all sources: units of small ones, and large ones, which have to be scanned. @returns the key of the listing */
export async function listFiles(run: RequestedRun): Promise<{ listing: string; large: number }> {
  const lists = new UnitLists(run);
  const large: SourceListing['large'] = [];
  let listed = 0;
  for (const [source, { path }] of run.spec.source.entries()) {
    let files: SourceUnit['files'] = [];
    let bytes = 0;
    const flush = async () => {
      if (files.length > 0) await lists.add({ source, files, part: null });
      [files, bytes] = [[], 0];
    };
    for await (const file of filesOf(run, path)) {
      if (file.bytes > BYTES_PER_UNIT) {
        await flush();
        await lists.push(large.length);
        large.push({ source, file });
      } else {
        if (files.length === FILES_PER_UNIT || bytes + file.bytes > BYTES_PER_UNIT) await flush();
        files.push(file);
        bytes += file.bytes;
        if (endsUnit(file.name)) await flush();
      }
      run.work.beat({ files: ++listed });
    }
    await flush();
  }
  await lists.flush();
  const listing: SourceListing = { large, lists: lists.lists, units: lists.units };
  return { listing: await run.write('listings', listing), large: large.length };
}

/** Units end where the name of a file says so: an added file changes the unit it falls into and no others. */
function endsUnit(name: string): boolean {
  return Number.parseInt(sha256Hex(Buffer.from(name)).slice(0, 8), 16) % (FILES_PER_UNIT / 2) === 0;
}

/** The listing with the parts of its large files as units in their place. @returns the key of that listing */
export async function listParts(run: RequestedRun, key: string): Promise<{ listing: string; units: number }> {
  const { large, lists: before, units } = await run.document<SourceListing>(key);
  if (large.length === 0) return { listing: key, units };
  const lists = new UnitLists(run);
  for (const list of before)
    for (const entry of (await run.document<{ entries: UnitList }>(list)).entries) {
      if (typeof entry === 'string') {
        lists.units++;
        await lists.push(entry);
        continue;
      }
      const { source, file } = large[entry];
      const { parts, sha256 } = await scanOf(run, file);
      // The scan has told the bytes of the file: it need not be hashed again.
      const files = [{ ...file, version: file.version ?? sha256 }];
      if (parts.length <= 1) await lists.add({ source, files, part: null });
      else for (const part of parts) await lists.add({ source, files, part });
    }
  await lists.flush();
  const listing: SourceListing = { large: [], lists: lists.lists, units: lists.units };
  return { listing: await run.write('listings', listing), units: lists.units };
}

/** Unit `item` of a listing, with its key. */
export async function unitOf(
  run: RequestedRun,
  listing: string,
  item: number,
): Promise<{ key: string; unit: SourceUnit }> {
  const { lists } = await run.document<SourceListing>(listing);
  const list = lists[Math.floor(item / UNITS_PER_LIST)];
  const key = list && (await run.document<{ entries: UnitList }>(list)).entries[item % UNITS_PER_LIST];
  if (typeof key !== 'string') throw new Error(`activities: listing ${listing} has no unit ${item}`);
  return { key, unit: await run.document<SourceUnit>(key) };
}
