import type { RunSpec } from '../config/runSpec.js';
import { claimModel } from '../datasets/claim.js';
import { readCatalog } from '../datasets/catalog.js';
import { DEFAULT_BUDGETS } from '../models/graphBatch.js';
import { encodingContract } from '../models/card.js';
import { ENCODER_VERSION } from '../models/inferencePool.js';
import { digestJson } from '../datasets/digest.js';
import * as keys from '../datasets/keys.js';
import { readJson } from '../datasets/json.js';
import type { BasisDocument, PlanDocument, PlannedModel, PlanSummary, RunRef } from './documents.js';
import { invalidInput } from './failures.js';
import type { Work } from './heartbeat.js';
import type { Runs } from './runs.js';

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

      const plan: PlanDocument = { spec, snapshot: await runs.snapshot(run, snapshot), models };
      return {
        document: await runs.write(run, 'plans', plan),
        models: models.map(({ id }) => id),
        shards: plan.snapshot.shards,
        pairs: (models.length * (models.length - 1)) / 2,
        anchors: anchorCount(spec),
        referenceModel: referenceModel(spec),
        pinnedBasis: await pinnedBasis(runs, run, work),
        basisPasses: spec.basis.method === 'direct',
        limit: spec.limits.quarantine_fraction,
      };
    },
  };
}

/** Number of anchors K that a spec asks for. */
export function anchorCount({ basis }: RunSpec): number {
  return Array.isArray(basis.anchors) ? basis.anchors.length : basis.anchors;
}

/** The model whose embeddings choose the anchors. */
export function referenceModel({ basis, models }: RunSpec): string {
  return basis.reference_model ?? models[0];
}

/** The models of a request with everything their embeddings depend on. @throws a final failure for an unknown model */
async function planModels(runs: Runs, run: RunRef): Promise<PlannedModel[]> {
  const { spec } = await runs.request(run);
  const { provider, batch } = spec.inference;
  const budget = batch ?? DEFAULT_BUDGETS[provider];
  const store = runs.deps.openModels(spec.model_store);
  return Promise.all(
    spec.models.map(async (id) => {
      const { card, cardSha256, onnxSha256 } = await store.resolve(id);
      return {
        id,
        card_sha256: cardSha256,
        dim: card.embedding.dim,
        licence: card.licence,
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

/**
 * The basis this run must take: the one named by `basis.from`, else the one its name pinned, while method, K, reference model and
 * centre are what the spec says; null when a basis is to be fitted.
 */
async function pinnedBasis(runs: Runs, run: RunRef, work: Work): Promise<string | null> {
  const { spec } = await runs.request(run);
  const store = runs.store(run);
  const { from, refit, method } = spec.basis;
  if (from) {
    const known = await readJson<BasisDocument>(store, keys.basisRecord(from), work);
    if (!known)
      throw invalidInput(`basis.from: there is no basis ${from} in ${run.output}; name one of its folder bases/`);
    if (known.centre !== spec.coordinates.centre)
      throw invalidInput(
        `basis.from: basis ${from} has coordinates.centre '${known.centre}', the spec says '${spec.coordinates.centre}'; set it to the former`,
      );
    return known.basis;
  }
  if (refit) return null;
  const pinned = (await readCatalog(store, work)).runs[spec.name]?.basis;
  const known = pinned && (await readJson<BasisDocument>(store, keys.basisRecord(pinned.digest), work));
  if (!known) return null;
  const asked = Array.isArray(spec.basis.anchors) ? spec.basis.anchors : null;
  const named = known.anchors.map(({ material_id, atom_index }) => `${material_id}:${atom_index}`);
  const same =
    known.method === method &&
    known.anchors.length === anchorCount(spec) &&
    known.reference_model === referenceModel(spec) &&
    known.centre === spec.coordinates.centre &&
    (asked === null || asked.every((name, i) => name === named[i]));
  return same ? known.basis : null;
}
