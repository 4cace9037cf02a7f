import { digestJson } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import type { ModelIdentity } from '../../datasets/claim.js';
import type { PartEntry } from '../../datasets/manifest.js';
import type { QuarantineRow } from '../../datasets/tables/quarantine.js';
import { decodeStructures } from '../../datasets/tables/structures.js';
import { encodeEmbeddings } from '../../datasets/tables/embeddings.js';
import { offsetsOfCounts } from '../../datasets/tables/atomVectors.js';
import type { ItemTask, ShardEntry } from '../run/documents.js';
import type { Computed, ItemStage } from '../run/itemStage.js';
import type { PlannedRun } from '../run/openRun.js';

/** What embedding one shard left behind. */
export interface EmbedReceipt {
  /** Nulls when no structure of the shard was accepted. */
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

/** The embed stage: one shard through one model gives an embedding part and its partial moments. */
export const embedStage: ItemStage<'embed', EmbedReceipt> = {
  stage: 'embed',
  key: async (run, { model, item }) => embedKey(await run.shard(item), run.planned(model).identity),
  placeOf: ({ snapshot: { snapshot } }, { model, item }, role, sha256) =>
    role === 'embeddings' ? keys.embeddingsPart(snapshot, model, item, sha256) : keys.moments(sha256),
  tally: ({ structures, atoms, quarantine }) => ({ structures, atoms, quarantined: quarantine.length }),
  // Receipts of before energies were kept have none; their shards are embedded again, to the same bytes.
  usable: ({ energies }) => (energies as unknown) !== undefined,
  compute: embedShard,
};

async function embedShard(run: PlannedRun, task: ItemTask<'embed'>): Promise<Computed<EmbedReceipt>> {
  const { id, identity } = run.planned(task.model);
  const { snapshot } = run.snapshot;
  const [bytes, resolved] = await Promise.all([run.get((await run.shard(task.item)).key), run.resolve(id)]);
  const structures = decodeStructures(bytes);
  const result = await run.dependencies.inference(run.spec.inference.provider).embed(resolved, structures, {
    budget: identity.batch_budget,
    signal: run.work.signal,
    onProgress: (done) => run.work.beat({ structures: done }),
  });
  const quarantine = result.rejections.map(({ index, code, message }): QuarantineRow => {
    const { materialId, source } = structures[index];
    return { material_id: materialId, source, stage: 'embed', model: id, code, message };
  });
  const accepted = result.accepted.map((index) => structures[index]);
  const made: EmbedReceipt = {
    outputs: { embeddings: null, moments: null },
    structures: accepted.length,
    atoms: result.embedding.length / result.dim,
    energies: result.energies && Array.from(result.energies),
    quarantine,
  };
  if (accepted.length > 0) {
    const atomicNumbers = new Uint8Array(made.atoms);
    const offsets = offsetsOfCounts(accepted.map((structure) => structure.atomicNumbers.length));
    accepted.forEach((structure, i) => atomicNumbers.set(structure.atomicNumbers, offsets[i]));
    const materialIds = accepted.map((structure) => structure.materialId);
    const rows = { materialIds, offsets, atomicNumbers, vectors: result.embedding, dim: result.dim };
    const part = encodeEmbeddings(rows, {
      model: id,
      layer: resolved.card.embedding.layer,
      onnx_sha256: identity.onnx_sha256,
    });
    const partKey = (sha256: string) => keys.embeddingsPart(snapshot, id, task.item, sha256);
    const moments = run.compute('moments', { x: result.embedding, dim: result.dim });
    const [embeddings, partial] = await Promise.all([
      run.putPart(partKey, part, made.atoms),
      moments.then((encoded) => run.putPart(keys.moments, encoded, 1)),
    ]);
    made.outputs = { embeddings, moments: partial };
  }
  const { runSeconds, threadSeconds } = result.timing;
  return { made, cost: { runSeconds, threadSeconds } };
}
