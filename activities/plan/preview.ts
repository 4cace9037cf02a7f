import type { RunSpec } from '../../config/runSpec.js';
import { mapWindow } from '../../datasets/store/window.js';
import { createStages } from '../index.js';
import type { Work } from '../engine/heartbeat.js';
import type { FanOutStage, PlanRef, RequestRef, StageInput, Tally } from '../run/documents.js';
import { RunMemory, type ActivityDependencies } from '../run/openRun.js';
import { estimates, type Cached, type ModelEstimate } from './estimates.js';

/** Items of the stages that read sources that are computed at once: threads do the work. */
const READ_AT_ONCE = 8;

/** What a run would do, found without doing it. */
export interface RunPreview {
  snapshot: string;
  structures: number;
  quarantined: number;
  shards: number;
  models: { id: string; embed: Cached & { because: string }; project: Cached; estimate: ModelEstimate }[];
  pairs: Cached;
  /** Items of the diagnostics: models, pairs, shards. */
  diagnostics: Cached;
  basis: { digest: string | null; why: string };
}

/**
 * Reads the sources and looks up every item. Give it stores that keep writes to themselves (`DryRunStore`): the snapshot stages
 * run for real, since nothing less tells what the snapshot will be; what is listed page by page is listed too.
 */
export async function previewRun(
  dependencies: ActivityDependencies,
  output: string,
  spec: RunSpec,
  replace: boolean,
  work: Work,
): Promise<RunPreview> {
  const stages = createStages(dependencies);
  const memory = new RunMemory(dependencies);
  const request: RequestRef = { output, request: await memory.writeRequest(output, { spec, replace }, work) };

  /** Looks up every item of a stage; `todo` computes those that are missing. */
  const look = async (input: StageInput, items: number, todo?: number): Promise<Cached> => {
    const { missing } = await stages.reuse({ input, start: 0, end: items }, work);
    const run = stages[input.stage] as (task: StageInput & { item: number }, work: Work) => Promise<Tally>;
    if (todo !== undefined) await mapWindow(missing, todo, (item) => run({ ...input, item }, work), work.signal);
    return { total: items, cached: items - missing.length };
  };

  const listed = await stages.listSources(request, work);
  await look({ stage: 'scan', run: request, listing: listed.listing }, listed.large, READ_AT_ONCE);
  const { listing, units } = await stages.listUnits(request, listed.listing, work);
  await look({ stage: 'read', run: request, listing }, units, READ_AT_ONCE);
  const { merge, pages } = await stages.planMerge(request, listing, work);
  await look({ stage: 'merge', run: request, merge }, pages, READ_AT_ONCE);
  const sealed = await stages.sealSnapshot(request, merge, work);
  await look({ stage: 'place', run: request, seal: sealed.seal }, sealed.pages, READ_AT_ONCE);
  const summary = await stages.planRun(request, sealed.seal, work);
  const run: PlanRef = { output, plan: summary.document };
  const planned = await memory.planned(run, work);
  const basis = summary.pinnedBasis;

  const models: RunPreview['models'] = [];
  for (const model of summary.models) {
    const embed = await look({ stage: 'embed', run, model }, summary.shards);
    const embedded = embed.cached === embed.total;
    if (embedded) await look({ stage: 'embedded', run, model }, summary.pages, READ_AT_ONCE);
    let project: Cached = { total: summary.shards, cached: 0 };
    if (basis && embedded) {
      project = await look({ stage: 'project', run, model, basis }, summary.shards);
      if (project.cached === project.total)
        await look({ stage: 'projected', run, model, basis }, summary.pages, READ_AT_ONCE);
    }
    models.push({
      id: model,
      embed: { total: embed.total, cached: embed.cached, because: whyEmbed(embed) },
      project: { total: project.total, cached: project.cached },
      estimate: await estimates(planned, model, embed),
    });
  }
  const pairs: Cached = { total: summary.pairs, cached: 0 };
  const items = summary.diagnostics.filter(({ stage }) => stage !== 'pool' && stage !== 'scored');
  const diagnostics: Cached = { total: items.reduce((sum, { items: count }) => sum + count, 0), cached: 0 };
  if (basis) {
    const compared = await Promise.all(
      (['similarity', 'transport'] as const).map((stage) => look({ stage, run, basis }, summary.pairs)),
    );
    pairs.cached = Math.min(...compared.map(({ cached }) => cached));
    for (const { stage, items: count } of items)
      diagnostics.cached += (await look({ stage: stage as FanOutStage, run, basis } as StageInput, count)).cached;
  }
  return {
    snapshot: sealed.snapshot,
    structures: sealed.structures,
    quarantined: sealed.quarantined,
    shards: summary.shards,
    models,
    pairs,
    diagnostics,
    basis: { digest: basis, why: whyBasis(spec, basis) },
  };
}

function whyEmbed({ total, cached }: Cached): string {
  if (cached === total) return 'every shard is there';
  if (cached === 0) return 'this model was never run on these shards with this provider and batch budget';
  return `${total - cached} shards hold structures that are new or changed`;
}

function whyBasis({ name, basis }: RunSpec, digest: string | null): string {
  if (basis.from) return 'basis.from names it';
  if (digest) return `pinned by earlier runs of '${name}'`;
  if (basis.refit) return 'basis.refit is set';
  if (basis.extend) return `it begins with the anchors of '${basis.extend}'`;
  return `no run of '${name}' pinned one with this method, number of anchors, reference model, seed, sources and centre`;
}
