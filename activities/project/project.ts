import { digestJson } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import type { PartEntry } from '../../datasets/manifest.js';
import { decodeAnchorVectors } from '../../datasets/tables/anchorVectors.js';
import { encodeCoordinates } from '../../datasets/tables/coordinates.js';
import { decodeEmbeddings } from '../../datasets/tables/embeddings.js';
import { encodeStructureVectors } from '../../datasets/tables/structureVectors.js';
import { ThreadTaskFailed } from '../../threads/pool.js';
import { embeddedShard } from '../embed/embedded.js';
import { invalidInput } from '../engine/failures.js';
import type { ItemTask } from '../run/documents.js';
import type { Computed, ItemStage } from '../run/itemStage.js';
import type { PlannedRun } from '../run/openRun.js';
import { anchorPart } from './anchorVectors.js';

/** What projecting one shard left behind; nulls when the shard has no embedding. */
export interface ProjectReceipt {
  outputs: { coordinates: PartEntry | null; structure_vectors: PartEntry | null };
}

/** The project stage: cosines of one shard's atoms to the anchors, and their means over structures. */
export const projectStage: ItemStage<'project', ProjectReceipt> = {
  stage: 'project',
  async key(run, { model, basis, item }) {
    const [embeddings, anchors] = await Promise.all([embeddedShard(run, model, item), anchorPart(run, basis, model)]);
    return digestJson({
      embeddings: embeddings?.sha256 ?? null,
      anchors: anchors.sha256,
      centre: run.spec.coordinates.centre,
    });
  },
  placeOf({ snapshot: { snapshot } }, { model, basis, item }, role, sha256) {
    const keyOf = role === 'coordinates' ? keys.coordinatesPart : keys.structureVectorsPart;
    return keyOf(snapshot, basis, model, item, sha256);
  },
  tally: ({ outputs }) => ({ structures: outputs.structure_vectors?.rows ?? 0, atoms: outputs.coordinates?.rows ?? 0 }),
  compute: projectShard,
};

async function projectShard(run: PlannedRun, task: ItemTask<'project'>): Promise<Computed<ProjectReceipt>> {
  const { model, basis, item } = task;
  const embeddings = await embeddedShard(run, model, item);
  if (!embeddings) return { made: { outputs: { coordinates: null, structure_vectors: null } } };
  const { snapshot } = run.snapshot;
  const { centre } = run.spec.coordinates;
  const [rows, anchors] = await Promise.all([
    run.get(embeddings.key).then(decodeEmbeddings),
    anchorPart(run, basis, model).then(({ key }) =>
      run.once(`anchor vectors\n${key}`, async () => decodeAnchorVectors(await run.get(key))),
    ),
  ]);
  const centred = centre === 'anchors';
  const projection = { x: rows.vectors, anchors: anchors.vectors, dim: rows.dim, offsets: rows.offsets, centred };
  const {
    coordinates,
    means,
    anchors: dim,
  } = await run.compute('project', projection).catch((error: unknown) => {
    throw withoutDirection(error, model, centred);
  });
  const metadata = { model, basis, centre };
  const atomCounts = Int32Array.from(rows.materialIds, (_, s) => rows.offsets[s + 1] - rows.offsets[s]);
  const pooled = { materialIds: rows.materialIds, atomCounts, means, dim };
  const [ofAtoms, ofStructures] = await Promise.all([
    run.putPart(
      (sha) => keys.coordinatesPart(snapshot, basis, model, item, sha),
      encodeCoordinates({ ...rows, vectors: coordinates, dim }, metadata),
      rows.atomicNumbers.length,
    ),
    run.putPart(
      (sha) => keys.structureVectorsPart(snapshot, basis, model, item, sha),
      encodeStructureVectors(pooled, metadata),
      rows.materialIds.length,
    ),
  ]);
  return { made: { outputs: { coordinates: ofAtoms, structure_vectors: ofStructures } } };
}

/** A vector of length 0 has no cosine; raw ones are quarantined, so what is left is one that equals the mean of the anchors. */
function withoutDirection(error: unknown, model: string, centred: boolean): unknown {
  if (!(centred && error instanceof ThreadTaskFailed && error.errorName === 'RangeError')) return error;
  return invalidInput(
    `coordinates.centre: model ${model} has vectors that equal the mean of its anchors and so no direction from there ` +
      `(${error.message}); set coordinates.centre to none, take more anchors or leave the model out`,
  );
}
