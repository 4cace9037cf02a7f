import { readCatalog } from '../datasets/catalog.js';
import { canonicalJsonBytes } from '../datasets/canonicalJson.js';
import { sha256Hex } from '../datasets/digest.js';
import * as keys from '../datasets/keys.js';
import { manifestParts, readManifest, type PartEntry } from '../datasets/manifest.js';
import type { ObjectStore } from '../datasets/store/objectStore.js';
import { decodeEmbeddings, encodeEmbeddings } from '../datasets/tables/embeddings.js';
import type { AtomVectors } from '../datasets/tables/atomVectors.js';
import { fitLinearMap, mapError, type MapError } from '../latent/maps/linearMap.js';
import { matrix, type Matrix } from '../latent/base/matrix.js';
import { hashUnit } from '../latent/base/random.js';
import { applyMap } from '../latent/maps/anchorMaps.js';

/** Atoms that the map is fitted on, and judged by, at most. */
const MOST_FITTED = 8000;
const MOST_HELD_OUT = 4000;
/** Share of the structures that are held out. */
const HELD_OUT = 0.2;

/** A request to carry embeddings over cannot be met; the message says what there is. */
export class TranslationRefused extends Error {
  override readonly name = 'TranslationRefused';
}

/** What was written, and how far it can be trusted. */
export interface Translation extends MapError {
  run: string;
  from: string;
  to: string;
  /** Structures and atoms written. */
  structures: number;
  atoms: number;
  /** Atoms that the map was fitted on, and atoms of other structures that it was judged by. */
  fitted: number;
  held_out: number;
  /** Manifest of the embeddings that were read. */
  manifest: string;
}

/**
 * Carries the embeddings of one model into another's space: an affine map fitted on atoms that both embedded, judged on structures it
 * was not fitted on, then applied to every embedding of `from`, part by part. Writes `part-*.parquet` (the schema of table `embeddings`)
 * and `translation.json` to `target`.
 * @param run name of the run whose embeddings are meant; the only one by default
 * @throws TranslationRefused
 */
export async function translate(
  store: ObjectStore,
  target: ObjectStore,
  { from, to, run: asked, seed = 42 }: { from: string; to: string; run?: string | undefined; seed?: number },
): Promise<Translation> {
  const { runs } = await readCatalog(store);
  const names = Object.keys(runs).filter((name) => runs[name].manifest !== undefined);
  const run = asked ?? (names.length === 1 ? names[0] : undefined);
  const digest = run === undefined ? undefined : runs[run]?.manifest;
  if (run === undefined || digest === undefined)
    throw new TranslationRefused(
      `translate: ${asked ? `there is no run '${asked}'` : 'name a run'} in ${store.url}; it has ${names.join(', ') || 'none'}`,
    );
  const manifest = await readManifest(store, digest);
  const byModel = new Map<string, Map<number, PartEntry>>();
  for await (const part of manifestParts(store, manifest, 'embeddings')) {
    const model = /\/model=([^/]+)\//.exec(part.key)![1];
    byModel.set(model, (byModel.get(model) ?? new Map<number, PartEntry>()).set(keys.shardOf(part.key), part));
  }
  const [source, goal] = [from, to].map((model) => {
    const parts = byModel.get(model);
    if (!parts)
      throw new TranslationRefused(
        `translate: run '${run}' has no model '${model}'; it has ${[...byModel.keys()].join(', ')}`,
      );
    return parts;
  });
  const read = async ({ key }: PartEntry) => decodeEmbeddings(await store.get(key));

  // Shards in the order of their hashes, until there are atoms enough; structures decide what is held out.
  const rows = { fitted: new PairedRows(MOST_FITTED), heldOut: new PairedRows(MOST_HELD_OUT) };
  const shards = [...source.keys()].sort((a, b) => hashUnit(seed, 'shard', a) - hashUnit(seed, 'shard', b));
  for (const shard of shards) {
    const other = goal.get(shard);
    if (!other) continue;
    const [x, y] = [await read(source.get(shard)!), await read(other)];
    const at = new Map(y.materialIds.map((id, s) => [id, s]));
    x.materialIds.forEach((id, s) => {
      const match = at.get(id);
      if (match !== undefined)
        (hashUnit(seed, 'translate', id) < HELD_OUT ? rows.heldOut : rows.fitted).take(x, s, y, match);
    });
    if (rows.fitted.full && rows.heldOut.full) break;
  }
  if (rows.fitted.count < 4 || rows.fitted.structures < 2 || rows.heldOut.count === 0)
    throw new TranslationRefused(
      `translate: ${rows.fitted.count} atoms of ${rows.fitted.structures} structures to fit on and ${rows.heldOut.count} atoms held out; '${from}' and '${to}' need more structures in common`,
    );
  const [x, y] = rows.fitted.matrices();
  const [testX, testY] = rows.heldOut.matrices();
  const map = await fitLinearMap(x, y, rows.fitted.groups(seed));
  const error = mapError(applyMap(map, testX), testY);
  const translation: Translation = {
    run,
    from,
    to,
    structures: 0,
    atoms: 0,
    fitted: rows.fitted.count,
    held_out: rows.heldOut.count,
    ...error,
    manifest: digest,
  };
  for (const [shard, part] of [...source].sort(([a], [b]) => a - b)) {
    const atoms = await read(part);
    const carried = applyMap(map, matrix(atoms.vectors, atoms.atomicNumbers.length, atoms.dim));
    const bytes = encodeEmbeddings(
      { ...atoms, vectors: Float32Array.from(carried.data), dim: carried.columns },
      { model: to, translated_from: from, relative_error: String(error.relativeError), manifest: digest },
    );
    await target.put(keys.partName(shard, sha256Hex(bytes)), bytes);
    translation.structures += atoms.materialIds.length;
    translation.atoms += atoms.atomicNumbers.length;
  }
  await target.put('translation.json', canonicalJsonBytes({ ...translation }));
  return translation;
}

/** Rows of atoms that two models embedded, up to a bound. */
class PairedRows {
  count = 0;
  private readonly ids: string[] = [];
  private readonly atoms: number[] = [];
  private readonly x: Float32Array[] = [];
  private readonly y: Float32Array[] = [];

  constructor(private readonly most: number) {}

  get full(): boolean {
    return this.count >= this.most;
  }

  get structures(): number {
    return this.ids.length;
  }

  /** Takes the atoms of structure s of x and its match in y. */
  take(x: AtomVectors, s: number, y: AtomVectors, match: number): void {
    if (this.full) return;
    const atoms = x.offsets[s + 1] - x.offsets[s];
    const rowsOf = ({ vectors, offsets, dim }: AtomVectors, at: number) =>
      vectors.slice(offsets[at] * dim, offsets[at + 1] * dim);
    this.ids.push(x.materialIds[s]);
    this.atoms.push(atoms);
    this.x.push(rowsOf(x, s));
    this.y.push(rowsOf(y, match));
    this.count += atoms;
  }

  /** Structure of each row, numbered at random. */
  groups(seed: number): Int32Array {
    const order = this.ids.map((id, structure) => ({ structure, rank: hashUnit(seed, 'half', id) }));
    order.sort((a, b) => a.rank - b.rank);
    const numbers = new Int32Array(this.structures);
    order.forEach(({ structure }, number) => (numbers[structure] = number));
    return Int32Array.from(this.atoms.flatMap((atoms, structure) => Array<number>(atoms).fill(numbers[structure])));
  }

  matrices(): [Matrix<Float32Array>, Matrix<Float32Array>] {
    const joined = (parts: Float32Array[]) => {
      const data = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
      let at = 0;
      for (const part of parts) {
        data.set(part, at);
        at += part.length;
      }
      return matrix(data, this.count, data.length / this.count);
    };
    return [joined(this.x), joined(this.y)];
  }
}
