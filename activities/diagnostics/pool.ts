import { digestJson } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import type { PartEntry } from '../../datasets/manifest.js';
import { findReceipt, writeReceipt } from '../../datasets/receipts.js';
import { decodeCoordinates } from '../../datasets/tables/coordinates.js';
import { decodeEmbeddings } from '../../datasets/tables/embeddings.js';
import { matrix, type Matrix } from '../../latent/base/matrix.js';
import type { DiagnosticIndex, DiagnosticIndices } from './diagnosticIndex.js';
import {
  tallyOf,
  type ItemTask,
  type ModelParts,
  type PlanDocument,
  type RunRef,
  type Tally,
} from '../run/documents.js';
import { embedReceipt } from '../embed/embed.js';
import { invalidInput } from '../engine/failures.js';
import type { Work } from '../engine/heartbeat.js';
import { OnceCache } from '../run/onceCache.js';
import { modelParts } from '../project/project.js';
import type { Runs } from '../run/runs.js';
import { decodeArrays, encodeArrays, type TypedArrays } from '../run/typedArrays.js';

/** Pooled models kept in memory, in bytes. */
const POOLED_BYTES = 384 * 2 ** 20;
/** Version of what is pooled. */
const POOL_VERSION = 1;

/** Sums over atoms in one space, float32 per element of a structure, float64 over all structures. */
type Space = 'coordinates' | 'embeddings';
/** Spaces that are pooled. */
export const POOLED_SPACES: readonly Space[] = ['coordinates', 'embeddings'];

/** What diagnostics look at of one model: see {@link DiagnosticIndex} for what is meant by structures, rows, reference. */
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

/** Pools models, and reads what was pooled. */
export class Pools {
  private readonly known = new OnceCache<PooledModel>(POOLED_BYTES, sizeOf);

  constructor(
    private readonly runs: Runs,
    private readonly indices: DiagnosticIndices,
  ) {}

  /** What was pooled of a model. @throws when the pool stage has not been there */
  async of(run: RunRef, plan: PlanDocument, basis: string, model: string, work: Work): Promise<PooledModel> {
    const store = this.runs.store(run);
    const part = await this.find(run, plan, basis, model, work);
    if (!part) throw new Error(`activities: model ${model} is not pooled`);
    const { key } = part;
    const decode = async () => unpack(model, decodeArrays<Packed>(await store.get(key, work)));
    // One network under two ids is pooled once.
    return this.known.get(`${run.output}\n${model}\n${key}`, decode, work.signal);
  }

  /** The object that holds it; undefined where the pool stage has not been there. */
  async find(
    run: RunRef,
    plan: PlanDocument,
    basis: string,
    model: string,
    work: Work,
  ): Promise<PartEntry | undefined> {
    const parts = await modelParts(this.runs, run, basis, model, work);
    const index = await this.indices.of(run, plan, work);
    return (await findReceipt<PoolReceipt>(this.runs.store(run), 'pool', poolKey(parts, index), work))?.outputs.pool;
  }
}

/** The pool stage: one pass over the parts of a model gathers what the diagnostics of models and pairs look at. */
export function poolStage(runs: Runs, indices: DiagnosticIndices) {
  return {
    /** Pools model `item` of the plan; `argument` is the basis. */
    async pool({ run, item, argument: basis }: ItemTask, work: Work): Promise<Tally> {
      const plan = await runs.plan(run);
      const model = plan.models[item].id;
      const parts = await modelParts(runs, run, basis, model, work);
      const index = await indices.of(run, plan, work);
      const store = runs.store(run);
      const key = poolKey(parts, index);
      if (await findReceipt<PoolReceipt>(store, 'pool', key, work)) return tallyOf({ reused: 1 });
      if (work.lookupOnly) return tallyOf({ done: 0 });
      const bytes = encodeArrays({ ...(await gather(runs, run, plan, parts, index, work)) });
      const pool = await runs.putPart(run, keys.pooledModel, bytes, 1, work);
      await writeReceipt<PoolReceipt>(store, 'pool', key, { outputs: { pool } }, work);
      return tallyOf({});
    },
  };
}

function poolKey(parts: ModelParts, index: DiagnosticIndex): string {
  return digestJson({ version: POOL_VERSION, index: index.digest, model: parts.digest });
}

/** {@link PooledModel} as it is stored. */
interface Packed extends TypedArrays {
  structures: Int32Array<ArrayBuffer>;
  coordinates: Float32Array<ArrayBuffer>;
  embeddings: Float32Array<ArrayBuffer>;
  directions: Float32Array<ArrayBuffer>;
  /** Empty where the model gives none. */
  energies: Float64Array<ArrayBuffer>;
  rows: Int32Array<ArrayBuffer>;
  rowCoordinates: Float32Array<ArrayBuffer>;
  rowEmbeddings: Float32Array<ArrayBuffer>;
  reference: Int32Array<ArrayBuffer>;
  referenceCoordinates: Float32Array<ArrayBuffer>;
  referenceEmbeddings: Float32Array<ArrayBuffer>;
  elements: Int32Array<ArrayBuffer>;
  elementCounts: Float64Array<ArrayBuffer>;
  elementCoordinates: Float64Array<ArrayBuffer>;
  elementEmbeddings: Float64Array<ArrayBuffer>;
  shareStructure: Int32Array<ArrayBuffer>;
  shareElement: Int32Array<ArrayBuffer>;
  shareCount: Int32Array<ArrayBuffer>;
  shareCoordinates: Float32Array<ArrayBuffer>;
  shareEmbeddings: Float32Array<ArrayBuffer>;
}

function unpack(model: string, packed: Packed): PooledModel {
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
    elements: packed.elements,
    elementCounts: packed.elementCounts,
    elementSums: spaces(packed.elementCoordinates, packed.elementEmbeddings, packed.elements.length),
    shares: { structure: packed.shareStructure, element: packed.shareElement, count: packed.shareCount },
    shareSums: spaces(packed.shareCoordinates, packed.shareEmbeddings, packed.shareStructure.length),
  };
}

function sizeOf({ means, directions, rowVectors, referenceVectors, elementSums, shareSums }: PooledModel): number {
  const spaces: Record<Space, Matrix>[] = [means, rowVectors, referenceVectors, elementSums, shareSums];
  const matrices = [directions, ...spaces.flatMap(({ coordinates, embeddings }) => [coordinates, embeddings])];
  return matrices.reduce((sum, { data }) => sum + data.byteLength, 0);
}

async function gather(
  runs: Runs,
  run: RunRef,
  plan: PlanDocument,
  parts: ModelParts,
  index: DiagnosticIndex,
  work: Work,
): Promise<Packed> {
  const store = runs.store(run);
  const paired = new Set(index.substitutions.flatMap(({ source, target }) => [source, target]));
  const byShard = new Map<number, number[]>();
  index.structures.forEach(({ shard }, position) => {
    const known = byShard.get(shard);
    if (known) known.push(position);
    else byShard.set(shard, [position]);
  });
  const rowsOf = byStructure(index.rows);
  const referenceOf = byStructure(index.reference);
  const lists = {
    structures: new List(),
    coordinates: new List(),
    embeddings: new List(),
    directions: new List(),
    energies: new List(),
    rows: new List(),
    rowCoordinates: new List(),
    rowEmbeddings: new List(),
    reference: new List(),
    referenceCoordinates: new List(),
    referenceEmbeddings: new List(),
    shareStructure: new List(),
    shareElement: new List(),
    shareCount: new List(),
    shareCoordinates: new List(),
    shareEmbeddings: new List(),
  };
  const totals = new Map<number, { count: number; coordinates: Float64Array; embeddings: Float64Array }>();
  const coordinateParts = new Map(parts.coordinates.map((part) => [keys.shardOf(part.key), part]));
  for (const [shard, positions] of [...byShard].sort(([a], [b]) => a - b)) {
    const receipt = await embedReceipt(runs, run, plan, parts.model, shard, work);
    const [part, projected] = [receipt.outputs.embeddings, coordinateParts.get(shard)];
    if (!part || !projected) continue; // the model embedded nothing of this shard
    const raw = decodeEmbeddings(await store.get(part.key, work));
    const z = decodeCoordinates(await store.get(projected.key, work));
    const at = new Map(raw.materialIds.map((id, s) => [id, s]));
    for (const position of positions) {
      const s = at.get(index.structures[position].materialId);
      if (s === undefined) continue;
      const [from, to] = [raw.offsets[s], raw.offsets[s + 1]];
      lists.structures.push(position);
      if (receipt.energies) lists.energies.push(receipt.energies[s] / (to - from));
      const byElement = new Map<number, { count: number; coordinates: Float64Array; embeddings: Float64Array }>();
      const directions = new Float64Array(raw.dim);
      for (let atom = from; atom < to; atom++) {
        const element = raw.atomicNumbers[atom];
        const sums = byElement.get(element) ?? {
          count: 0,
          coordinates: new Float64Array(z.dim),
          embeddings: new Float64Array(raw.dim),
        };
        byElement.set(element, sums);
        sums.count++;
        for (let c = 0, k = atom * z.dim; c < z.dim; c++) sums.coordinates[c] += z.vectors[k++];
        let square = 0;
        for (let c = 0, k = atom * raw.dim; c < raw.dim; c++) square += raw.vectors[k++] ** 2;
        const norm = Math.sqrt(square);
        for (let c = 0, k = atom * raw.dim; c < raw.dim; c++) {
          sums.embeddings[c] += raw.vectors[k];
          directions[c] += raw.vectors[k++] / norm;
        }
      }
      for (const space of POOLED_SPACES) {
        const mean = new Float64Array(space === 'coordinates' ? z.dim : raw.dim);
        for (const sums of byElement.values()) add(mean, sums[space]);
        lists[space].append(mean.map((value) => value / (to - from)));
      }
      lists.directions.append(directions.map((value) => value / (to - from)));
      for (const [element, sums] of byElement) {
        const total = totals.get(element) ?? {
          count: 0,
          coordinates: new Float64Array(z.dim),
          embeddings: new Float64Array(raw.dim),
        };
        totals.set(element, total);
        total.count += sums.count;
        for (const space of POOLED_SPACES) add(total[space], sums[space]);
        if (!paired.has(position)) continue;
        lists.shareStructure.push(position);
        lists.shareElement.push(element);
        lists.shareCount.push(sums.count);
        lists.shareCoordinates.append(sums.coordinates);
        lists.shareEmbeddings.append(sums.embeddings);
      }
      const take = (
        chosen: Map<number, number[]>,
        list: readonly { atomIndex: number }[],
        name: 'row' | 'reference',
      ) => {
        for (const row of chosen.get(position) ?? []) {
          const atom = from + list[row].atomIndex;
          lists[name === 'row' ? 'rows' : 'reference'].push(row);
          lists[`${name}Coordinates`].append(z.vectors.subarray(atom * z.dim, (atom + 1) * z.dim));
          lists[`${name}Embeddings`].append(raw.vectors.subarray(atom * raw.dim, (atom + 1) * raw.dim));
        }
      };
      take(rowsOf, index.rows, 'row');
      take(referenceOf, index.reference, 'reference');
    }
    work.beat({ shard });
  }
  if (totals.size === 0)
    throw invalidInput(
      `model ${parts.model} embedded none of the ${index.structures.length} structures that diagnostics look at; ` +
        'raise diagnostics.structures or leave the model out',
    );
  const elements = [...totals.keys()].sort((a, b) => a - b);
  const summed = (space: Space) => Float64Array.from(elements.flatMap((element) => [...totals.get(element)![space]]));
  const { energies, ...others } = lists;
  return {
    structures: others.structures.int32(),
    coordinates: others.coordinates.float32(),
    embeddings: others.embeddings.float32(),
    directions: others.directions.float32(),
    energies: energies.float64(),
    rows: others.rows.int32(),
    rowCoordinates: others.rowCoordinates.float32(),
    rowEmbeddings: others.rowEmbeddings.float32(),
    reference: others.reference.int32(),
    referenceCoordinates: others.referenceCoordinates.float32(),
    referenceEmbeddings: others.referenceEmbeddings.float32(),
    elements: Int32Array.from(elements),
    elementCounts: Float64Array.from(elements, (element) => totals.get(element)!.count),
    elementCoordinates: summed('coordinates'),
    elementEmbeddings: summed('embeddings'),
    shareStructure: others.shareStructure.int32(),
    shareElement: others.shareElement.int32(),
    shareCount: others.shareCount.int32(),
    shareCoordinates: others.shareCoordinates.float32(),
    shareEmbeddings: others.shareEmbeddings.float32(),
  };
}

/** A growing list of numbers, doubled when it is full. */
class List {
  private values = new Float64Array(1024);
  private length = 0;

  push(value: number): void {
    this.reserve(1);
    this.values[this.length++] = value;
  }

  append(values: Float32Array | Float64Array): void {
    this.reserve(values.length);
    this.values.set(values, this.length);
    this.length += values.length;
  }

  int32(): Int32Array<ArrayBuffer> {
    return Int32Array.from(this.values.subarray(0, this.length));
  }

  float32(): Float32Array<ArrayBuffer> {
    return Float32Array.from(this.values.subarray(0, this.length));
  }

  float64(): Float64Array<ArrayBuffer> {
    return this.values.slice(0, this.length);
  }

  private reserve(more: number): void {
    if (this.length + more <= this.values.length) return;
    const larger = new Float64Array(2 * (this.length + more));
    larger.set(this.values);
    this.values = larger;
  }
}

function byStructure(rows: readonly { structure: number }[]): Map<number, number[]> {
  const groups = new Map<number, number[]>();
  rows.forEach(({ structure }, row) => {
    const known = groups.get(structure);
    if (known) known.push(row);
    else groups.set(structure, [row]);
  });
  return groups;
}

function add(total: Float64Array, part: Float64Array): void {
  for (let c = 0; c < total.length; c++) total[c] += part[c];
}
