import { join } from 'node:path';
import { EXIT } from '../../config/names.js';
import { loadRunSpec, type RunSpec } from '../../config/runSpec.js';
import { manifestParts, readManifest } from '../../datasets/manifest.js';
import { openStore } from '../../datasets/store/open.js';
import { atypicalTable, type AtypicalRow } from '../../datasets/tables/atypical.js';
import { packageRoot } from '../../infra/toolchain.js';
import { openModels } from '../../workers/dependencies.js';
import type { Context } from '../context.js';
import { formatShare, formatTable } from '../format.js';
import type { RunSummary } from '../outcome.js';
import { checkSpec } from '../preflight.js';
import { Refusal } from '../refusal.js';
import { describeSummary } from '../summary.js';
import { runSpec } from './run.js';

/** Structures that the summary names. */
const SHOWN = 8;

/** `koine demo`: every stage on what comes with koine, then what there is to see. */
export async function demo(context: Context, options: { json?: boolean }): Promise<number> {
  const file = join(packageRoot(), 'examples/reference.yaml');
  const spec = await withModelsAtHand(context, await loadRunSpec(file));
  await checkSpec(spec, openModels(context.settings(), spec.model_store), file, context.settings().embedded);
  return runSpec(context, spec, options, (summary) => describeDemo(summary, spec.models));
}

/** The example's spec with those of its models that are in the stores. @throws Refusal for fewer than two */
async function withModelsAtHand(context: Context, spec: RunSpec): Promise<RunSpec> {
  const stores = openModels(context.settings());
  const atHand = new Set((await stores.list()).map(({ id }) => id));
  const models = spec.models.filter((id) => atHand.has(id));
  if (models.length < 2)
    throw new Refusal(
      `the demo compares the reference potentials ${spec.models.join(', ')}; ${stores.locationNames.join(', ')} hold ` +
        `${models.join(', ') || 'none of them'}. Make them with models/reference/train.py`,
      EXIT.failed,
    );
  const wanted = spec.basis.reference_model;
  const reference_model = wanted && models.includes(wanted) ? wanted : models[0];
  return { ...spec, models, basis: { ...spec.basis, reference_model } };
}

/** What there is to see after the demo: the summary of every run, how alike the models are, what is unusual, how to read it. */
async function describeDemo(summary: RunSummary, models: readonly string[]): Promise<string[]> {
  const folder = summary.output.replace(/^file:\/\//, '');
  const unusual = await atypicalStructures(summary);
  return [
    ...describeRun(summary),
    '',
    'How alike the potentials see atoms (share of common neighbours beyond chance, within elements; 1 = the same):',
    ...similarityMatrix(summary, models),
    ...(unusual.length === 0
      ? []
      : [
          '',
          'The most atypical structures (on which the potentials disagree most; percentile among all atoms):',
          ...formatTable(
            ['structure', '>disagreement', '>percentile'],
            unusual.map(({ material_id, disagreement, disagreement_percentile }) => [
              material_id,
              disagreement?.toFixed(3) ?? '',
              disagreement_percentile === null ? '' : formatShare(disagreement_percentile),
            ]),
          ),
        ]),
    '',
    `Everything is in ${folder}: README.md explains it. In Python:`,
    '  import polars as pl',
    `  z = pl.read_parquet("${folder}/coordinates/**/*.parquet")  # material_id, atom_index, atomic_number, coordinates[K]`,
    `  s = pl.read_parquet("${folder}/similarity/**/*.parquet")  # every metric, stratum and null of every pair`,
  ];
}

/** Models, structures and times: the head of the summary of any run. */
function describeRun(summary: RunSummary): string[] {
  const lines = describeSummary(summary);
  return lines.slice(0, lines.indexOf('', lines.indexOf('') + 1));
}

/** Calibrated scores of all pairs, models numbered to keep the columns narrow. */
function similarityMatrix({ similarity }: RunSummary, models: readonly string[]): string[] {
  const scores = new Map(
    similarity.pairs.flatMap(({ model_a, model_b, calibrated }) => [
      [`${model_a} ${model_b}`, calibrated],
      [`${model_b} ${model_a}`, calibrated],
    ]),
  );
  return formatTable(
    ['', 'model', ...models.map((_, column) => `>${column + 1}`)],
    models.map((row, index) => [
      String(index + 1),
      row,
      ...models.map((column) => (row === column ? '1' : (scores.get(`${row} ${column}`)?.toFixed(2) ?? ''))),
    ]),
  );
}

/** The structures with the largest disagreement of all models; none where the run made no such table. */
async function atypicalStructures({ output, manifest }: RunSummary): Promise<AtypicalRow[]> {
  const store = openStore(output);
  const rows: AtypicalRow[] = [];
  for await (const part of manifestParts(store, await readManifest(store, manifest), atypicalTable.name)) {
    if (!part.key.includes('/model=all/')) continue;
    rows.push(...(await atypicalTable.decode(await store.get(part.key))).rows);
  }
  return rows
    .filter(({ level, disagreement }) => level === 'structure' && disagreement !== null)
    .sort((a, b) => b.disagreement! - a.disagreement! || (a.material_id < b.material_id ? -1 : 1))
    .slice(0, SHOWN);
}
