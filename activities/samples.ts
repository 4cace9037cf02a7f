import { decodeCoordinates } from '../datasets/tables/coordinates.js';
import { decodeEmbeddings } from '../datasets/tables/embeddings.js';
import type { StoredAtomVectors } from '../datasets/tables/atomVectors.js';
import { decodeStructures } from '../datasets/tables/structures.js';
import type { PartEntry } from '../datasets/manifest.js';
import { selectRows, type RowCandidates, type SampledRow } from '../latent/similarity/rows.js';
import type { ModelParts, PlanDocument, RunRef } from './documents.js';
import type { Work } from './heartbeat.js';
import type { Runs } from './runs.js';

/** Decoded parts kept in memory, in bytes. */
const PARTS_BYTES = 512 * 2 ** 20;

/** Vectors of a model that a pair can be compared on. */
export const SPACES = ['coordinates', 'embeddings'] as const;
/** See {@link SPACES}. */
export type Space = (typeof SPACES)[number];

/** What choosing rows needs of a structure: one atom per symmetry orbit, and where its vectors lie. */
interface IndexedStructure extends RowCandidates {
  shard: number;
  representatives: Int32Array;
  atomicNumbers: Uint8Array;
}

/** A sample of one draw. */
export interface Sample {
  rows: SampledRow[];
  /** Orbits taken from the structures that gave most. */
  rounds: number;
  /** [n] Z of the rows. */
  atomicNumbers: Int32Array;
  /** [n] shard of each row. */
  shards: Int32Array;
}

/** Reads what pairs are compared on: the index of a snapshot once, coordinate parts as needed. */
export class Samples {
  private readonly indices = new Map<string, Promise<Map<string, IndexedStructure>>>();
  private readonly parts = new Map<string, { rows: StoredAtomVectors; at: Map<string, number> }>();
  private held = 0;

  constructor(private readonly runs: Runs) {}

  /** Rows of one draw among the structures that are not excluded. */
  async draw(
    run: RunRef,
    plan: PlanDocument,
    excluded: ReadonlySet<string>,
    { sample, seed, draw }: { sample: number; seed: number; draw: number },
    work: Work,
  ): Promise<Sample> {
    const index = await this.index(run, plan, work);
    function* eligible() {
      for (const structure of index.values()) if (!excluded.has(structure.materialId)) yield structure;
    }
    const { rows, rounds } = selectRows(eligible(), sample, seed, draw);
    const structures = rows.map(({ materialId }) => index.get(materialId)!);
    return {
      rows,
      rounds,
      atomicNumbers: Int32Array.from(rows, ({ atomIndex }, i) => structures[i].atomicNumbers[atomIndex]),
      shards: Int32Array.from(structures, ({ shard }) => shard),
    };
  }

  /** Vectors of sampled atoms, float32 [n, dim], in the order of the sample. @throws when an atom has none */
  async gather(
    run: RunRef,
    model: ModelParts,
    space: Space,
    { rows: wanted, shards }: Sample,
    work: Work,
  ): Promise<{ vectors: Float32Array<ArrayBuffer>; dim: number }> {
    const entries = new Map(model[space].map((entry) => [shardOf(entry.key), entry]));
    const order = Int32Array.from(wanted, (_, row) => row).sort((a, b) => shards[a] - shards[b] || a - b);
    let vectors: Float32Array<ArrayBuffer> | undefined;
    let dim = 0;
    for (const row of order) {
      const { materialId, atomIndex } = wanted[row];
      const entry = entries.get(shards[row]);
      const { rows, at } = entry ? await this.part(run, space, entry, work) : { rows: undefined, at: undefined };
      const structure = at?.get(materialId);
      if (!rows || structure === undefined)
        throw new Error(`activities: ${model.model} has no ${space} of ${materialId}`);
      dim = rows.dim;
      vectors ??= new Float32Array(wanted.length * dim);
      const from = (rows.offsets[structure] + atomIndex) * dim;
      vectors.set(rows.vectors.subarray(from, from + dim), row * dim);
    }
    return { vectors: vectors ?? new Float32Array(0), dim };
  }

  private index(run: RunRef, plan: PlanDocument, work: Work): Promise<Map<string, IndexedStructure>> {
    const name = `${run.output}\n${plan.snapshot.snapshot}`;
    const known = this.indices.get(name);
    if (known) return known;
    const made = this.readIndex(run, plan, work);
    this.indices.clear(); // one snapshot at a time is what a run needs
    this.indices.set(name, made);
    made.catch(() => this.indices.delete(name));
    return made;
  }

  private async readIndex(run: RunRef, plan: PlanDocument, work: Work): Promise<Map<string, IndexedStructure>> {
    const store = this.runs.store(run);
    const { snapshot, shards } = plan.snapshot;
    const index = new Map<string, IndexedStructure>();
    for (let shard = 0; shard < shards; shard++) {
      const { key } = await this.runs.shard(run, snapshot, shard);
      for (const { materialId, orbits, atomicNumbers } of decodeStructures(await store.get(key, work)))
        index.set(materialId, {
          materialId,
          shard,
          representatives: orbits.filter((first, atom) => first === atom),
          atomicNumbers: atomicNumbers.slice(), // not a view that keeps the whole shard alive
        });
      work.beat({ shard });
    }
    return index;
  }

  private async part(run: RunRef, space: Space, entry: PartEntry, work: Work) {
    const known = this.parts.get(entry.sha256);
    const part = known ?? (await this.readPart(run, space, entry.key, work));
    if (!this.parts.has(entry.sha256)) this.held += part.rows.vectors.byteLength; // another pair may have read it too
    this.parts.delete(entry.sha256); // most recently used last
    this.parts.set(entry.sha256, part);
    for (const [sha256, { rows }] of this.parts) {
      if (this.held <= PARTS_BYTES || sha256 === entry.sha256) break;
      this.parts.delete(sha256);
      this.held -= rows.vectors.byteLength;
    }
    return part;
  }

  private async readPart(run: RunRef, space: Space, key: string, work: Work) {
    const bytes = await this.runs.store(run).get(key, work);
    const rows = space === 'coordinates' ? decodeCoordinates(bytes) : decodeEmbeddings(bytes);
    return { rows, at: new Map(rows.materialIds.map((id, position) => [id, position])) };
  }
}

/** Shard number in the name of a part. */
function shardOf(key: string): number {
  return Number(/part-(\d+)-/.exec(key)?.[1]);
}
