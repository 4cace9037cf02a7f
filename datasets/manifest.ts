import { canonicalJsonBytes, type Json } from './canonicalJson.js';
import { compareCodePoints } from '../text/codePoints.js';
import { sha256Hex } from './digest.js';
import * as keys from './keys.js';
import { ObjectNotFound, type ObjectStore, type StoreOptions } from './store/objectStore.js';
import { prefetched } from './store/window.js';

/** One object with its content: what a manifest lists. */
export interface ObjectEntry {
  key: string;
  bytes: number;
  /** Hex digest of the bytes. */
  sha256: string;
}

/** One Parquet object: an {@link ObjectEntry} and its rows. */
export interface PartEntry extends ObjectEntry {
  rows: number;
}

/** A table of a run as it is handed to {@link putManifest}. */
export interface TableContent {
  table: string;
  /** Column types by name, as documented by the table's module. */
  schema: Readonly<Record<string, string>>;
  /** In any order. */
  parts?: Iterable<PartEntry> | AsyncIterable<PartEntry>;
  /**
   * Lists that {@link putPartList} has put already, instead of parts: of a table that has some for every page of a snapshot. In any order; the
   * parts of one do not reach into those of another.
   */
  lists?: readonly PartListEntry[];
}

/** A list of parts that is in the store: its own object, the rows of its parts, how many they are, and the key of the first. */
export interface PartListEntry extends PartEntry {
  parts: number;
  first: string;
}

/**
 * What a run is, by content only: no times, machines or costs, so that equal inputs have equal digests. Names of fields are
 * those of the JSON.
 */
export interface RunContent {
  /** Name of the run spec. */
  name: string;
  /** First 16 hex digits of the digest, as in paths. */
  snapshot: string;
  /** Digest (as in paths), method and parameters of the basis. */
  basis: Json;
  /** What went in, with digests: sources, models (card and ONNX digests, encoder version, provider, batch budget). */
  inputs: Json;
  /** Parameters of the run spec that decide results. */
  params: Json;
  /** Structures, atoms, quarantined rows, ... */
  counts: Json;
  /** Small objects that are no tables, e.g. `basis.json`. They never change under their key. */
  documents: readonly ObjectEntry[];
  tables: readonly TableContent[];
}

/** The root of a manifest tree as stored: its tables are objects of their own. */
export interface RunManifest extends Omit<RunContent, 'tables'> {
  kind: 'run';
  version: 1;
  tables: (PartEntry & { table: string; part_count: number })[];
}

/** A table node: its parts, or lists of them: a list a page, or where they are more than {@link MAX_PARTS_PER_LIST}. */
interface TableManifest {
  kind: 'table';
  version: 1;
  table: string;
  schema: Readonly<Record<string, string>>;
  rows: number;
  parts?: PartEntry[];
  part_lists?: PartEntry[];
}

interface PartListManifest {
  kind: 'parts';
  version: 1;
  table: string;
  parts: PartEntry[];
}

/** Parts in one object of a manifest tree; 10,000 entries are about 2 MB of JSON. */
export const MAX_PARTS_PER_LIST = 10_000;

/** Lists that are read while the parts of one are used. */
const LISTS_AHEAD = 4;

/** A manifest or a part of its tree is missing, damaged or no manifest. */
export class ManifestCorrupt extends Error {
  override readonly name = 'ManifestCorrupt';
}

/**
 * Puts a manifest tree, children first, the root last. Every node is named by the sha256 of its bytes and put only if absent,
 * so two runs of equal content meet at one digest, and a tree that broke off half-way is invisible.
 * @returns the digest of the root
 */
export async function putManifest(
  store: ObjectStore,
  run: RunContent,
  options: StoreOptions & { partsPerList?: number } = {},
): Promise<string> {
  return (await putManifestTree(store, run, options)).digest;
}

/** As {@link putManifest}. @returns also whether the root was not there before */
export async function putManifestTree(
  store: ObjectStore,
  run: RunContent,
  options: StoreOptions & { partsPerList?: number } = {},
): Promise<{ digest: string; written: boolean }> {
  const tables: RunManifest['tables'] = [];
  for (const content of [...run.tables].sort((a, b) => compareCodePoints(a.table, b.table))) {
    tables.push(await putTable(store, content, options.partsPerList ?? MAX_PARTS_PER_LIST, options));
  }
  const duplicate = tables.find((entry, i) => entry.table === tables[i + 1]?.table);
  if (duplicate) throw new RangeError(`datasets: the manifest of '${run.name}' lists table '${duplicate.table}' twice`);
  const documents = [...run.documents].sort((a, b) => compareCodePoints(a.key, b.key));
  const root: RunManifest = { kind: 'run', version: 1, ...run, documents, tables };
  const { sha256, written } = await putNode(store, root, options);
  return { digest: sha256, written };
}

/** Puts one list of parts, sorted by key, for a table that is given as lists. @throws RangeError where there are none */
export async function putPartList(
  store: ObjectStore,
  table: string,
  parts: readonly PartEntry[],
  options: StoreOptions = {},
): Promise<PartListEntry> {
  const sorted = inOrder(table, parts);
  if (sorted.length === 0) throw new RangeError(`datasets: a list of parts of table '${table}' is empty`);
  const list: PartListManifest = { kind: 'parts', version: 1, table, parts: sorted };
  const { key, bytes, sha256 } = await putNode(store, list, options);
  return { key, bytes, sha256, rows: rowsOf(sorted), parts: sorted.length, first: sorted[0].key };
}

async function putTable(
  store: ObjectStore,
  { table, schema, parts: given = [], lists: ready = [] }: TableContent,
  partsPerList: number,
  options: StoreOptions,
): Promise<RunManifest['tables'][number]> {
  const collected: PartEntry[] = [];
  for await (const part of given) collected.push(part);
  const parts = inOrder(table, collected);
  const lists = [...ready];
  if (parts.length > partsPerList || (lists.length > 0 && parts.length > 0))
    for (let at = 0; at < parts.length; at += partsPerList)
      lists.push(await putPartList(store, table, parts.slice(at, at + partsPerList), options));
  lists.sort((a, b) => compareCodePoints(a.first, b.first));
  const rows = lists.length > 0 ? rowsOf(lists) : rowsOf(parts);
  const node: TableManifest = { kind: 'table', version: 1, table, schema, rows };
  if (lists.length > 0)
    node.part_lists = lists.map(({ key, bytes, rows: inList, sha256 }) => ({ key, bytes, rows: inList, sha256 }));
  else node.parts = parts;
  const part_count = lists.length > 0 ? lists.reduce((sum, list) => sum + list.parts, 0) : parts.length;
  const { key, bytes, sha256 } = await putNode(store, node, options);
  return { key, bytes, sha256, table, rows, part_count };
}

/** Parts in order of their keys, without what else they may carry. @throws RangeError where two have one key */
function inOrder(table: string, parts: readonly PartEntry[]): PartEntry[] {
  const sorted = parts
    .map(({ key, bytes, rows, sha256 }) => ({ key, bytes, rows, sha256 }))
    .sort((a, b) => compareCodePoints(a.key, b.key));
  const twice = sorted.find(({ key }, i) => key === sorted[i + 1]?.key);
  if (twice) throw new RangeError(`datasets: table '${table}' lists '${twice.key}' twice`);
  return sorted;
}

/** Reads the root of a manifest tree, its digest checked. @throws {ManifestCorrupt} */
export async function readManifest(
  store: ObjectStore,
  digest: string,
  options: StoreOptions = {},
): Promise<RunManifest> {
  return (await readNode(store, { key: keys.manifest(digest), sha256: digest }, 'run', options)) as RunManifest;
}

/** Every part of one table of a manifest in order of keys; digests of the tree are checked on the way. @throws {ManifestCorrupt} */
export async function* manifestParts(
  store: ObjectStore,
  run: RunManifest,
  table: string,
  options: StoreOptions = {},
): AsyncIterable<PartEntry> {
  const entry = run.tables.find((candidate) => candidate.table === table);
  if (!entry) return;
  const node = (await readNode(store, entry, 'table', options)) as TableManifest;
  let last = '';
  const ascending = (part: PartEntry) => {
    if (last !== '' && compareCodePoints(last, part.key) >= 0)
      throw new ManifestCorrupt(`datasets: table '${table}' of '${run.name}' lists '${part.key}' after '${last}'`);
    last = part.key;
    return part;
  };
  for (const part of node.parts ?? []) yield ascending(part);
  const lists = prefetched(node.part_lists ?? [], LISTS_AHEAD, (list) => readNode(store, list, 'parts', options));
  for await (const list of lists) for (const part of (list as PartListManifest).parts) yield ascending(part);
}

/** Column types of a table of a manifest. @throws {ManifestCorrupt} where the run has no such table */
export async function manifestSchema(
  store: ObjectStore,
  run: RunManifest,
  table: string,
  options: StoreOptions = {},
): Promise<Readonly<Record<string, string>>> {
  const entry = run.tables.find((candidate) => candidate.table === table);
  if (!entry) throw new ManifestCorrupt(`datasets: the manifest of '${run.name}' has no table '${table}'`);
  return ((await readNode(store, entry, 'table', options)) as TableManifest).schema;
}

/** Roots of all manifest trees of a store, in order of their digests. Children and damaged objects are passed over. */
export async function* listManifests(
  store: ObjectStore,
  options: StoreOptions = {},
): AsyncIterable<{ digest: string; run: RunManifest }> {
  for await (const { key } of store.list(keys.MANIFESTS, options)) {
    const digest = /([0-9a-f]{64})\.json$/.exec(key)?.[1];
    if (digest === undefined) continue;
    const node: unknown = JSON.parse(Buffer.from(await store.get(key, options)).toString('utf8'));
    if (isNode(node, 'run')) yield { digest, run: node as RunManifest };
  }
}

/** Keys of the objects that hold a manifest tree: root, tables, part lists. */
export async function* manifestNodeKeys(
  store: ObjectStore,
  digest: string,
  run: RunManifest,
  options: StoreOptions = {},
): AsyncIterable<string> {
  for (const entry of run.tables) {
    const node = (await readNode(store, entry, 'table', options)) as TableManifest;
    for (const list of node.part_lists ?? []) yield list.key;
    yield entry.key;
  }
  yield keys.manifest(digest);
}

async function putNode(
  store: ObjectStore,
  node: RunManifest | TableManifest | PartListManifest,
  options: StoreOptions,
): Promise<ObjectEntry & { written: boolean }> {
  const bytes = canonicalJsonBytes(node);
  const sha256 = sha256Hex(bytes);
  const key = keys.manifest(sha256);
  const written = (await store.putIfAbsent(key, bytes, options)) === 'written';
  return { key, bytes: bytes.length, sha256, written };
}

async function readNode(
  store: ObjectStore,
  { key, sha256 }: { key: string; sha256: string },
  kind: 'run' | 'table' | 'parts',
  options: StoreOptions,
): Promise<unknown> {
  let bytes: Uint8Array;
  try {
    bytes = await store.get(key, options);
  } catch (error) {
    if (error instanceof ObjectNotFound)
      throw new ManifestCorrupt(`datasets: '${key}' is missing in ${store.url}`, { cause: error });
    throw error;
  }
  if (sha256Hex(bytes) !== sha256)
    throw new ManifestCorrupt(`datasets: '${key}' in ${store.url} does not have the digest in its name`);
  const node: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
  if (!isNode(node, kind))
    throw new ManifestCorrupt(`datasets: '${key}' in ${store.url} is no '${kind}' manifest of version 1`);
  return node;
}

function isNode(node: unknown, kind: string): boolean {
  const { kind: found, version } = (node ?? {}) as { kind?: unknown; version?: unknown };
  return found === kind && version === 1;
}

function rowsOf(parts: readonly PartEntry[]): number {
  return parts.reduce((sum, part) => sum + part.rows, 0);
}
