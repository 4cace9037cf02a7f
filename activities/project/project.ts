import { digestJson } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import type { PartEntry } from '../../datasets/manifest.js';
import { findReceipt, writeReceipt, placePart } from '../../datasets/receipts.js';
import { decodeAnchorVectors, encodeAnchorVectors } from '../../datasets/tables/anchorVectors.js';
import { encodeCoordinates } from '../../datasets/tables/coordinates.js';
import { decodeEmbeddings } from '../../datasets/tables/embeddings.js';
import { encodeStructureVectors } from '../../datasets/tables/structureVectors.js';
import { ThreadTaskFailed } from '../../threads/pool.js';
import {
  tallyOf,
  type Tally,
  type ItemTask,
  type ModelParts,
  type PlanDocument,
  type RunRef,
} from '../run/documents.js';
import { embedReceipt, findEmbedding } from '../embed/embed.js';
import { invalidInput } from '../engine/failures.js';
import type { Work } from '../engine/heartbeat.js';
import type { Runs } from '../run/runs.js';

/** What projecting one shard left behind; nulls when the shard has no embedding. */
interface ProjectReceipt {
  outputs: { coordinates: PartEntry | null; structure_vectors: PartEntry | null };
}

interface AnchorReceipt {
  outputs: { vectors: PartEntry };
}

interface ModelReceipt {
  outputs: Record<string, never>;
  parts: ModelParts;
}

/** Anchor vectors and coordinates of a model. */
export function projectStage(runs: Runs) {
  return {
    /**
     * A model's own embeddings of the anchors. Once per basis and model identity: later snapshots reuse them, so that adding
     * structures leaves the coordinates of untouched shards as they are.
     */
    async anchorVectors(run: RunRef, basis: string, model: string, work: Work): Promise<{ reused: boolean }> {
      const plan = await runs.plan(run);
      const store = runs.store(run);
      const key = anchorKey(plan, runs, basis, model);
      const known = await findReceipt<AnchorReceipt>(store, 'anchor_vectors', key, work);
      if (known) {
        // The same network under another id has computed them.
        const { vectors } = known.outputs;
        await placePart(store, vectors, keys.anchorVectors(basis, model, vectors.sha256), work);
        return { reused: true };
      }

      const { anchors } = await runs.basis(run, basis);
      const { dim } = runs.planned(plan, model);
      const vectors = new Float32Array(anchors.length * dim);
      const missing = new Set(anchors.keys());
      const shards = await runs.shardsOf(run, plan, [...new Set(anchors.map(({ material_id }) => material_id))]);
      for (const item of shards.keys()) {
        const { embeddings } = (await embedReceipt(runs, run, plan, model, item, work)).outputs;
        if (!embeddings) continue;
        const rows = decodeEmbeddings(await store.get(embeddings.key, work));
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
        work.beat({ shard: item });
      }
      if (missing.size > 0) {
        const names = [...missing].map((anchor) => `${anchors[anchor].material_id}:${anchors[anchor].atom_index}`);
        throw invalidInput(
          `model ${model} has no embedding of ${missing.size} of ${anchors.length} anchors of basis ${basis} ` +
            `(${names.slice(0, 5).join(', ')}): their structures left the sources or the model refuses them; ` +
            'fit a new basis with `basis: { refit: true }`',
        );
      }
      const bytes = encodeAnchorVectors({ vectors, dim }, { model, basis });
      const part = await runs.putPart(run, (sha) => keys.anchorVectors(basis, model, sha), bytes, anchors.length, work);
      await writeReceipt<AnchorReceipt>(store, 'anchor_vectors', key, { outputs: { vectors: part } }, work);
      return { reused: false };
    },

    /** Cosines of one shard's atoms to the anchors (`argument` is the basis), and their means over structures. */
    async project({ run, model, item, argument: basis }: ItemTask, work: Work): Promise<Tally> {
      const plan = await runs.plan(run);
      const planned = runs.planned(plan, model);
      const { snapshot } = plan.snapshot;
      const store = runs.store(run);
      const embedded = await embedReceipt(runs, run, plan, planned.id, item, work);
      const { embeddings } = embedded.outputs;
      const totals = { structures: embedded.structures, atoms: embedded.atoms };
      const anchors = await anchorPart(runs, run, plan, basis, planned.id, work);
      if (!anchors) throw new Error(`activities: model ${planned.id} has no anchor vectors in basis ${basis}`);
      const key = projectKey(embeddings, anchors, plan);
      const coordinatesKey = (sha: string) => keys.coordinatesPart(snapshot, basis, planned.id, item, sha);
      const structuresKey = (sha: string) => keys.structureVectorsPart(snapshot, basis, planned.id, item, sha);
      const known = await findReceipt<ProjectReceipt>(store, 'project', key, work);
      if (known) {
        const { coordinates, structure_vectors } = known.outputs;
        if (coordinates) await placePart(store, coordinates, coordinatesKey(coordinates.sha256), work);
        if (structure_vectors) await placePart(store, structure_vectors, structuresKey(structure_vectors.sha256), work);
        return tallyOf({ reused: 1, ...totals });
      }
      if (work.lookupOnly) return tallyOf({ done: 0 });

      const receipt: ProjectReceipt = { outputs: { coordinates: null, structure_vectors: null } };
      if (embeddings) {
        const rows = decodeEmbeddings(await store.get(embeddings.key, work));
        const { vectors } = decodeAnchorVectors(await store.get(anchors.key, work));
        const centred = plan.spec.coordinates.centre === 'anchors';
        const task = { x: rows.vectors, anchors: vectors, dim: rows.dim, offsets: rows.offsets, centred };
        const {
          coordinates,
          means,
          anchors: dim,
        } = await runs.deps.compute.call('project', task, { signal: work.signal }).catch((error: unknown) => {
          throw withoutDirection(error, planned.id, centred);
        });
        const metadata = { model: planned.id, basis, centre: plan.spec.coordinates.centre };
        receipt.outputs.coordinates = await runs.putPart(
          run,
          coordinatesKey,
          encodeCoordinates({ ...rows, vectors: coordinates, dim }, metadata),
          rows.atomicNumbers.length,
          work,
        );
        const atomCounts = Int32Array.from(rows.materialIds, (_, s) => rows.offsets[s + 1] - rows.offsets[s]);
        receipt.outputs.structure_vectors = await runs.putPart(
          run,
          structuresKey,
          encodeStructureVectors({ materialIds: rows.materialIds, atomCounts, means, dim }, metadata),
          rows.materialIds.length,
          work,
        );
      }
      await writeReceipt<ProjectReceipt>(store, 'project', key, receipt, work);
      return tallyOf(totals);
    },

    /** Lists everything a model has in this snapshot and basis, in shard order. */
    async collectModel(run: RunRef, basis: string, model: string, work: Work): Promise<{ digest: string }> {
      const parts = await collectParts(runs, run, basis, model, work);
      await writeReceipt<ModelReceipt>(
        runs.store(run),
        'model',
        modelKey(run, basis, model),
        { outputs: {}, parts },
        work,
      );
      return { digest: parts.digest };
    },
  };
}

/** Everything a model has, found by its receipts. @throws when a shard is not done */
export async function collectParts(
  runs: Runs,
  run: RunRef,
  basis: string,
  model: string,
  work: Work,
): Promise<ModelParts> {
  const plan = await runs.plan(run);
  const { snapshot } = plan.snapshot;
  const anchors = await anchorPart(runs, run, plan, basis, model, work);
  if (!anchors) throw new Error(`activities: model ${model} has no anchor vectors in basis ${basis}`);
  const parts: ModelParts = {
    model,
    embeddings: [],
    coordinates: [],
    structure_vectors: [],
    anchor_vectors: anchors,
    structures: 0,
    atoms: 0,
    quarantine: [],
    digest: '',
  };
  for (let item = 0; item < plan.snapshot.shards; item++) {
    const embedded = await embedReceipt(runs, run, plan, model, item, work);
    parts.structures += embedded.structures;
    parts.atoms += embedded.atoms;
    parts.quarantine.push(...embedded.quarantine);
    const { embeddings } = embedded.outputs;
    if (!embeddings) continue;
    const key = projectKey(embeddings, anchors, plan);
    const { coordinates, structure_vectors } =
      (await findReceipt<ProjectReceipt>(runs.store(run), 'project', key, work))?.outputs ?? {};
    if (!coordinates || !structure_vectors)
      throw new Error(`activities: shard ${item} of ${snapshot} has no coordinates for ${model}`);
    const at = (table: 'coordinatesPart' | 'structureVectorsPart', part: PartEntry) => ({
      ...part,
      key: keys[table](snapshot, basis, model, item, part.sha256),
    });
    parts.embeddings.push(embeddings);
    parts.coordinates.push(at('coordinatesPart', coordinates));
    parts.structure_vectors.push(at('structureVectorsPart', structure_vectors));
    work.beat({ shard: item });
  }
  parts.digest = digestJson([parts.embeddings, parts.coordinates].map((list) => list.map(({ sha256 }) => sha256)));
  return parts;
}

/** Number of shards whose coordinates are there already. */
export async function projectedShards(
  runs: Runs,
  run: RunRef,
  plan: PlanDocument,
  basis: string,
  model: string,
  work: Work,
): Promise<number> {
  const anchors = await anchorPart(runs, run, plan, basis, model, work);
  if (!anchors) return 0;
  let found = 0;
  for (let item = 0; item < plan.snapshot.shards; item++) {
    const embedded = await findEmbedding(runs, run, plan, model, item, work);
    if (!embedded) continue;
    const key = projectKey(embedded.outputs.embeddings, anchors, plan);
    if (await findReceipt<ProjectReceipt>(runs.store(run), 'project', key, work)) found++;
  }
  return found;
}

/** A model of the run whose parts are not all there yet. */
export class ModelNotCollected extends Error {
  override readonly name = 'ModelNotCollected';
}

/** Everything a model has in the snapshot and basis of a run. @throws {ModelNotCollected} */
export async function modelParts(
  runs: Runs,
  run: RunRef,
  basis: string,
  model: string,
  work: Work,
): Promise<ModelParts> {
  const receipt = await findReceipt<ModelReceipt>(runs.store(run), 'model', modelKey(run, basis, model), work);
  if (!receipt) throw new ModelNotCollected(`activities: model ${model} is not collected`);
  return receipt.parts;
}

/** A vector of length 0 has no cosine; raw ones are quarantined, so what is left is one that equals the mean of the anchors. */
function withoutDirection(error: unknown, model: string, centred: boolean): unknown {
  if (!(centred && error instanceof ThreadTaskFailed && error.errorName === 'RangeError')) return error;
  return invalidInput(
    `coordinates.centre: model ${model} has vectors that equal the mean of its anchors and so no direction from there ` +
      `(${error.message}); set coordinates.centre to none, take more anchors or leave the model out`,
  );
}

function modelKey(run: RunRef, basis: string, model: string): string {
  return digestJson({ plan: run.document, basis, model });
}

function anchorKey(plan: PlanDocument, runs: Runs, basis: string, model: string): string {
  return digestJson({ basis, ...runs.planned(plan, model).identity });
}

async function anchorPart(
  runs: Runs,
  run: RunRef,
  plan: PlanDocument,
  basis: string,
  model: string,
  work: Work,
): Promise<PartEntry | undefined> {
  const key = anchorKey(plan, runs, basis, model);
  const found = (await findReceipt<AnchorReceipt>(runs.store(run), 'anchor_vectors', key, work))?.outputs.vectors;
  return found && { ...found, key: keys.anchorVectors(basis, model, found.sha256) };
}

function projectKey(embeddings: PartEntry | null, anchors: PartEntry, plan: PlanDocument): string {
  return digestJson({
    embeddings: embeddings?.sha256 ?? null,
    anchors: anchors.sha256,
    centre: plan.spec.coordinates.centre,
  });
}
