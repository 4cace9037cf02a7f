import { decodeAnchorVectors } from '../../datasets/tables/anchorVectors.js';
import type { AnchorQualityRow } from '../../datasets/tables/anchorQuality.js';
import type { ModelDiagnosticsRow } from '../../datasets/tables/modelDiagnostics.js';
import { embeddedPage } from '../embed/embedded.js';
import { anchorPart } from '../project/anchorVectors.js';
import type { PlannedRun } from '../run/openRun.js';
import { diagnosticStage, itemOfModels, paramsOf, type TableRows } from './diagnostic.js';
import { diagnosticIndex, indexParameters } from './diagnosticIndex.js';
import { pooledModel } from './pool.js';
import { POOLED_SPACES } from './pooling.js';

/** Encoded moments held at once: 2 MB each at 512 dimensions. */
const MERGED_AT_ONCE = 32;

/** How the vectors of each model are spread, and how well the anchors cover them: tables `model_diagnostics`, `anchor_quality`. */
export const spacesStage = diagnosticStage({
  stage: 'spaces',
  version: 4,
  item(run, basis, item) {
    const { id: model } = run.plan.models[item];
    const params = paramsOf(indexParameters(run));
    return itemOfModels(run, basis, [model], { params, compute: () => compute(run, basis, model) });
  },
});

async function compute(run: PlannedRun, basis: string, model: string): Promise<TableRows> {
  const { seed } = run.spec.diagnostics;
  const [index, pool, moments, { anchors }, { vectors }] = await Promise.all([
    diagnosticIndex(run),
    pooledModel(run, model, basis),
    allMoments(run, model),
    run.basis(basis),
    anchorPart(run, basis, model).then(async ({ key }) => decodeAnchorVectors(await run.get(key))),
  ]);
  const atomicNumbers = Int32Array.from(pool.rows, (row) => index.rows[row].atomicNumber);
  const diagnosed = await run.compute('diagnoseSpaces', {
    moments,
    embeddings: pool.rowVectors.embeddings.data,
    coordinates: pool.rowVectors.coordinates.data,
    atomicNumbers,
    firsts: Int32Array.from(pool.rows.keys()).filter((at) => index.rows[pool.rows[at]].rank === 0),
    anchors: vectors,
    anchorElements: Int32Array.from(anchors, ({ atomic_number }) => atomic_number),
    seed,
  });
  const spaces = POOLED_SPACES.flatMap((space): ModelDiagnosticsRow[] => {
    const figures = diagnosed.spaces[space];
    return figures === null ? [] : [{ model, space, sample: atomicNumbers.length, seed, ...figures }];
  });
  const quality = diagnosed.anchors.map((figure): AnchorQualityRow => ({
    model,
    seed,
    ...figure,
    anchors: anchors.length,
  }));
  return { model_diagnostics: spaces, anchor_quality: quality };
}

/** Moments of all embeddings of a model, merged a few dozen pages at a time in their order. */
async function allMoments(run: PlannedRun, model: string): Promise<Uint8Array> {
  let merged: Uint8Array[] = [];
  const merge = async () => {
    merged = [await run.compute('mergeMoments', merged)];
  };
  const read = async (page: number) => {
    const { moments } = (await embeddedPage(run, model, page)).outputs;
    return moments && run.get(moments.key);
  };
  for await (const moments of run.ahead(run.snapshot.pages.keys(), read)) {
    if (moments) merged.push(moments);
    if (merged.length > MERGED_AT_ONCE) await merge();
    run.work.beat({ moments: merged.length });
  }
  await merge();
  return merged[0];
}
