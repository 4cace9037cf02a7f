import { digestJson } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import type { AtypicalRow } from '../../datasets/tables/atypical.js';
import type { StoredAtomVectors } from '../../datasets/tables/atomVectors.js';
import { decodeCoordinates } from '../../datasets/tables/coordinates.js';
import { decodeEmbeddings } from '../../datasets/tables/embeddings.js';
import { percentile } from '../../latent/diagnostics/novelty.js';
import { shardParts } from '../project/projected.js';
import { OnceCache } from '../run/onceCache.js';
import type { PlannedRun } from '../run/openRun.js';
import { diagnosticStage, diagnosticTask, paramsOf, type TableRows } from './diagnostic.js';
import { diagnosticIndex, indexParameters, type DiagnosticIndex } from './diagnosticIndex.js';
import { pooledModel, pooledPart, type PooledModel } from './pool.js';

/** Version of the scores: raise it when the same vectors may give others. */
export const NOVELTY_VERSION = 1;

/** What scores of a model are measured against. */
interface NoveltyReference {
  /** Median novelty of the reference atoms: the unit. */
  unit: number;
  /** Sorted scores of the reference atoms: novelty in that unit, and cosine to the nearest anchor with its sign reversed. */
  novelty: Float64Array;
  anchor: Float64Array;
}

/** Models whose reference scores a process keeps. */
const KEPT = 64;
const references = new OnceCache<NoveltyReference>(KEPT, () => 1);

/** How far each atom and structure is from what a model knows: table `atypical`, one part a model and shard. */
export const noveltyStage = diagnosticStage({
  stage: 'novelty',
  version: NOVELTY_VERSION,
  async item(run, basis, item) {
    const { shards, snapshot } = run.snapshot;
    const [{ id: model }, shard] = [run.plan.models[Math.floor(item / shards)], item % shards];
    const { neighbours } = run.spec.diagnostics.atypical;
    const params = paramsOf({ ...indexParameters(run), neighbours });
    const [pooled, parts] = await Promise.all([pooledPart(run, model, basis), shardParts(run, model, basis, shard)]);
    const [embeddings, coordinates] = [parts.embeddings?.sha256 ?? null, parts.coordinates?.sha256 ?? null];
    return {
      inputs: { model, shard, pooled: pooled.sha256, embeddings, coordinates },
      params,
      partKey: (_, sha256) => keys.atypicalPart({ snapshot, basis, params }, model, shard, sha256),
      compute: () => compute(run, basis, model, shard),
    };
  },
});

/** The item of one shard of a model. */
export function noveltyTask(run: PlannedRun, basis: string, model: string, shard: number) {
  const at = run.plan.models.findIndex(({ id }) => id === model);
  return diagnosticTask(run, 'novelty', basis, at * run.snapshot.shards + shard);
}

async function compute(run: PlannedRun, basis: string, model: string, shard: number): Promise<TableRows> {
  const parts = await shardParts(run, model, basis, shard);
  if (!parts.embeddings || !parts.coordinates) return { atypical: [] };
  const [index, pool, embeddings, coordinates] = await Promise.all([
    diagnosticIndex(run),
    pooledModel(run, model, basis),
    run.get(parts.embeddings.key).then(decodeEmbeddings),
    run.get(parts.coordinates.key).then(decodeCoordinates),
  ]);
  const scorer = new Scorer(run, index, pool);
  const { sha256: pooled } = await pooledPart(run, model, basis);
  const { neighbours } = run.spec.diagnostics.atypical;
  const name = digestJson({ output: run.output, pooled, neighbours });
  const reference = await references.get(name, () => scorer.reference(), run.work.signal);
  const positions = new Map(index.structures.map(({ materialId }, position) => [materialId, position]));
  const groups = new Int32Array(embeddings.atomicNumbers.length);
  embeddings.materialIds.forEach((id, s) =>
    groups.fill(positions.get(id) ?? -1, embeddings.offsets[s], embeddings.offsets[s + 1]),
  );
  const scores = (await scorer.novelty(embeddings.vectors, groups)).map((value) => value / reference.unit);
  const cosines = nearestAnchor(coordinates.vectors, coordinates.dim);
  return { atypical: noveltyRows(embeddings, scores, cosines, reference) };
}

/** Scores atoms against the reference atoms of one model. */
class Scorer {
  constructor(
    private readonly run: PlannedRun,
    private readonly index: DiagnosticIndex,
    private readonly pool: PooledModel,
  ) {}

  /** Of each atom; @param groups position of its structure in the index, whose own atoms are no reference to it; -1 where it is not there */
  novelty(x: Float32Array, groups: Int32Array): Promise<Float64Array> {
    const { data: reference, columns: dim } = this.pool.referenceVectors.embeddings;
    const { neighbours } = this.run.spec.diagnostics.atypical;
    const referenceGroups = this.groups();
    return this.run.compute('novelty', { x, reference, dim, neighbours, groups, referenceGroups });
  }

  /** Of the reference atoms themselves. */
  async reference(): Promise<NoveltyReference> {
    const { embeddings, coordinates } = this.pool.referenceVectors;
    const own = (await this.novelty(embeddings.data, this.groups())).filter(Number.isFinite);
    const unit = own.sort()[own.length >> 1] || 1;
    const anchor = nearestAnchor(coordinates.data, coordinates.columns);
    return {
      unit,
      novelty: own.map((value) => value / unit),
      anchor: anchor.map((cosine) => -cosine).sort(),
    };
  }

  private groups(): Int32Array {
    return this.pool.reference.map((row) => this.index.reference[row].structure);
  }
}

/** Largest coordinate of every atom: the cosine to its nearest anchor. */
function nearestAnchor(coordinates: Float32Array, anchors: number): Float64Array {
  return Float64Array.from({ length: coordinates.length / anchors }, (_, row) =>
    coordinates.subarray(row * anchors, (row + 1) * anchors).reduce((a, b) => Math.max(a, b), -1),
  );
}

function noveltyRows(
  { materialIds, offsets, atomicNumbers }: StoredAtomVectors,
  scores: Float64Array,
  cosines: Float64Array,
  reference: NoveltyReference,
): AtypicalRow[] {
  const rows: AtypicalRow[] = [];
  materialIds.forEach((material_id, s) => {
    const [from, to] = [offsets[s], offsets[s + 1]];
    const row = (level: 'atom' | 'structure', atom: number | null, score: number, cosine: number): AtypicalRow => ({
      level,
      material_id,
      atom_index: atom,
      atomic_number: atom === null ? null : atomicNumbers[from + atom],
      disagreement: null,
      disagreement_percentile: null,
      // Infinite where the reference holds no other structure.
      novelty: Number.isFinite(score) ? score : null,
      novelty_percentile: Number.isFinite(score) ? percentile(reference.novelty, score) : null,
      anchor_cosine: cosine,
      anchor_percentile: percentile(reference.anchor, -cosine),
    });
    const mean = (values: Float64Array) =>
      values.subarray(from, to).reduce((sum, value) => sum + value, 0) / (to - from);
    rows.push(row('structure', null, mean(scores), mean(cosines)));
    for (let atom = 0; atom < to - from; atom++)
      rows.push(row('atom', atom, scores[from + atom], cosines[from + atom]));
  });
  return rows;
}
