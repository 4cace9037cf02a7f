import { digestJson } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import type { PartEntry } from '../../datasets/manifest.js';
import { findReceipt, writeReceipt } from '../../datasets/receipts.js';
import { decodeCoordinates } from '../../datasets/tables/coordinates.js';
import { decodeEmbeddings } from '../../datasets/tables/embeddings.js';
import { diagnosticIndex } from '../diagnostics/diagnosticIndex.js';
import { plannedDiagnostics } from '../diagnostics/planned.js';
import { PoolPiece } from '../diagnostics/pooling.js';
import { embedStage } from '../embed/embed.js';
import { modelInBasis, projectedPage, shardParts } from '../project/projected.js';
import { itemMade, type Computed, type ItemStage } from '../run/itemStage.js';
import type { CacheKind, PlannedRun } from '../run/openRun.js';
import { decodeArrays, encodeArrays } from '../run/typedArrays.js';
import { candidatesOf, type Candidates } from './candidates.js';

/** Raise it when the same page may give other vectors or sums. */
const GATHER_VERSION = 1;
/** Gathered vectors kept in memory, in bytes. */
const VECTOR_BYTES = 256 * 2 ** 20;

/** What gathering from one page of a model left behind; nulls where nothing there is looked at. */
interface GatherReceipt {
  outputs: {
    /** Vectors of the candidates of pairs: {@link PageVectors}. */
    vectors: PartEntry | null;
    /** What diagnostics look at, see `diagnostics/pooling.ts`. */
    pool: PartEntry | null;
  };
}

/** Of the candidates of a page in order. */
interface PageVectors extends Record<string, Int32Array<ArrayBuffer> | Float32Array<ArrayBuffer>> {
  /** Row of each candidate among those that the model embedded; -1 where it refused the structure. */
  rows: Int32Array<ArrayBuffer>;
  coordinates: Float32Array<ArrayBuffer>;
  embeddings: Float32Array<ArrayBuffer>;
}

/** Vectors of a model at the candidates of a run: of those that it embedded. */
export interface GatheredVectors {
  /** Row of each candidate; -1 where the model refused the structure. */
  rows: Int32Array;
  coordinates: { vectors: Float32Array<ArrayBuffer>; dim: number };
  embeddings: { vectors: Float32Array<ArrayBuffer>; dim: number };
}

/** The gather stage: one pass over a page of a model takes everything that pairs and diagnostics look at. */
export const gatherStage: ItemStage<'gather', GatherReceipt> = {
  stage: 'gather',
  key: async (run, { model, basis, item }) =>
    gatherKey(run, model, basis, item, await candidatesOf(run), await indexFor(run)),
  compute: async (run, { model, basis, item }) =>
    gather(run, model, basis, item, await candidatesOf(run), await indexFor(run)),
};

/** What the diagnostics of a run look at; null where all of them are switched off. */
async function indexFor(run: PlannedRun) {
  return plannedDiagnostics(run.plan).length > 0 ? diagnosticIndex(run) : null;
}
type Index = Awaited<ReturnType<typeof indexFor>>;

const GATHERED: CacheKind<GatheredVectors> = {
  kind: 'gathered vectors',
  room: VECTOR_BYTES,
  sizeOf: ({ coordinates, embeddings }) => coordinates.vectors.byteLength + embeddings.vectors.byteLength,
};

/** Vectors of a model at the candidates, from all pages. */
export async function gatheredVectors(
  run: PlannedRun,
  model: string,
  basis: string,
  candidates: Candidates,
): Promise<GatheredVectors> {
  const { digest } = await modelInBasis(run, model, basis);
  return run.cached(GATHERED, `${digest}\n${candidates.digest}`, () => joinPages(run, model, basis, candidates));
}

/** What was pooled of a model for diagnostics, page after page. */
export function pooledPieces(run: PlannedRun, model: string, basis: string): AsyncIterable<Uint8Array | null> {
  return run.ahead(run.snapshot.pages.keys(), async (page) => {
    const { pool } = (await itemMade(gatherStage, run, { stage: 'gather', run: run.ref, model, basis, item: page }))
      .outputs;
    return pool && run.get(pool.key);
  });
}

async function joinPages(
  run: PlannedRun,
  model: string,
  basis: string,
  candidates: Candidates,
): Promise<GatheredVectors> {
  const index = await indexFor(run);
  const pages = await run.many(run.snapshot.pages.keys(), async (page) => {
    const key = await gatherKey(run, model, basis, page, candidates, index);
    const known = await findReceipt<GatherReceipt>(run.store, 'gather', key, run.work);
    const made = known ?? (await gather(run, model, basis, page, candidates, index)).made;
    if (!known) await writeReceipt(run.store, 'gather', key, made, run.work);
    return made.outputs.vectors && decodeArrays<PageVectors>(await run.get(made.outputs.vectors.key));
  });
  const rows = new Int32Array(candidates.atoms.length);
  let [at, next] = [0, 0];
  for (const page of pages) {
    if (!page) continue;
    for (const row of page.rows) rows[at++] = row < 0 ? -1 : next++;
  }
  const joined = (space: 'coordinates' | 'embeddings') => {
    const parts = pages.flatMap((page) => (page ? [page[space]] : []));
    const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
    let offset = 0;
    for (const part of parts) {
      all.set(part, offset);
      offset += part.length;
    }
    return { vectors: all, dim: next > 0 ? all.length / next : 1 };
  };
  return { rows, coordinates: joined('coordinates'), embeddings: joined('embeddings') };
}

/** The candidates in a page: positions [from, to). */
function within(run: PlannedRun, page: number, { shards }: Candidates): [from: number, to: number] {
  const { start, shards: count } = run.page(page);
  const first = shards.findIndex((shard) => shard >= start);
  if (first < 0) return [shards.length, shards.length];
  const end = shards.findIndex((shard) => shard >= start + count);
  return [first, end < 0 ? shards.length : end];
}

async function gatherKey(
  run: PlannedRun,
  model: string,
  basis: string,
  page: number,
  candidates: Candidates,
  index: Index,
): Promise<string> {
  const { digest } = await projectedPage(run, model, basis, page);
  const [from, to] = within(run, page, candidates);
  return digestJson({
    version: GATHER_VERSION,
    page: digest,
    atoms: candidates.atoms.slice(from, to).map(({ materialId, atomIndex }) => [materialId, atomIndex]),
    index: index && new PoolPiece(index, run.page(page)).digest,
  });
}

async function gather(
  run: PlannedRun,
  model: string,
  basis: string,
  page: number,
  candidates: Candidates,
  index: Index,
): Promise<Computed<GatherReceipt>> {
  const [from, to] = within(run, page, candidates);
  const piece = index && new PoolPiece(index, run.page(page));
  const byShard = new Map<number, number[]>();
  for (let atom = from; atom < to; atom++) {
    const shard = candidates.shards[atom];
    byShard.set(shard, [...(byShard.get(shard) ?? []), atom]);
  }
  const wanted = [...new Set([...byShard.keys(), ...(piece?.shards ?? [])])].sort((a, b) => a - b);
  const taken = new Map<number, Record<'coordinates' | 'embeddings', Float32Array>>();
  const read = async (shard: number) => {
    const parts = await shardParts(run, model, basis, shard);
    if (!parts.embeddings || !parts.coordinates) return null; // the model embedded nothing of this shard
    const [raw, coordinates] = await Promise.all([
      run.get(parts.embeddings.key).then(decodeEmbeddings),
      run.get(parts.coordinates.key).then(decodeCoordinates),
    ]);
    return { shard, raw, coordinates };
  };
  for await (const decoded of run.ahead(wanted, read)) {
    if (!decoded) continue;
    const { shard, raw, coordinates } = decoded;
    if (piece?.shards.has(shard)) {
      const task = { stage: 'embed', run: run.ref, model, item: shard } as const;
      piece.add(shard, raw, coordinates, (await itemMade(embedStage, run, task)).energies);
    }
    const at = new Map(raw.materialIds.map((id, s) => [id, s]));
    for (const atom of byShard.get(shard) ?? []) {
      const { materialId, atomIndex } = candidates.atoms[atom];
      const structure = at.get(materialId);
      if (structure === undefined) continue;
      const row = raw.offsets[structure] + atomIndex;
      taken.set(atom, {
        coordinates: coordinates.vectors.slice(row * coordinates.dim, (row + 1) * coordinates.dim),
        embeddings: raw.vectors.slice(row * raw.dim, (row + 1) * raw.dim),
      });
    }
    run.work.beat({ shard });
  }
  let next = 0;
  const rows = Int32Array.from({ length: to - from }, (_, i) => (taken.has(from + i) ? next++ : -1));
  const ofSpace = (space: 'coordinates' | 'embeddings') => {
    const parts = [...taken].sort(([a], [b]) => a - b).map(([, spaces]) => spaces[space]);
    const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
    parts.forEach((part, i) => all.set(part, i * part.length));
    return all;
  };
  const page_ = { rows, coordinates: ofSpace('coordinates'), embeddings: ofSpace('embeddings') };
  const [ofCandidates, pool] = await Promise.all([
    rows.length > 0 ? run.putPart(keys.gathered, encodeArrays(page_), next) : null,
    piece && piece.shards.size > 0 ? run.putPart(keys.gathered, piece.encode(), 1) : null,
  ]);
  return { made: { outputs: { vectors: ofCandidates, pool } } };
}
