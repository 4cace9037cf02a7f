import { compareCodePoints } from '../../text/codePoints.js';
import { digestJson } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import { atypicalTable, type AtypicalRow } from '../../datasets/tables/atypical.js';
import { decodeCoordinates } from '../../datasets/tables/coordinates.js';
import { disagreement, type Opinion } from '../../latent/diagnostics/disagreement.js';
import { columnScale, type ColumnScale } from '../../latent/statistics/columnScale.js';
import { matrix, takeRows } from '../../latent/base/matrix.js';
import { percentile } from '../../latent/diagnostics/novelty.js';
import { shardParts } from '../project/projected.js';
import type { PlannedModel } from '../run/documents.js';
import { itemMade } from '../run/itemStage.js';
import { OnceCache } from '../run/onceCache.js';
import type { PlannedRun } from '../run/openRun.js';
import { diagnosticStage, diagnosticTask, paramsOf, type TableRows } from './diagnostic.js';
import { indexParameters } from './diagnosticIndex.js';
import { noveltyStage, noveltyTask } from './novelty.js';
import { pooledModel, pooledPart, type PooledModel } from './pool.js';

/** Version of the scores: raise it when the same vectors may give others. */
export const ATYPICAL_VERSION = 1;

/** What all models say of each atom and structure together: table `atypical`, folder `model=all`, one part a shard. */
export const atypicalStage = diagnosticStage({
  stage: 'atypical',
  version: ATYPICAL_VERSION,
  async item(run, basis, shard) {
    const models = voters(run.plan.models);
    const { snapshot } = run.snapshot;
    const { neighbours } = run.spec.diagnostics.atypical;
    const votes = models.map(({ id, lineage }) => ({ id, lineage }));
    const params = paramsOf({ ...indexParameters(run), neighbours, votes });
    const [pooled, parts] = await Promise.all([
      Promise.all(models.map(({ id }) => pooledPart(run, id, basis))),
      Promise.all(models.map(({ id }) => shardParts(run, id, basis, shard))),
    ]);
    return {
      inputs: {
        votes,
        shard,
        pooled: pooled.map(({ sha256 }) => sha256),
        parts: parts.map((part) => [part.embeddings?.sha256 ?? null, part.coordinates?.sha256 ?? null]),
      },
      params,
      partKey: (_, sha256) => keys.atypicalPart({ snapshot, basis, params }, keys.ALL_MODELS, shard, sha256),
      compute: () => compute(run, basis, models, shard),
    };
  },
});

/** The item of one shard. */
export function atypicalTask(run: PlannedRun, basis: string, shard: number) {
  return diagnosticTask(run, 'atypical', basis, shard);
}

/** Models whose disagreement counts: those that are no controls, unless that leaves fewer than two lineages. */
function voters(models: readonly PlannedModel[]): readonly PlannedModel[] {
  const trained = models.filter(({ control }) => control === null);
  return new Set(trained.map(({ lineage }) => lineage)).size >= 2 ? trained : models;
}

async function compute(
  run: PlannedRun,
  basis: string,
  models: readonly PlannedModel[],
  shard: number,
): Promise<TableRows> {
  const [{ scales, sorted }, clouds, percentiles] = await Promise.all([
    referenceDisagreement(run, basis, models),
    run.many(models, async ({ id }) => {
      const { coordinates } = await shardParts(run, id, basis, shard);
      return coordinates && decodeCoordinates(await run.get(coordinates.key));
    }),
    noveltyPercentiles(run, basis, models, shard),
  ]);
  const embedded = clouds.flatMap((atoms, m) => {
    if (!atoms) return []; // the model embedded nothing of this shard
    const { id, lineage } = models[m];
    return [{ atoms, at: new Map(atoms.materialIds.map((name, s) => [name, s])), lineage, scale: scales.get(id)! }];
  });
  const ids = [...new Set(embedded.flatMap(({ atoms }) => atoms.materialIds))].sort(compareCodePoints);
  const rows: AtypicalRow[] = [];
  for (const id of ids) {
    const here = embedded.flatMap(({ atoms, at, lineage, scale }) => {
      const s = at.get(id);
      if (s === undefined) return [];
      const [from, to] = [atoms.offsets[s], atoms.offsets[s + 1]];
      const coordinates = matrix(atoms.vectors.subarray(from * atoms.dim, to * atoms.dim), to - from, atoms.dim);
      const opinion: Opinion = { coordinates, lineage, ...scale };
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
}

/** Against what disagreement is measured: scales of every model, and the sorted disagreement over the reference atoms. */
interface ReferenceDisagreement {
  scales: ReadonlyMap<string, ColumnScale>;
  sorted: Float64Array;
}

/** Runs whose reference disagreement a process keeps. */
const KEPT = 2;
const references = new OnceCache<ReferenceDisagreement>(KEPT, () => 1);

async function referenceDisagreement(
  run: PlannedRun,
  basis: string,
  models: readonly PlannedModel[],
): Promise<ReferenceDisagreement> {
  const pooled = await Promise.all(models.map(({ id }) => pooledPart(run, id, basis)));
  const votes = models.map(({ id, lineage }) => ({ id, lineage }));
  const name = digestJson({ output: run.output, pooled: pooled.map(({ sha256 }) => sha256), votes });
  const make = async () => {
    const pools: PooledModel[] = [];
    for (const { id } of models) pools.push(await pooledModel(run, id, basis));
    return disagreementOf(models, pools);
  };
  return references.get(name, make, run.work.signal);
}

/** Scales from the reference atoms of every model, and disagreement over those that all models have. */
function disagreementOf(models: readonly PlannedModel[], pools: readonly PooledModel[]): ReferenceDisagreement {
  const scales = new Map(models.map(({ id }, m) => [id, columnScale(pools[m].referenceVectors.coordinates)]));
  const places = pools.map(({ reference }) => new Map(Array.from(reference, (row, place) => [row, place])));
  const shared = Array.from(pools[0].reference).filter((row) => places.every((of) => of.has(row)));
  const opinions = models.map(({ id, lineage }, m): Opinion => {
    const rows = shared.map((row) => places[m].get(row)!);
    return { coordinates: takeRows(pools[m].referenceVectors.coordinates, rows), lineage, ...scales.get(id)! };
  });
  return { scales, sorted: disagreement(opinions)?.sort() ?? new Float64Array(0) };
}

const PERCENTILES = ['novelty_percentile', 'anchor_percentile'] as const;
type Percentiles = Pick<AtypicalRow, (typeof PERCENTILES)[number]>;

/** Percentiles of novelty and anchors in one shard by `<material id>\n<atom>`, a vote for each lineage. */
async function noveltyPercentiles(
  run: PlannedRun,
  basis: string,
  models: readonly PlannedModel[],
  shard: number,
): Promise<Map<string, Percentiles>> {
  const votes = new Map<string, Map<string, { sums: number[]; counts: number[] }>>();
  const read = async ({ id, lineage }: PlannedModel) => {
    const { outputs } = await itemMade(noveltyStage, run, noveltyTask(run, basis, id, shard));
    return { lineage, table: await atypicalTable.decode(await run.get(outputs[atypicalTable.name].key)) };
  };
  for await (const { lineage, table } of run.ahead(models, read))
    for (const row of table.rows) {
      const name = `${row.material_id}\n${row.atom_index}`;
      const byLineage = votes.get(name) ?? new Map<string, { sums: number[]; counts: number[] }>();
      votes.set(name, byLineage);
      const vote = byLineage.get(lineage) ?? { sums: [0, 0], counts: [0, 0] };
      byLineage.set(lineage, vote);
      PERCENTILES.forEach((column, c) => {
        const value = row[column];
        if (value === null) return;
        vote.sums[c] += value;
        vote.counts[c]++;
      });
    }
  const means = new Map<string, Percentiles>();
  for (const [name, byLineage] of votes) {
    const [novel, anchor] = PERCENTILES.map((_, c) => {
      const given = [...byLineage.values()].filter(({ counts }) => counts[c] > 0);
      return given.length === 0
        ? null
        : given.reduce((sum, { sums, counts }) => sum + sums[c] / counts[c], 0) / given.length;
    });
    means.set(name, { novelty_percentile: novel, anchor_percentile: anchor });
  }
  return means;
}
