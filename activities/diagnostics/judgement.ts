import type { RunSpec } from '../../config/runSpec.js';
import type { JudgedModel } from '../../datasets/diagnosticsCard.js';
import * as keys from '../../datasets/keys.js';
import { atypicalTable, type AtypicalRow } from '../../datasets/tables/atypical.js';
import type { ErrorPredictionRow } from '../../datasets/tables/errorPrediction.js';
import { FEWEST_STRUCTURES, type Score } from '../../latent/diagnostics/errorPrediction.js';
import type { ModelCard } from '../../models/card.js';
import { invalidInput } from '../engine/failures.js';
import { modelInBasis } from '../project/projected.js';
import { itemMade } from '../run/itemStage.js';
import type { PlannedRun } from '../run/openRun.js';
import { ATYPICAL_VERSION, atypicalStage, atypicalTask } from './atypical.js';
import { diagnosticStage, paramsOf, type TableRows } from './diagnostic.js';
import { diagnosticIndex, indexParameters, type DiagnosticIndex } from './diagnosticIndex.js';
import { labelsOf } from './labelled.js';
import { NOVELTY_VERSION, noveltyStage, noveltyTask } from './novelty.js';
import { judgedModels, type Judged } from './planned.js';
import { pooledModel, type PooledModel } from './pool.js';

/** Subset of all structures; source files have an extension. */
const ALL = 'all';

/** @throws a final failure where a model that a spec judges gives no energy */
export function refuseWithoutEnergy({ diagnostics }: RunSpec, { id, outputs }: ModelCard): void {
  const at = diagnostics.atypical.judge.findIndex(({ models }) => models.includes(id));
  if (at < 0 || outputs['node_energy']) return;
  throw invalidInput(
    `diagnostics.atypical.judge[${at}].models: model '${id}' gives no energy (its card has no output node_energy), so it has no error ` +
      'to foretell; leave it out there, or export it with its energy',
  );
}

/** How well scores of atypicality foretell the error of a model: table `error_prediction`, an item for each label and model. */
export const judgementStage = diagnosticStage({
  stage: 'judgement',
  version: 1,
  async item(run, basis, item) {
    const { plan, spec } = run;
    const judged = judgedModels(spec)[item];
    const { bootstrap: replicates, atypical, stitching } = spec.diagnostics;
    const { document } = plan.labels.find(({ name }) => name === judged.label)!;
    const { per } = stitching.labels.find(({ name }) => name === judged.label)!;
    // All models have a say: their disagreement is one of the scores.
    const votes = plan.models.map(({ id, lineage, control }) => ({ id, lineage, control }));
    const models = await Promise.all(plan.models.map(({ id }) => modelInBasis(run, id, basis)));
    const { neighbours } = atypical;
    const label = { ...judged, document, per };
    const params = paramsOf({ ...indexParameters(run), neighbours, replicates, label, votes });
    const place = { snapshot: run.snapshot.snapshot, basis, params };
    return {
      inputs: { digests: models.map(({ digest }) => digest), scored: [NOVELTY_VERSION, ATYPICAL_VERSION] },
      params,
      partKey: (_, sha256) => keys.diagnosticPart('error_prediction', place, [judged.model, keys.ALL_MODELS], sha256),
      compute: () => compute(run, basis, judged),
    };
  },
});

/** What the card and the end of a run say of table `error_prediction`. */
export function judgementFindings(
  spec: RunSpec,
  rows: readonly ErrorPredictionRow[],
): { judged: JudgedModel[]; warnings: string[] } {
  const judged: JudgedModel[] = [];
  const warnings: string[] = [];
  for (const { model, label } of judgedModels(spec)) {
    const correlations = rows.filter(
      (row) => row.model === model && row.label === label && row.subset === ALL && row.metric === 'spearman',
    );
    if (correlations.length === 0) {
      warnings.push(
        `${model}, label ${label}: nothing to judge; it takes ${FEWEST_STRUCTURES} structures with the label among the diagnostics.structures ` +
          'that are looked at, with errors that differ',
      );
      continue;
    }
    const most = correlations.reduce((a, b) => (b.n > a.n ? b : a));
    judged.push({ model, label, structures: most.n, meanError: most.mean_error, correlations });
  }
  return { judged, warnings };
}

async function compute(run: PlannedRun, basis: string, { label, model, others }: Judged): Promise<TableRows> {
  const { seed, bootstrap: replicates } = run.spec.diagnostics;
  const [index, labels, own] = await Promise.all([diagnosticIndex(run), labelsOf(run), pooledModel(run, model, basis)]);
  const known = labels.find(({ name }) => name === label)!.values;
  const members = Array.from(own.structures).filter((position) => known.has(position));
  const energies = energiesOf(own, members);
  const scores = await atypicalScores(run, basis, model, index, members);
  for (const other of others) {
    const theirs = energiesOf(await pooledModel(run, other, basis), members);
    scores.push({ score: 'energy_gap', other, values: energies.map((energy, at) => Math.abs(energy - theirs[at])) });
  }
  const structures = members.map((position) => index.structures[position]);
  const found = await run.compute('errorPrediction', {
    errors: energies.map((energy, at) => Math.abs(energy - known.get(members[at])!)),
    scores,
    formulas: structures.map(({ formula }) => formula),
    subsets: subsetsOf(structures.map(({ source }) => source)),
    atomicNumbers: index.structures.map(({ atomicNumbers }) => atomicNumbers),
    members: Int32Array.from(members),
    reference: {
      elements: Int32Array.from(index.reference, ({ atomicNumber }) => atomicNumber),
      structures: Int32Array.from(index.reference, ({ structure }) => structure),
    },
    replicates,
    seed,
  });
  const rows = found.map(({ other, meanError, ...figure }): ErrorPredictionRow => ({
    model,
    label,
    ...figure,
    other_model: other,
    mean_error: meanError,
    seed,
  }));
  return { error_prediction: rows };
}

/** eV per atom of structures of the index; NaN where the model has not embedded one. */
function energiesOf({ model, energies, at }: PooledModel, members: readonly number[]): Float64Array {
  if (!energies) throw new Error(`activities: model ${model} gives no energies, and its card says it does`);
  return Float64Array.from(members, (position) => energies[at.get(position) ?? -1] ?? NaN);
}

/** Columns of table `atypical` that are scores of a structure, by the diagnostic that knows them, larger for more atypical ones. */
const SCORES = [
  { by: noveltyStage, score: 'novelty', of: ({ novelty }: AtypicalRow) => novelty },
  { by: noveltyStage, score: 'anchor_cosine', of: ({ anchor_cosine: cosine }: AtypicalRow) => cosine && -cosine },
  { by: atypicalStage, score: 'disagreement', of: ({ disagreement }: AtypicalRow) => disagreement },
];

/** The scores that the stages before have written, of structures of the index. */
async function atypicalScores(
  run: PlannedRun,
  basis: string,
  model: string,
  index: DiagnosticIndex,
  members: readonly number[],
): Promise<Score[]> {
  const at = new Map(members.map((position, place) => [index.structures[position].materialId, place]));
  const scores = SCORES.map(({ score }) => ({
    score,
    other: null,
    values: new Float64Array(members.length).fill(NaN),
  }));
  const shards = [...new Set(members.map((position) => index.structures[position].shard))];
  const items = shards.flatMap((shard) => [
    { stage: noveltyStage, task: noveltyTask(run, basis, model, shard) },
    { stage: atypicalStage, task: atypicalTask(run, basis, shard) },
  ]);
  const read = async ({ stage, task }: (typeof items)[number]) => {
    const { outputs } = await itemMade(stage, run, task);
    return { stage, table: await atypicalTable.decode(await run.get(outputs[atypicalTable.name].key)) };
  };
  for await (const { stage, table } of run.ahead(items, read)) {
    for (const row of table.rows) {
      const place = row.level === 'structure' ? at.get(row.material_id) : undefined;
      if (place === undefined) continue;
      for (const [s, { by, of }] of SCORES.entries()) if (by === stage) scores[s].values[place] = of(row) ?? NaN;
    }
    run.work.beat({ stage: stage.stage });
  }
  return scores;
}

/** All structures, and those of each source file: sources name a file and a place in it. */
function subsetsOf(sources: readonly string[]): { subset: string; members: Int32Array }[] {
  const files = new Map<string, number[]>();
  sources.forEach((source, at) => {
    const file = source.replace(/#.*$|:\d+$/, '');
    const members = files.get(file);
    if (members) members.push(at);
    else files.set(file, [at]);
  });
  return [
    { subset: ALL, members: Int32Array.from(sources.keys()) },
    ...[...files].map(([subset, members]) => ({ subset, members: Int32Array.from(members) })),
  ];
}
