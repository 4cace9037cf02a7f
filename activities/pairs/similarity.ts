import type { Space } from '../../config/names.js';
import { digestJson, sha256Hex } from '../../datasets/digest.js';
import { HEADLINE, type PairScore } from '../../datasets/headline.js';
import * as keys from '../../datasets/keys.js';
import type { PartEntry } from '../../datasets/manifest.js';
import { findReceipt, writeReceipt } from '../../datasets/receipts.js';
import { similarityTable, type SimilarityRow } from '../../datasets/tables/similarity.js';
import { similarityRowsTable, type SimilarityRowsRow } from '../../datasets/tables/similarityRows.js';
import { combineDraws } from '../../latent/statistics/bootstrap.js';
import type { ComparedValue } from '../../latent/similarity/measured.js';
import type { SimilarityMetric } from '../../config/names.js';
import { metricBounds } from '../../latent/similarity/metrics.js';
import { mean } from '../../latent/statistics/mean.js';
import { elementSymbol } from '../../structures/elements.js';
import type { Asked, ComparedStratum, DrawnRows, Vectors } from '../compute/similarityTasks.js';
import type { ItemTask, PlanDocument } from '../run/documents.js';
import type { Computed, ItemStage } from '../run/itemStage.js';
import type { CacheKind, PlannedRun } from '../run/openRun.js';
import { pairKey, pairPlace } from './pairs.js';
import { RowChoice } from './rows.js';

/** Version of the numbers: raise it when the same coordinates may give other values. */
const SIMILARITY_VERSION = 3;
/** Version of the work on one model: raise it when the same vectors may give other neighbours, sums or decompositions, or another encoding. */
const CLOUD_VERSION = 3;
/** Work on single models kept in memory, in bytes. */
const CLOUD_BYTES = 128 * 2 ** 20;

/** What one pair published. */
export interface SimilarityReceipt {
  outputs: { similarity: PartEntry; similarity_rows: PartEntry };
  /** The headline; null where the pair has no such value. */
  headline: PairScore | null;
  /** Why values are missing. */
  notes: string[];
}

interface CloudReceipt {
  outputs: { cloud: PartEntry };
}

/** Name of the parameters of similarity, a folder of the layout. Of a list of rows its content counts, not where it lies. */
export function similarityParams({ spec, listed_rows }: PlanDocument): string {
  return digestJson({ ...spec.similarity, rows: listed_rows, version: SIMILARITY_VERSION }).slice(0, 16);
}

/** The similarity stage: how alike two models are, on coordinates and on raw embeddings, with the rows behind every number. */
export const similarityStage: ItemStage<'similarity', SimilarityReceipt> = {
  stage: 'similarity',
  key: (run, { basis, item }) => pairKey(run, basis, similarityParams(run.plan), item),
  compute: comparePair,
};

const CLOUDS: CacheKind<Uint8Array> = { kind: 'clouds', room: CLOUD_BYTES, sizeOf: ({ length }) => length };

/** Compares a pair draw by draw. What concerns one model alone is done for the first of its pairs and found by the others. */
async function comparePair(run: PlannedRun, task: ItemTask<'similarity'>): Promise<Computed<SimilarityReceipt>> {
  const { basis, item } = task;
  const params = similarityParams(run.plan);
  const place = pairPlace(run, basis, params, item);
  const models = [place.modelA, place.modelB] as const;
  const choice = new RowChoice(run, basis, models);
  const asked = run.spec.similarity;
  const { sample: most, seed } = asked;
  const listed = run.plan.listed_rows !== null;
  const drawn: SimilarityRowsRow[] = [];
  const compared: ComparedStratum[][] = [];
  for (let draw = 0; draw < (listed ? 1 : asked.draws); draw++) {
    const sample = listed ? await choice.listed() : await choice.draw({ sample: most, seed, draw });
    sample.rows.forEach(({ materialId, atomIndex }, row) =>
      drawn.push({ draw, material_id: materialId, atom_index: atomIndex, place: sample.places[row] }),
    );
    if (sample.rows.length === 0) continue;
    const rows: DrawnRows = { atomicNumbers: sample.atomicNumbers, places: sample.places, seed: seed + draw };
    const spaces = [];
    for (const space of asked.spaces) {
      const [x, y] = [await choice.vectors(models[0], space, sample), await choice.vectors(models[1], space, sample)];
      const works = [await workOf(run, rows, x, space, asked), await workOf(run, rows, y, space, asked)] as [
        Uint8Array,
        Uint8Array,
      ];
      spaces.push({ space, clouds: [x, y] as [Vectors, Vectors], works });
      run.work.beat({ draw });
    }
    compared.push(await run.compute('compareDraw', { rows, spaces, asked }));
    run.work.beat({ draw });
  }
  const rows = rowsOf(compared, { model_a: models[0], model_b: models[1] }, asked);
  const [similarity, similarity_rows] = await Promise.all([
    run.putPart((sha) => keys.pairPart('similarity', place, sha), await similarityTable.encode(rows), rows.length),
    run.putPart(
      (sha) => keys.pairRowsPart('similarity_rows', place, 0, sha),
      await similarityRowsTable.encode(drawn),
      drawn.length,
    ),
  ]);
  return {
    made: {
      outputs: { similarity, similarity_rows },
      headline: headlineOf(rows),
      notes: notesOf(rows, asked, drawn.length),
    },
  };
}

/** The work on one model's vectors: from memory or the store if it was done for another pair, else done and kept. */
async function workOf(run: PlannedRun, rows: DrawnRows, cloud: Vectors, space: Space, asked: Asked) {
  const { neighbours, small_sample, metrics, strata, replicates } = asked;
  const key = digestJson({
    version: CLOUD_VERSION,
    vectors: sha256Hex(new Uint8Array(cloud.vectors.buffer, cloud.vectors.byteOffset, cloud.vectors.byteLength)),
    dim: cloud.dim,
    elements: [...rows.atomicNumbers],
    places: [...rows.places],
    seed: rows.seed,
    neighbours,
    small_sample,
    metrics,
    strata: strata.spaces.includes(space) ? strata : null,
    intervals: replicates > 0,
  });
  const make = async () => {
    const known = await findReceipt<CloudReceipt>(run.store, 'cloud', key, run.work);
    if (known) return run.get(known.outputs.cloud.key);
    const bytes = await run.compute('prepareCloud', { rows, cloud, space, asked });
    const part = await run.putPart(keys.preparedCloud, bytes, rows.places.length);
    await writeReceipt<CloudReceipt>(run.store, 'cloud', key, { outputs: { cloud: part } }, run.work);
    return bytes;
  };
  return run.cached(CLOUDS, key, make);
}

/** Rows of the table, from the values of all draws. */
function rowsOf(
  draws: readonly ComparedStratum[][],
  pair: { model_a: string; model_b: string },
  asked: Asked & { seed: number },
): SimilarityRow[] {
  const groups = new Map<string, { space: Space; element: number; values: ComparedValue[] }>();
  for (const { space, element, values } of draws.flat())
    for (const value of values) {
      const name = JSON.stringify([space, element, value.name]);
      const group = groups.get(name) ?? { space, element, values: [] };
      groups.set(name, group);
      group.values.push(value);
    }
  const rows: SimilarityRow[] = [];
  for (const { space, element, values } of groups.values()) {
    const [{ metric, name, hubness, nulls }] = values;
    const raw: SimilarityRow = {
      ...pair,
      space,
      metric: name,
      stratum: element === 0 ? 'all' : elementSymbol(element),
      ...intervalOf(values, metricBounds[metric], asked.replicates),
      n: Math.min(...values.map(({ n }) => n)),
      draws: values.length,
      seed: asked.seed,
      k: hubness ? asked.neighbours : null,
      null: 'none',
      null_mean: null,
      null_threshold: null,
      calibrated: null,
      calibrated_low: null,
      calibrated_high: null,
      p_value: null,
      permutations: null,
      hubness_a: hubness && mean(values.map((one) => one.hubness!.x)),
      hubness_b: hubness && mean(values.map((one) => one.hubness!.y)),
    };
    rows.push(raw);
    for (const [at, { null: kind }] of nulls.entries()) {
      const calibrated = values.map((one) => one.nulls[at]);
      const { value, low, high } = intervalOf(
        calibrated.map((one) => ({ value: one.calibrated, replicates: one.replicates })),
        [0, 1],
        asked.replicates,
      );
      rows.push({
        ...raw,
        null: kind,
        null_mean: mean(calibrated.map(({ nullMean }) => nullMean)),
        null_threshold: mean(calibrated.map(({ threshold }) => threshold)),
        calibrated: value,
        calibrated_low: low,
        calibrated_high: high,
        // Draws share structures, so their tests are no independent ones: a median claims no more than one of them does.
        p_value: median(calibrated.map(({ pValue }) => pValue)),
        permutations: asked.nulls.permutations,
      });
    }
  }
  return rows;
}

/** A value over draws; without replicates it has no interval. */
function intervalOf(
  values: readonly { value: number; replicates: Float64Array }[],
  bounds: [number, number],
  replicates: number,
): { value: number; low: number | null; high: number | null } {
  const { value, low, high } = combineDraws(values, bounds);
  return replicates > 0 ? { value, low, high } : { value, low: null, high: null };
}

function headlineOf(rows: readonly SimilarityRow[]): PairScore | null {
  const row = rows.find(
    ({ space, metric, stratum, null: kind }) =>
      space === HEADLINE.space && metric === HEADLINE.metric && stratum === HEADLINE.stratum && kind === HEADLINE.null,
  );
  if (!row || row.calibrated === null || row.p_value === null) return null;
  const { model_a, model_b, value, calibrated, calibrated_low, calibrated_high, p_value, n } = row;
  return {
    model_a,
    model_b,
    value,
    calibrated,
    low: calibrated_low ?? calibrated,
    high: calibrated_high ?? calibrated,
    p_value,
    n,
  };
}

/** Values that were asked for and are not there: of too few rows, or of vectors that are all equal. */
function notesOf(rows: readonly SimilarityRow[], asked: Asked, drawn: number): string[] {
  const found = rows.filter(({ stratum }) => stratum === 'all');
  const missing = asked.metrics.filter((metric) => !found.some((row) => row.metric.startsWith(metric)));
  const notes: string[] = [];
  if (missing.length > 0) {
    const few = `too few atoms to compare (similarity.neighbours is ${asked.neighbours})`;
    const equal = missing.some(isReconstruction) ? ', or vectors that are all equal' : '';
    notes.push(`${missing.join(', ')} left out: ${drawn === 0 ? 'the models share no atom' : few + equal}`);
  }
  for (const metric of asked.metrics.filter(isReconstruction))
    for (const space of new Set(found.map((row) => row.space))) {
      const one = new Set(found.filter((row) => row.space === space).map((row) => row.metric));
      const ways = [`${metric}_a_to_b`, `${metric}_b_to_a`].filter((name) => !one.has(name));
      if (ways.length === 1) notes.push(`${ways[0]} of ${space} left out: the vectors to reconstruct are all equal`);
    }
  return notes;
}

function isReconstruction(metric: SimilarityMetric): boolean {
  return metric === 'gfre' || metric === 'lfre';
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
