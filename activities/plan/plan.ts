import { claimModel } from '../../datasets/claim.js';
import { DEFAULT_BUDGETS } from '../../models/graphBatch.js';
import { encodingContract } from '../../models/card.js';
import { ENCODER_VERSION } from '../../models/inferencePool.js';
import { digestJson } from '../../datasets/digest.js';
import { plannedDiagnostics } from '../diagnostics/diagnostics.js';
import type { PlanDocument, PlannedModel, PlanSummary, RunRef } from '../run/documents.js';
import { keepListedRows } from '../pairs/listedRows.js';
import { anchorCount, pinnedBasis, referenceModel } from '../basis/namedBasis.js';
import { refuseWithoutEnergy } from '../diagnostics/judgement.js';
import { storeLabels } from './labels.js';
import type { Work } from '../engine/heartbeat.js';
import type { Runs } from '../run/runs.js';

/** The plan stage: resolves models to digests, claims their names in the output, finds the basis to reuse. */
export function planStage(runs: Runs) {
  return {
    /** Writes the plan of a run over `snapshot`. Refuses a model that is already published with another identity. */
    async planRun(run: RunRef, snapshot: string, work: Work): Promise<PlanSummary> {
      const { spec, replace } = await runs.request(run);
      const store = runs.store(run);
      const models = await planModels(runs, run);
      for (const { id, identity } of models)
        await claimModel(store, snapshot, id, identity, { replace, signal: work.signal });

      const plan: PlanDocument = {
        ...{ spec, snapshot: await runs.snapshot(run, snapshot), models },
        ...{ listed_rows: null, labels: await storeLabels(runs, run) },
      };
      const { rows } = spec.similarity;
      if (rows !== undefined) plan.listed_rows = await keepListedRows(runs, run, plan, rows, work);
      return {
        document: await runs.write(run, 'plans', plan),
        models: models.map(({ id }) => id),
        shards: plan.snapshot.shards,
        pairs: (models.length * (models.length - 1)) / 2,
        anchors: anchorCount(spec),
        referenceModel: referenceModel(spec),
        pinnedBasis: await pinnedBasis(runs, run, work),
        basisPasses: spec.basis.method === 'direct' && !spec.basis.extend,
        diagnostics: plannedDiagnostics(runs, plan),
        limit: spec.limits.quarantine_fraction,
      };
    },
  };
}

/** The models of a request with everything their embeddings depend on. @throws a final failure for an unknown model */
async function planModels(runs: Runs, run: RunRef): Promise<PlannedModel[]> {
  const { spec } = await runs.request(run);
  const { provider, batch } = spec.inference;
  const budget = batch ?? DEFAULT_BUDGETS[provider];
  const store = runs.deps.openModels(spec.model_store);
  const stated = new Map(Object.entries(spec.lineages).flatMap(([lineage, ids]) => ids.map((id) => [id, lineage])));
  return Promise.all(
    spec.models.map(async (id) => {
      const { card, cardSha256, onnxSha256 } = await store.resolve(id);
      refuseWithoutEnergy(spec, card);
      return {
        id,
        card_sha256: cardSha256,
        dim: card.embedding.dim,
        licence: card.licence,
        lineage: stated.get(id) ?? card.lineage,
        control: card.control,
        identity: {
          onnx_sha256: onnxSha256,
          contract_sha256: digestJson(encodingContract(card)),
          encoder_version: ENCODER_VERSION,
          provider,
          batch_budget: { atoms: budget.atoms, edges: budget.edges },
        },
      };
    }),
  );
}
