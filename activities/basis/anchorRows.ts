import { digestJson } from '../../datasets/digest.js';
import type { PartEntry } from '../../datasets/manifest.js';
import { offsetsOfCounts, type AtomVectors } from '../../datasets/tables/atomVectors.js';
import { decodeEmbeddings } from '../../datasets/tables/embeddings.js';
import { decodeStructures } from '../../datasets/tables/structures.js';
import type { ItemTask, PlanDocument, RunRef } from '../run/documents.js';
import { embedReceipt } from '../embed/embed.js';
import type { Work } from '../engine/heartbeat.js';
import { referenceModel } from './namedBasis.js';
import type { Runs } from '../run/runs.js';
import { isFrom } from '../snapshot/sourceFiles.js';

type ShardTask = Pick<ItemTask, 'run' | 'item'>;

/** The reference model's part of a shard; `key` stands in receipts for its rows that a basis is fitted on, also when there are none. */
export async function referencePart(
  runs: Runs,
  { run, item }: ShardTask,
  work: Work,
): Promise<{ part: PartEntry | null; key: string }> {
  const plan = await runs.plan(run);
  const { outputs } = await embedReceipt(runs, run, plan, referenceModel(plan.spec), item, work);
  const embeddings = outputs.embeddings?.sha256 ?? `empty:${item}`;
  const { sources } = plan.spec.basis;
  if (sources.length === 0) return { part: outputs.embeddings, key: embeddings };
  const { sha256: structures } = await runs.shard(run, plan.snapshot.snapshot, item);
  return { part: outputs.embeddings, key: digestJson({ embeddings, structures, sources }) };
}

/** The reference model's rows of a shard that are of `basis.sources`, but for excluded structures; undefined where there are none. */
export async function referenceRows(
  runs: Runs,
  task: ShardTask,
  work: Work,
  excluded: ReadonlySet<string> = new Set(),
): Promise<AtomVectors | undefined> {
  const { part } = await referencePart(runs, task, work);
  if (!part) return undefined;
  const elsewhere = await ofOtherSources(runs, task, work);
  const rows = decodeEmbeddings(await runs.store(task.run).get(part.key, work));
  const kept = without(rows, (id) => excluded.has(id) || elsewhere.has(id));
  return kept.materialIds.length > 0 ? kept : undefined;
}

/** The rows of all shards from which anchors are chosen, shard by shard: of structures that every model embedded. */
export async function* usableRows(
  runs: Runs,
  run: RunRef,
  plan: PlanDocument,
  work: Work,
): AsyncGenerator<AtomVectors> {
  for (let item = 0; item < plan.snapshot.shards; item++) {
    const rows = await referenceRows(runs, { run, item }, work, await quarantined(runs, { run, item }, work));
    if (rows) yield rows;
    work.beat({ shard: item });
  }
}

/** Structures of a shard that some model of the run quarantined: they must not become anchors. */
export async function quarantined(runs: Runs, { run, item }: ShardTask, work: Work): Promise<Set<string>> {
  const plan = await runs.plan(run);
  const ids = new Set<string>();
  for (const { id } of plan.models)
    for (const row of (await embedReceipt(runs, run, plan, id, item, work)).quarantine) ids.add(row.material_id);
  return ids;
}

/** Structures of a shard that `basis.sources` leaves out. */
async function ofOtherSources(runs: Runs, { run, item }: ShardTask, work: Work): Promise<Set<string>> {
  const { spec, snapshot } = await runs.plan(run);
  const { sources } = spec.basis;
  if (sources.length === 0) return new Set();
  const shard = await runs.shard(run, snapshot.snapshot, item);
  const structures = decodeStructures(await runs.store(run).get(shard.key, work));
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
