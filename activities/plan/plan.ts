import type { RunSpec } from '../../config/runSpec.js';
import { claimModel } from '../../datasets/claim.js';
import { DEFAULT_BUDGETS } from '../../models/graphBatch.js';
import { encodingContract } from '../../models/card.js';
import { ENCODER_VERSION } from '../../models/inferencePool.js';
import { digestJson } from '../../datasets/digest.js';
import { plannedDiagnostics } from '../diagnostics/planned.js';
import type { PlanDocument, PlannedModel, PlanSummary, RequestRef, SealDocument } from '../run/documents.js';
import { pairCount } from '../pairs/pairs.js';
import { keepListedRows } from '../pairs/listedRows.js';
import { anchorCount, pinnedBasis, referenceModel } from '../basis/namedBasis.js';
import { snapshotOf } from '../snapshot/snapshot.js';
import { refuseWithoutEnergy } from '../diagnostics/judgement.js';
import { storeLabels } from './labels.js';
import type { Work } from '../engine/heartbeat.js';
import type { RequestedRun, RunMemory } from '../run/openRun.js';

/** The plan stage: resolves models to digests, claims their names in the output, finds the basis to reuse. */
export function planStage(memory: RunMemory) {
  return {
    /** Writes the plan of a run over a sealed snapshot. Refuses a model that is already published with another identity. */
    async planRun(ref: RequestRef, seal: string, work: Work): Promise<PlanSummary> {
      const requested = await memory.requested(ref, work);
      const { spec, replace } = requested.request;
      const snapshot = snapshotOf(await requested.document<SealDocument>(seal));
      const models = await planModels(requested);
      for (const { id, identity } of models)
        await claimModel(requested.store, snapshot.snapshot, id, identity, { replace, signal: work.signal });
      const plan: PlanDocument = {
        spec,
        snapshot,
        seal,
        models,
        listed_rows: null,
        labels: await storeLabels(requested),
      };
      const { rows } = spec.similarity;
      if (rows !== undefined) plan.listed_rows = await keepListedRows(memory.unwritten(ref, plan, work), rows);
      return {
        document: await requested.write('plans', plan),
        models: models.map(({ id }) => id),
        shards: snapshot.shards,
        pages: snapshot.pages.length,
        pairs: pairCount(plan),
        anchors: anchorCount(spec),
        referenceModel: referenceModel(spec),
        pinnedBasis: await pinnedBasis(requested),
        anchorChoice: anchorChoice(spec),
        diagnostics: plannedDiagnostics(plan),
        limit: spec.limits.quarantine_fraction,
      };
    },
  };
}

function anchorChoice({ basis }: RunSpec): PlanSummary['anchorChoice'] {
  if (basis.extend) return 'ranks';
  return basis.method === 'direct' ? 'clusters' : basis.method === 'explicit' ? 'names' : 'ranks';
}

/** The models of a request with everything their embeddings depend on. @throws a final failure for an unknown model */
async function planModels({ spec, dependencies }: RequestedRun): Promise<PlannedModel[]> {
  const { provider, batch } = spec.inference;
  const budget = batch ?? DEFAULT_BUDGETS[provider];
  const store = dependencies.openModels(spec.model_store);
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
