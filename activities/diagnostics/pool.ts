import { digestJson } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import type { PartEntry } from '../../datasets/manifest.js';
import { matrix, type Matrix } from '../../latent/base/matrix.js';
import { invalidInput } from '../engine/failures.js';
import type { Space } from '../../config/names.js';
import { modelInBasis } from '../project/projected.js';
import { itemMade, type ItemStage } from '../run/itemStage.js';
import { OnceCache } from '../run/onceCache.js';
import type { PlannedRun } from '../run/openRun.js';
import { decodeArrays, encodeArrays } from '../run/typedArrays.js';
import { pooledPieces } from '../selection/gather.js';
import { diagnosticIndex } from './diagnosticIndex.js';
import { joinPieces, POOL_VERSION, type PackedPool } from './pooling.js';

/** Pooled models kept in memory, in bytes. */
const POOLED_BYTES = 384 * 2 ** 20;

/** What diagnostics look at of one model: see `DiagnosticIndex` for what is meant by structures, rows, reference. */
export interface PooledModel {
  model: string;
  /** [S] positions in the index of the structures that the model embedded, ascending. */
  structures: Int32Array;
  /** Position here of a structure of the index. */
  at: ReadonlyMap<number, number>;
  /** Mean vectors of structures [S, K], [S, d], and of embeddings of length 1 [S, d]. */
  means: Record<Space, Matrix<Float32Array>>;
  directions: Matrix<Float32Array>;
  /** [S] eV per atom; null where the model gives no energy. */
  energies: Float64Array | null;
  /** [n] positions in the index of the rows it has, and their vectors. */
  rows: Int32Array;
  rowVectors: Record<Space, Matrix<Float32Array>>;
  reference: Int32Array;
  referenceVectors: Record<Space, Matrix<Float32Array>>;
  grouped: Int32Array;
  groupedCoordinates: Matrix<Float32Array>;
  /** Of every atom that has equivalent ones in its structure, the largest distance within its orbit. */
  orbitSpreads: Record<Space, Float64Array>;
  /** Sum of squares of all components of embeddings of structures that have a symmetry. */
  symmetricSquares: number;
  /** Over all structures: elements [E], their atoms, sums [E, K] and [E, d]. */
  elements: Int32Array;
  elementCounts: Float64Array;
  elementSums: Record<Space, Matrix<Float64Array>>;
  /** Over one structure of a substitution: structure (of the index) and element [P], atoms, sums. */
  shares: { structure: Int32Array; element: Int32Array; count: Int32Array };
  shareSums: Record<Space, Matrix<Float32Array>>;
}

interface PoolReceipt {
  outputs: { pool: PartEntry };
}

/** The pool stage, an item a model: joins what was gathered for diagnostics page by page. */
export const poolStage: ItemStage<'pool', PoolReceipt> = {
  stage: 'pool',
  async key(run, { basis, item }) {
    const [{ digest: model }, { digest: index }] = await Promise.all([
      modelInBasis(run, run.plan.models[item].id, basis),
      diagnosticIndex(run),
    ]);
    return digestJson({ version: POOL_VERSION, index, model });
  },
  async compute(run, { basis, item }) {
    const { id: model } = run.plan.models[item];
    const pool = await joinPieces(pooledPieces(run, model, basis));
    if (pool.structures.length === 0)
      throw invalidInput(
        `model ${model} embedded none of the ${(await diagnosticIndex(run)).structures.length} structures that diagnostics look at; ` +
          'raise diagnostics.structures or leave the model out',
      );
    return { made: { outputs: { pool: await run.putPart(keys.pooledModel, encodeArrays(pool), 1) } } };
  },
};

/** The object that holds what was pooled of a model; asked for once a process. @throws {NotDone} */
export function pooledPart(run: PlannedRun, model: string, basis: string): Promise<PartEntry> {
  return run.once(`pool\n${basis}\n${model}`, async () => {
    const item = run.plan.models.findIndex(({ id }) => id === model);
    return (await itemMade(poolStage, run, { stage: 'pool', run: run.ref, basis, item })).outputs.pool;
  });
}

const pools = new OnceCache<PooledModel>(POOLED_BYTES, sizeOf);

/** What was pooled of a model. @throws {NotDone} */
export async function pooledModel(run: PlannedRun, model: string, basis: string): Promise<PooledModel> {
  const { key } = await pooledPart(run, model, basis);
  const decode = async () => unpack(model, decodeArrays<PackedPool>(await run.get(key)));
  // One network under two ids is pooled once.
  return pools.get(`${run.output}\n${model}\n${key}`, decode, run.work.signal);
}

function unpack(model: string, packed: PackedPool): PooledModel {
  const count = packed.structures.length;
  const dim = { coordinates: packed.coordinates.length / count, embeddings: packed.embeddings.length / count };
  const spaces = <T extends Float32Array | Float64Array>(coordinates: T, embeddings: T, rows: number) => ({
    coordinates: matrix(coordinates, rows, dim.coordinates),
    embeddings: matrix(embeddings, rows, dim.embeddings),
  });
  return {
    model,
    structures: packed.structures,
    at: new Map(Array.from(packed.structures, (position, at) => [position, at])),
    means: spaces(packed.coordinates, packed.embeddings, count),
    directions: matrix(packed.directions, count, dim.embeddings),
    energies: packed.energies.length === count ? packed.energies : null,
    rows: packed.rows,
    rowVectors: spaces(packed.rowCoordinates, packed.rowEmbeddings, packed.rows.length),
    reference: packed.reference,
    referenceVectors: spaces(packed.referenceCoordinates, packed.referenceEmbeddings, packed.reference.length),
    grouped: packed.grouped,
    groupedCoordinates: matrix(packed.groupedCoordinates, packed.grouped.length, dim.coordinates),
    orbitSpreads: { coordinates: packed.spreadCoordinates, embeddings: packed.spreadEmbeddings },
    symmetricSquares: packed.symmetricSquares[0],
    elements: packed.elements,
    elementCounts: packed.elementCounts,
    elementSums: spaces(packed.elementCoordinates, packed.elementEmbeddings, packed.elements.length),
    shares: { structure: packed.shareStructure, element: packed.shareElement, count: packed.shareCount },
    shareSums: spaces(packed.shareCoordinates, packed.shareEmbeddings, packed.shareStructure.length),
  };
}

function sizeOf(pool: PooledModel): number {
  const { means, rowVectors, referenceVectors, elementSums, shareSums, orbitSpreads } = pool;
  const spaces: Record<Space, Matrix>[] = [means, rowVectors, referenceVectors, elementSums, shareSums];
  const matrices = [
    pool.directions,
    pool.groupedCoordinates,
    ...spaces.flatMap(({ coordinates, embeddings }) => [coordinates, embeddings]),
  ];
  const spreads = orbitSpreads.coordinates.byteLength + orbitSpreads.embeddings.byteLength;
  return matrices.reduce((sum, { data }) => sum + data.byteLength, spreads);
}
