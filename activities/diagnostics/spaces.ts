import { decodeAnchorVectors } from '../../datasets/tables/anchorVectors.js';
import type { AnchorQualityRow } from '../../datasets/tables/anchorQuality.js';
import type { ModelDiagnosticsRow } from '../../datasets/tables/modelDiagnostics.js';
import { MERGE_FAN_IN } from '../../config/names.js';
import { modelItem, paramsOf, type Diagnostic, type DiagnosticTask, type TableRows } from './diagnostic.js';
import type { DiagnosticIndices } from './diagnosticIndex.js';
import { indexParameters } from './diagnosticIndex.js';
import { embedReceipt } from '../embed/embed.js';
import { POOLED_SPACES, type Pools } from './pool.js';
import { modelParts } from '../project/project.js';
import type { Runs } from '../run/runs.js';

/** How the vectors of each model are spread, and how well the anchors cover them: tables `model_diagnostics`, `anchor_quality`. */
export function spacesDiagnostic(runs: Runs, indices: DiagnosticIndices, pools: Pools): Diagnostic {
  return {
    stage: 'spaces',
    version: 4,
    items: ({ spec, models }) => (spec.diagnostics.spaces.enabled ? models.length : 0),
    item: (task) =>
      modelItem(runs, task, paramsOf(indexParameters(task.plan)), (model) =>
        compute(runs, indices, pools, task, model),
      ),
  };
}

async function compute(
  runs: Runs,
  indices: DiagnosticIndices,
  pools: Pools,
  task: DiagnosticTask,
  model: string,
): Promise<TableRows> {
  const { run, plan, basis, work } = task;
  const { seed } = plan.spec.diagnostics;
  const index = await indices.of(run, plan, work);
  const pool = await pools.of(run, plan, basis, model, work);
  const atomicNumbers = Int32Array.from(pool.rows, (row) => index.rows[row].atomicNumber);
  const moments = await allMoments(runs, task, model);
  const parts = await modelParts(runs, run, basis, model, work);
  const anchors = decodeAnchorVectors(await runs.store(run).get(parts.anchor_vectors.key, work));
  const record = await runs.basis(run, basis);
  const diagnosed = await runs.deps.compute.call(
    'diagnoseSpaces',
    {
      moments,
      embeddings: pool.rowVectors.embeddings.data,
      coordinates: pool.rowVectors.coordinates.data,
      atomicNumbers,
      firsts: Int32Array.from(pool.rows.keys()).filter((at) => index.rows[pool.rows[at]].rank === 0),
      anchors: anchors.vectors,
      anchorElements: Int32Array.from(record.anchors, ({ atomic_number }) => atomic_number),
      seed,
    },
    { signal: work.signal },
  );
  const spaces = POOLED_SPACES.flatMap((space): ModelDiagnosticsRow[] => {
    const figures = diagnosed.spaces[space];
    return figures === null ? [] : [{ model, space, sample: atomicNumbers.length, seed, ...figures }];
  });
  const quality = diagnosed.anchors.map((figure): AnchorQualityRow => ({
    model,
    seed,
    ...figure,
    anchors: record.anchors.length,
  }));
  return { model_diagnostics: spaces, anchor_quality: quality };
}

/** Moments of all embeddings of a model, merged a few dozen at a time in shard order. */
async function allMoments(runs: Runs, { run, plan, work }: DiagnosticTask, model: string): Promise<Uint8Array> {
  let merged: Uint8Array[] = [];
  const merge = async () => {
    merged = [await runs.deps.compute.call('mergeMoments', merged, { signal: work.signal })];
  };
  for (let shard = 0; shard < plan.snapshot.shards; shard++) {
    const { moments } = (await embedReceipt(runs, run, plan, model, shard, work)).outputs;
    if (moments) merged.push(await runs.store(run).get(moments.key, work));
    if (merged.length > MERGE_FAN_IN) await merge();
    work.beat({ shard });
  }
  await merge();
  return merged[0];
}
