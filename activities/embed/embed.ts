import { digestJson } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import type { ModelIdentity } from '../../datasets/claim.js';
import type { PartEntry } from '../../datasets/manifest.js';
import type { QuarantineRow } from '../../datasets/tables/quarantine.js';
import { findReceipt, writeReceipt, placePart } from '../../datasets/receipts.js';
import { decodeStructures } from '../../datasets/tables/structures.js';
import { encodeEmbeddings } from '../../datasets/tables/embeddings.js';
import { offsetsOfCounts } from '../../datasets/tables/atomVectors.js';
import {
  tallyOf,
  type Tally,
  type ItemTask,
  type PlanDocument,
  type RunRef,
  type ShardEntry,
} from '../run/documents.js';
import type { Work } from '../engine/heartbeat.js';
import type { Runs } from '../run/runs.js';

/** What embedding one shard left behind. */
export interface EmbedReceipt {
  /** The part under the leaf of the snapshot that computed it first; null when no structure of the shard was accepted. */
  outputs: { embeddings: PartEntry | null; moments: PartEntry | null };
  structures: number;
  atoms: number;
  /** Total energy of each embedded structure in eV, in the order of the part; null where the model gives none. */
  energies: number[] | null;
  quarantine: QuarantineRow[];
}

/** Cache key of one embedding part: what the network sees and what the network is. */
export function embedKey(shard: ShardEntry, identity: ModelIdentity): string {
  return digestJson({ shard: shard.content, ...identity });
}

/** The embed stage: one shard through one model. */
export function embedStage(runs: Runs) {
  return {
    /** Reads a shard, runs the model, writes the embedding part and its partial moments. */
    async embed({ run, model, item }: ItemTask, work: Work): Promise<Tally> {
      const plan = await runs.plan(run);
      const planned = runs.planned(plan, model);
      const store = runs.store(run);
      const { snapshot } = plan.snapshot;
      const shard = await runs.shard(run, snapshot, item);
      const key = embedKey(shard, planned.identity);
      const partKey = (sha256: string) => keys.embeddingsPart(snapshot, planned.id, item, sha256);
      const known = await findEmbedding(runs, run, plan, planned.id, item, work);
      if (known) {
        const { embeddings } = known.outputs;
        if (embeddings) await placePart(store, embeddings, partKey(embeddings.sha256), work);
        return tallyOf({
          reused: 1,
          structures: known.structures,
          atoms: known.atoms,
          quarantined: known.quarantine.length,
        });
      }
      if (work.lookupOnly) return tallyOf({ done: 0 });

      const structures = decodeStructures(await store.get(shard.key, work));
      const resolved = await runs.resolve(plan, planned.id);
      const result = await runs.deps.inference(plan.spec.inference.provider).embed(resolved, structures, {
        budget: planned.identity.batch_budget,
        signal: work.signal,
        onProgress: (done) => work.beat({ structures: done }),
      });
      const quarantine = result.rejections.map(({ index, code, message }): QuarantineRow => {
        const { materialId, source } = structures[index];
        return { material_id: materialId, source, stage: 'embed', model: planned.id, code, message };
      });
      const accepted = result.accepted.map((index) => structures[index]);
      const receipt: EmbedReceipt = {
        outputs: { embeddings: null, moments: null },
        structures: accepted.length,
        atoms: result.embedding.length / result.dim,
        energies: result.energies && Array.from(result.energies),
        quarantine,
      };
      if (accepted.length > 0) {
        const atomicNumbers = new Uint8Array(receipt.atoms);
        const offsets = offsetsOfCounts(accepted.map((structure) => structure.atomicNumbers.length));
        accepted.forEach((structure, i) => atomicNumbers.set(structure.atomicNumbers, offsets[i]));
        const rows = {
          materialIds: accepted.map((structure) => structure.materialId),
          offsets,
          atomicNumbers,
          vectors: result.embedding,
          dim: result.dim,
        };
        const part = encodeEmbeddings(rows, {
          model: planned.id,
          layer: resolved.card.embedding.layer,
          onnx_sha256: planned.identity.onnx_sha256,
        });
        receipt.outputs.embeddings = await runs.putPart(run, partKey, part, receipt.atoms, work);
        const moments = await runs.deps.compute.call(
          'moments',
          { x: result.embedding, dim: result.dim },
          { signal: work.signal },
        );
        receipt.outputs.moments = await runs.putPart(run, keys.moments, moments, 1, work);
      }
      await writeReceipt(store, 'embed', key, receipt, work);
      const { runSeconds, threadSeconds } = result.timing;
      return tallyOf({
        structures: receipt.structures,
        atoms: receipt.atoms,
        quarantined: quarantine.length,
        runSeconds,
        threadSeconds,
      });
    },
  };
}

/** The receipt of an embedded shard, if there is one. */
export async function findEmbedding(
  runs: Runs,
  run: RunRef,
  plan: PlanDocument,
  model: string,
  index: number,
  work: Work,
): Promise<EmbedReceipt | undefined> {
  const shard = await runs.shard(run, plan.snapshot.snapshot, index);
  const key = embedKey(shard, runs.planned(plan, model).identity);
  const receipt = await findReceipt<EmbedReceipt>(runs.store(run), 'embed', key, work);
  // Receipts of before energies were kept have none; their shards are embedded again, to the same bytes.
  return receipt?.energies === undefined ? undefined : receipt;
}

/** The receipt of an embedded shard, with its part under the leaf of this run's snapshot. @throws when there is none */
export async function embedReceipt(
  runs: Runs,
  run: RunRef,
  plan: PlanDocument,
  model: string,
  index: number,
  work: Work,
): Promise<EmbedReceipt> {
  const { snapshot } = plan.snapshot;
  const receipt = await findEmbedding(runs, run, plan, model, index, work);
  if (!receipt) throw new Error(`activities: shard ${index} of ${snapshot} is not embedded with ${model}`);
  const { embeddings, moments } = receipt.outputs;
  if (!embeddings) return receipt;
  const key = keys.embeddingsPart(snapshot, model, index, embeddings.sha256);
  return { ...receipt, outputs: { embeddings: { ...embeddings, key }, moments } };
}
