import { digestJson } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import type { PartEntry } from '../../datasets/manifest.js';
import { findReceipt, placePart, writeReceipt } from '../../datasets/receipts.js';
import { encodeAnchorVectors } from '../../datasets/tables/anchorVectors.js';
import { decodeEmbeddings } from '../../datasets/tables/embeddings.js';
import { embeddedShard } from '../embed/embedded.js';
import { invalidInput } from '../engine/failures.js';
import type { PlanRef } from '../run/documents.js';
import { NotDone } from '../run/itemStage.js';
import type { PlannedRun, RunMemory } from '../run/openRun.js';
import type { Work } from '../engine/heartbeat.js';

interface AnchorReceipt {
  outputs: { vectors: PartEntry };
}

/** The anchors as each model sees them. */
export function anchorVectorsStage(memory: RunMemory) {
  return {
    /**
     * A model's own embeddings of the anchors. Once per basis and model identity: later snapshots reuse them, so that adding
     * structures leaves the coordinates of untouched shards as they are.
     */
    async anchorVectors(ref: PlanRef, basis: string, model: string, work: Work): Promise<{ reused: boolean }> {
      const run = await memory.planned(ref, work);
      const key = anchorKey(run, basis, model);
      const known = await findReceipt<AnchorReceipt>(run.store, 'anchor_vectors', key, work);
      if (known) {
        // The same network under another id has computed them.
        const { vectors } = known.outputs;
        await placePart(run.store, vectors, keys.anchorVectors(basis, model, vectors.sha256), work);
        return { reused: true };
      }
      const { dim } = run.planned(model);
      const vectors = await embeddingsOfAnchors(run, basis, model);
      const bytes = encodeAnchorVectors({ vectors, dim }, { model, basis });
      const part = await run.putPart((sha) => keys.anchorVectors(basis, model, sha), bytes, vectors.length / dim);
      await writeReceipt<AnchorReceipt>(run.store, 'anchor_vectors', key, { outputs: { vectors: part } }, work);
      return { reused: false };
    },
  };
}

/** [K, dim], from the shards that hold anchors. @throws a final failure where the model has no embedding of one */
async function embeddingsOfAnchors(run: PlannedRun, basis: string, model: string): Promise<Float32Array> {
  const { anchors } = await run.basis(basis);
  const { dim } = run.planned(model);
  const vectors = new Float32Array(anchors.length * dim);
  const missing = new Set(anchors.keys());
  const shards = await run.shardsHolding(anchors.map(({ material_id }) => material_id));
  const read = async (shard: number) => {
    const part = await embeddedShard(run, model, shard);
    return part && decodeEmbeddings(await run.get(part.key));
  };
  for await (const rows of run.ahead(shards.keys(), read)) {
    if (!rows) continue;
    const at = new Map(rows.materialIds.map((id, s) => [id, s]));
    for (const anchor of [...missing]) {
      const { material_id, atom_index } = anchors[anchor];
      const structure = at.get(material_id);
      if (structure === undefined) continue;
      const row = rows.offsets[structure] + atom_index;
      if (row >= rows.offsets[structure + 1]) continue;
      vectors.set(rows.vectors.subarray(row * dim, (row + 1) * dim), anchor * dim);
      missing.delete(anchor);
    }
    run.work.beat({ missing: missing.size });
  }
  if (missing.size === 0) return vectors;
  const names = [...missing].map((anchor) => `${anchors[anchor].material_id}:${anchors[anchor].atom_index}`);
  throw invalidInput(
    `model ${model} has no embedding of ${missing.size} of ${anchors.length} anchors of basis ${basis} ` +
      `(${names.slice(0, 5).join(', ')}): their structures left the sources or the model refuses them; ` +
      'fit a new basis with `basis: { refit: true }`',
  );
}

/** A model's own embeddings of the anchors, where this run publishes them. @throws {NotDone} */
export function anchorPart(run: PlannedRun, basis: string, model: string): Promise<PartEntry> {
  return run.once(`anchors\n${basis}\n${model}`, async () => {
    const receipt = await findReceipt<AnchorReceipt>(
      run.store,
      'anchor_vectors',
      anchorKey(run, basis, model),
      run.work,
    );
    if (!receipt) throw new NotDone(`activities: model ${model} has no anchor vectors in basis ${basis}`);
    const { vectors } = receipt.outputs;
    return { ...vectors, key: keys.anchorVectors(basis, model, vectors.sha256) };
  });
}

function anchorKey(run: PlannedRun, basis: string, model: string): string {
  return digestJson({ basis, ...run.planned(model).identity });
}
