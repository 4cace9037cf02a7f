import { digestJson } from '../../datasets/digest.js';
import type { PartEntry } from '../../datasets/manifest.js';
import { offsetsOfCounts, type AtomVectors } from '../../datasets/tables/atomVectors.js';
import { decodeEmbeddings } from '../../datasets/tables/embeddings.js';
import { decodeStructures } from '../../datasets/tables/structures.js';
import { embeddedPage, embeddedShard } from '../embed/embedded.js';
import type { PlannedRun } from '../run/openRun.js';
import { isFrom } from '../snapshot/sourceFiles.js';
import { referenceModel } from './namedBasis.js';

/** The reference model's part of a shard; `key` stands in receipts for its rows that a basis is fitted on, also when there are none. */
export async function referencePart(run: PlannedRun, shard: number): Promise<{ part: PartEntry | null; key: string }> {
  const part = await embeddedShard(run, referenceModel(run.spec), shard);
  const embeddings = part?.sha256 ?? `empty:${shard}`;
  const { sources } = run.spec.basis;
  if (sources.length === 0) return { part, key: embeddings };
  const { sha256: structures } = await run.shard(shard);
  return { part, key: digestJson({ embeddings, structures, sources }) };
}

/** The reference model's rows of a shard that are of `basis.sources`, but for excluded structures; undefined where there are none. */
export async function referenceRows(
  run: PlannedRun,
  shard: number,
  excluded: ReadonlySet<string> = new Set(),
): Promise<AtomVectors | undefined> {
  const { part } = await referencePart(run, shard);
  if (!part) return undefined;
  const [elsewhere, bytes] = await Promise.all([ofOtherSources(run, shard), run.get(part.key)]);
  const kept = without(decodeEmbeddings(bytes), (id) => excluded.has(id) || elsewhere.has(id));
  return kept.materialIds.length > 0 ? kept : undefined;
}

/** Structures of a page that some model of the run quarantined: they must not become anchors. */
export function quarantined(run: PlannedRun, page: number): Promise<ReadonlySet<string>> {
  return run.once(`quarantined\n${page}`, async () => {
    const pages = await run.many(run.plan.models, ({ id }) => embeddedPage(run, id, page));
    return new Set(pages.flatMap(({ quarantine }) => quarantine.map(({ material_id }) => material_id)));
  });
}

/** Structures of a shard that `basis.sources` leaves out. */
async function ofOtherSources(run: PlannedRun, item: number): Promise<Set<string>> {
  const { sources } = run.spec.basis;
  if (sources.length === 0) return new Set();
  const structures = decodeStructures(await run.get((await run.shard(item)).key));
  return new Set(structures.filter(({ source }) => !isFrom(source, sources)).map(({ materialId }) => materialId));
}

/** The rows of structures that are not excluded. */
function without(rows: AtomVectors, excluded: (materialId: string) => boolean): AtomVectors {
  const { dim } = rows;
  const kept = rows.materialIds.map((_, s) => s).filter((s) => !excluded(rows.materialIds[s]));
  if (kept.length === rows.materialIds.length) return rows;
  const offsets = offsetsOfCounts(kept.map((s) => rows.offsets[s + 1] - rows.offsets[s]));
  const vectors = new Float32Array(offsets[kept.length] * dim);
  const atomicNumbers = new Int32Array(offsets[kept.length]);
  kept.forEach((s, i) => {
    const [from, to] = [rows.offsets[s], rows.offsets[s + 1]];
    vectors.set(rows.vectors.subarray(from * dim, to * dim), offsets[i] * dim);
    atomicNumbers.set(rows.atomicNumbers.subarray(from, to), offsets[i]);
  });
  return { materialIds: kept.map((s) => rows.materialIds[s]), offsets, atomicNumbers, vectors, dim };
}
