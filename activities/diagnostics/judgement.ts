import type { RunSpec } from '../../config/runSpec.js';
import type { JudgedModel } from '../../datasets/diagnosticsCard.js';
import * as keys from '../../datasets/keys.js';
import { atypicalTable, type AtypicalRow } from '../../datasets/tables/atypical.js';
import type { ErrorPredictionRow } from '../../datasets/tables/errorPrediction.js';
import { FEWEST_STRUCTURES, type Score } from '../../latent/diagnostics/errorPrediction.js';
import type { ModelCard } from '../../models/card.js';
import { atypicalDiagnostic, noveltyDiagnostic } from './atypical.js';
import { diagnosticParts, paramsOf, type Diagnostic, type DiagnosticItem, type DiagnosticTask } from './diagnostic.js';
import { indexParameters, type DiagnosticIndex, type DiagnosticIndices } from './diagnosticIndex.js';
import { invalidInput } from '../engine/failures.js';
import type { PooledModel, Pools } from './pool.js';
import { modelParts } from '../project/project.js';
import type { Runs } from '../run/runs.js';
import { labelsOf } from './stitching.js';

/** Subset of all structures; source files have an extension. */
const ALL = 'all';

/** A model whose energy is compared with a label, and the others that are. */
export interface Judged {
  label: string;
  model: string;
  others: readonly string[];
}

/** What a spec asks to judge: the items of the stage. */
export function judgedModels({ diagnostics }: RunSpec): Judged[] {
  const { enabled, judge } = diagnostics.atypical;
  if (!enabled) return [];
  return judge.flatMap(({ label, models }) =>
    models.map((model) => ({ label, model, others: models.filter((other) => other !== model) })),
  );
}

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
export function judgementDiagnostic(runs: Runs, indices: DiagnosticIndices, pools: Pools): Diagnostic {
  const scored = {
    novelty: noveltyDiagnostic(runs, indices, pools),
    atypical: atypicalDiagnostic(runs, indices, pools),
  };
  return {
    stage: 'judgement',
    version: 1,
    items: ({ spec }) => judgedModels(spec).length,
    item: async (task): Promise<DiagnosticItem> => {
      const { run, plan, basis, work } = task;
      const judged = judgedModels(plan.spec)[task.item];
      const { bootstrap: replicates, atypical, stitching } = plan.spec.diagnostics;
      const { document } = plan.labels.find(({ name }) => name === judged.label)!;
      const { per } = stitching.labels.find(({ name }) => name === judged.label)!;
      // All models have a say: their disagreement is one of the scores.
      const votes = plan.models.map(({ id, lineage, control }) => ({ id, lineage, control }));
      const digests: string[] = [];
      for (const { id } of plan.models) digests.push((await modelParts(runs, run, basis, id, work)).digest);
      const { neighbours } = atypical;
      const label = { ...judged, document, per };
      const params = paramsOf({ ...indexParameters(plan), neighbours, replicates, label, votes });
      const place = { snapshot: plan.snapshot.snapshot, basis, params };
      return {
        inputs: { digests, scored: [scored.novelty.version, scored.atypical.version] },
        params,
        partKey: (_, sha256) => keys.diagnosticPart('error_prediction', place, [judged.model, keys.ALL_MODELS], sha256),
        compute: () => compute(runs, indices, pools, scored, task, judged),
      };
    },
  };
}

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

async function compute(
  runs: Runs,
  indices: DiagnosticIndices,
  pools: Pools,
  scored: Record<'novelty' | 'atypical', Diagnostic>,
  task: DiagnosticTask,
  { label, model, others }: Judged,
) {
  const { run, plan, basis, work } = task;
  const { seed, bootstrap: replicates } = plan.spec.diagnostics;
  const index = await indices.of(run, plan, work);
  const known = (await labelsOf(runs, task, index)).find(({ name }) => name === label)!.values;
  const own = await pools.of(run, plan, basis, model, work);
  const members = Array.from(own.structures).filter((position) => known.has(position));
  const energies = energiesOf(own, members);
  const scores = await atypicalScores(runs, scored, task, model, index, members);
  for (const other of others) {
    const theirs = energiesOf(await pools.of(run, plan, basis, other, work), members);
    scores.push({ score: 'energy_gap', other, values: energies.map((energy, at) => Math.abs(energy - theirs[at])) });
  }
  const structures = members.map((position) => index.structures[position]);
  const found = await runs.deps.compute.call(
    'errorPrediction',
    {
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
    },
    { signal: work.signal },
  );
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
const SCORES: { diagnostic: 'novelty' | 'atypical'; score: string; of: (row: AtypicalRow) => number | null }[] = [
  { diagnostic: 'novelty', score: 'novelty', of: ({ novelty }) => novelty },
  { diagnostic: 'novelty', score: 'anchor_cosine', of: ({ anchor_cosine: cosine }) => cosine && -cosine },
  { diagnostic: 'atypical', score: 'disagreement', of: ({ disagreement }) => disagreement },
];

/** The scores that the stages before have written, of structures of the index. */
async function atypicalScores(
  runs: Runs,
  scored: Record<'novelty' | 'atypical', Diagnostic>,
  task: DiagnosticTask,
  model: string,
  index: DiagnosticIndex,
  members: readonly number[],
): Promise<Score[]> {
  const { run, plan, work } = task;
  const { shards } = plan.snapshot;
  const at = new Map(members.map((position, place) => [index.structures[position].materialId, place]));
  const first = { novelty: plan.models.findIndex(({ id }) => id === model) * shards, atypical: 0 };
  const scores = SCORES.map(({ score }) => ({
    score,
    other: null,
    values: new Float64Array(members.length).fill(NaN),
  }));
  for (const shard of new Set(members.map((position) => index.structures[position].shard)))
    for (const diagnostic of ['novelty', 'atypical'] as const) {
      const item = first[diagnostic] + shard;
      const part = (await diagnosticParts(runs, scored[diagnostic], { ...task, item }))?.[atypicalTable.name];
      if (!part) throw new Error(`activities: item ${item} of ${diagnostic} is missing`);
      for (const row of (await atypicalTable.decode(await runs.store(run).get(part.key, work))).rows) {
        const place = row.level === 'structure' ? at.get(row.material_id) : undefined;
        if (place === undefined) continue;
        for (const [s, { diagnostic: by, of }] of SCORES.entries())
          if (by === diagnostic) scores[s].values[place] = of(row) ?? NaN;
      }
      work.beat({ shard });
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
