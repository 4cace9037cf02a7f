import { compareCodePoints } from '../../text/codePoints.js';
import { digestJson } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import { atypicalTable, type AtypicalRow } from '../../datasets/tables/atypical.js';
import type { StoredAtomVectors } from '../../datasets/tables/atomVectors.js';
import { decodeCoordinates } from '../../datasets/tables/coordinates.js';
import { decodeEmbeddings } from '../../datasets/tables/embeddings.js';
import { disagreement, type Opinion } from '../../latent/diagnostics/disagreement.js';
import { columnScale, type ColumnScale } from '../../latent/statistics/columnScale.js';
import { matrix, takeRows } from '../../latent/base/matrix.js';
import { percentile } from '../../latent/diagnostics/novelty.js';
import { diagnosticParts, paramsOf, type Diagnostic, type DiagnosticItem, type DiagnosticTask } from './diagnostic.js';
import { indexParameters, type DiagnosticIndices } from './diagnosticIndex.js';
import type { PlanDocument, PlannedModel } from '../run/documents.js';
import { OnceCache } from '../run/onceCache.js';
import type { PooledModel, Pools } from './pool.js';
import { modelParts } from '../project/project.js';
import type { Runs } from '../run/runs.js';

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

/** How far each atom and structure is from what a model knows: table `atypical`, one part a model and shard. */
export function noveltyDiagnostic(runs: Runs, indices: DiagnosticIndices, pools: Pools): Diagnostic {
  const references = new OnceCache<NoveltyReference>(KEPT, () => 1);
  return {
    stage: 'novelty',
    version: 1,
    items: ({ spec, models, snapshot }) => (spec.diagnostics.atypical.enabled ? models.length * snapshot.shards : 0),
    item: async (task): Promise<DiagnosticItem> => {
      const { run, plan, basis, work } = task;
      const { shards } = plan.snapshot;
      const [{ id: model }, shard] = [plan.models[Math.floor(task.item / shards)], task.item % shards];
      const { neighbours } = plan.spec.diagnostics.atypical;
      const params = paramsOf({ ...indexParameters(plan), neighbours });
      const pooled = await pooledPart(pools, task, model);
      const { raw, projected } = await shardOfModel(runs, task, model, shard);
      return {
        inputs: { model, shard, pooled, raw: raw?.sha256 ?? null, projected: projected?.sha256 ?? null },
        params,
        partKey: partOf(plan, basis, params, model, shard),
        async compute() {
          if (!raw || !projected) return { atypical: [] };
          const index = await indices.of(run, plan, work);
          const pool = await pools.of(run, plan, basis, model, work);
          const embeddings = decodeEmbeddings(await runs.store(run).get(raw.key, work));
          const coordinates = decodeCoordinates(await runs.store(run).get(projected.key, work));
          const positions = new Map(index.structures.map(({ materialId }, position) => [materialId, position]));
          const referenceGroups = Int32Array.from(pool.reference, (row) => index.reference[row].structure);
          const score = (vectors: Float32Array, groups: Int32Array) => {
            const { data, columns } = pool.referenceVectors.embeddings;
            const call = { x: vectors, reference: data, dim: columns, neighbours, groups, referenceGroups };
            return runs.deps.compute.call('novelty', call, { signal: work.signal });
          };
          const reference = await references.get(
            digestJson({ output: run.output, pooled, neighbours }),
            async () => {
              const own = (await score(pool.referenceVectors.embeddings.data, referenceGroups)).filter(Number.isFinite);
              const unit = own.sort()[own.length >> 1] || 1;
              const anchor = nearestAnchor(
                pool.referenceVectors.coordinates.data,
                pool.referenceVectors.coordinates.columns,
              );
              return {
                unit,
                novelty: own.map((value) => value / unit),
                anchor: anchor.map((cosine) => -cosine).sort(),
              };
            },
            work.signal,
          );
          const groups = new Int32Array(embeddings.atomicNumbers.length);
          embeddings.materialIds.forEach((id, s) =>
            groups.fill(positions.get(id) ?? -1, embeddings.offsets[s], embeddings.offsets[s + 1]),
          );
          const scores = (await score(embeddings.vectors, groups)).map((value) => value / reference.unit);
          const cosines = nearestAnchor(coordinates.vectors, coordinates.dim);
          return { atypical: noveltyRows(embeddings, scores, cosines, reference) };
        },
      };
    },
  };
}

/** What all models say of each atom and structure together: table `atypical`, folder `model=all`, one part a shard. */
export function atypicalDiagnostic(runs: Runs, indices: DiagnosticIndices, pools: Pools): Diagnostic {
  const novelty = noveltyDiagnostic(runs, indices, pools);
  const references = new OnceCache<{ scales: Map<string, ColumnScale>; sorted: Float64Array }>(2, () => 1);
  return {
    stage: 'atypical',
    version: 1,
    items: ({ spec, snapshot }) => (spec.diagnostics.atypical.enabled ? snapshot.shards : 0),
    item: async (task): Promise<DiagnosticItem> => {
      const { run, plan, basis, item: shard, work } = task;
      const models = voters(plan.models);
      const { neighbours } = plan.spec.diagnostics.atypical;
      const votes = models.map(({ id, lineage }) => ({ id, lineage }));
      const params = paramsOf({ ...indexParameters(plan), neighbours, votes });
      const pooled: string[] = [];
      for (const { id } of models) pooled.push(await pooledPart(pools, task, id));
      const parts = await Promise.all(models.map(({ id }) => shardOfModel(runs, task, id, shard)));
      return {
        inputs: {
          votes,
          shard,
          pooled,
          parts: parts.map(({ raw, projected }) => [raw?.sha256, projected?.sha256].map((sha) => sha ?? null)),
        },
        params,
        partKey: partOf(plan, basis, params, keys.ALL_MODELS, shard),
        async compute() {
          const all: PooledModel[] = [];
          for (const { id } of models) all.push(await pools.of(run, plan, basis, id, work));
          const { scales, sorted } = await references.get(
            digestJson({ output: run.output, pooled, votes }),
            () => Promise.resolve(referenceDisagreement(models, all)),
            work.signal,
          );
          const opinions: { model: PlannedModel; atoms: StoredAtomVectors; at: Map<string, number> }[] = [];
          for (const [m, { projected }] of parts.entries()) {
            if (!projected) continue;
            const atoms = decodeCoordinates(await runs.store(run).get(projected.key, work));
            opinions.push({ model: models[m], atoms, at: new Map(atoms.materialIds.map((id, s) => [id, s])) });
          }
          const percentiles = await noveltyPercentiles(runs, novelty, task, models);
          const ids = [...new Set(opinions.flatMap(({ atoms }) => atoms.materialIds))].sort(compareCodePoints);
          const rows: AtypicalRow[] = [];
          for (const id of ids) {
            const here = opinions.flatMap(({ model, atoms, at }) => {
              const s = at.get(id);
              if (s === undefined) return [];
              const [from, to] = [atoms.offsets[s], atoms.offsets[s + 1]];
              const coordinates = matrix(
                atoms.vectors.subarray(from * atoms.dim, to * atoms.dim),
                to - from,
                atoms.dim,
              );
              const opinion: Opinion = { coordinates, lineage: model.lineage, ...scales.get(model.id)! };
              return [{ opinion, atomicNumbers: atoms.atomicNumbers.subarray(from, to) }];
            });
            const scores = disagreement(here.map(({ opinion }) => opinion));
            const row = (level: 'atom' | 'structure', atom: number | null, value: number | null): AtypicalRow => ({
              level,
              material_id: id,
              atom_index: atom,
              atomic_number: atom === null ? null : here[0].atomicNumbers[atom],
              disagreement: value,
              disagreement_percentile: value === null ? null : percentile(sorted, value),
              novelty: null,
              anchor_cosine: null,
              ...(percentiles.get(`${id}\n${atom}`) ?? { novelty_percentile: null, anchor_percentile: null }),
            });
            const average = scores && scores.reduce((sum, value) => sum + value, 0) / scores.length;
            rows.push(row('structure', null, average ?? null));
            for (let atom = 0; atom < here[0].atomicNumbers.length; atom++)
              rows.push(row('atom', atom, scores?.[atom] ?? null));
          }
          return { atypical: rows };
        },
      };
    },
  };
}

/** Models whose disagreement counts: those that are no controls, unless that leaves fewer than two lineages. */
function voters(models: readonly PlannedModel[]): readonly PlannedModel[] {
  const trained = models.filter(({ control }) => control === null);
  return new Set(trained.map(({ lineage }) => lineage)).size >= 2 ? trained : models;
}

/** Digest of what was pooled of a model; null before: then nothing that needs it was computed either. */
async function pooledPart(pools: Pools, { run, plan, basis, work }: DiagnosticTask, model: string) {
  return (await pools.find(run, plan, basis, model, work))?.sha256 ?? '';
}

/** The parts of one shard of a model; undefined where it embedded nothing of it. */
async function shardOfModel(runs: Runs, { run, basis, work }: DiagnosticTask, model: string, shard: number) {
  const parts = await modelParts(runs, run, basis, model, work);
  const ofShard = (list: readonly { key: string; sha256: string }[]) =>
    list.find(({ key }) => keys.shardOf(key) === shard);
  return { raw: ofShard(parts.embeddings), projected: ofShard(parts.coordinates) };
}

function partOf({ snapshot: { snapshot } }: PlanDocument, basis: string, params: string, model: string, shard: number) {
  return (_table: string, sha256: string) => keys.atypicalPart({ snapshot, basis, params }, model, shard, sha256);
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

/** Scales of every model from its reference atoms, and the sorted disagreement over those that all models have. */
function referenceDisagreement(models: readonly PlannedModel[], pools: readonly PooledModel[]) {
  const scales = new Map(models.map(({ id }, m) => [id, columnScale(pools[m].referenceVectors.coordinates)]));
  const shared = Array.from(pools[0].reference).filter((row) =>
    pools.every(({ reference }) => reference.includes(row)),
  );
  const opinions = models.map(({ id, lineage }, m): Opinion => {
    const at = new Map(Array.from(pools[m].reference, (row, position) => [row, position]));
    const rows = shared.map((row) => at.get(row)!);
    return { coordinates: takeRows(pools[m].referenceVectors.coordinates, rows), lineage, ...scales.get(id)! };
  });
  return { scales, sorted: disagreement(opinions)?.sort() ?? new Float64Array(0) };
}

/** Percentiles of novelty and anchors by `<material id>\n<atom>`, a vote for each lineage. */
async function noveltyPercentiles(
  runs: Runs,
  novelty: Diagnostic,
  task: DiagnosticTask,
  models: readonly PlannedModel[],
): Promise<Map<string, { novelty_percentile: number | null; anchor_percentile: number | null }>> {
  const { plan, item: shard, run, work } = task;
  const columns = ['novelty_percentile', 'anchor_percentile'] as const;
  const votes = new Map<string, Map<string, { sums: number[]; counts: number[] }>>();
  for (const { id, lineage } of models) {
    const item = plan.models.findIndex((model) => model.id === id) * plan.snapshot.shards + shard;
    const part = (await diagnosticParts(runs, novelty, { ...task, item }))?.['atypical'];
    if (!part) throw new Error(`activities: novelty of ${id}, shard ${shard} is missing`);
    for (const row of (await atypicalTable.decode(await runs.store(run).get(part.key, work))).rows) {
      const name = `${row.material_id}\n${row.atom_index}`;
      const byLineage = votes.get(name) ?? new Map<string, { sums: number[]; counts: number[] }>();
      votes.set(name, byLineage);
      const vote = byLineage.get(lineage) ?? { sums: [0, 0], counts: [0, 0] };
      byLineage.set(lineage, vote);
      columns.forEach((column, c) => {
        const value = row[column];
        if (value === null) return;
        vote.sums[c] += value;
        vote.counts[c]++;
      });
    }
  }
  const means = new Map<string, { novelty_percentile: number | null; anchor_percentile: number | null }>();
  for (const [name, byLineage] of votes) {
    const [novel, anchor] = columns.map((_, c) => {
      const given = [...byLineage.values()].filter(({ counts }) => counts[c] > 0);
      return given.length === 0
        ? null
        : given.reduce((sum, { sums, counts }) => sum + sums[c] / counts[c], 0) / given.length;
    });
    means.set(name, { novelty_percentile: novel, anchor_percentile: anchor });
  }
  return means;
}
