import { decodeCoordinates } from '../datasets/tables/coordinates.js';
import type { StoredAtomVectors } from '../datasets/tables/atomVectors.js';
import { decodeStructures } from '../datasets/tables/structures.js';
import type { ModelParts, PlanDocument, RunRef } from './documents.js';
import type { Work } from './heartbeat.js';
import type { Runs } from './runs.js';

/** Decoded coordinate parts kept in memory, in bytes. */
const PARTS_BYTES = 512 * 2 ** 20;

/** What choosing rows needs of a snapshot: one atom per symmetry orbit of each structure. */
export interface SampleIndex {
  /** [n_structures] in code-point order. */
  materialIds: string[];
  /** [n_structures] shard of each. */
  shards: Int32Array;
  /** [n_structures] first atom of each orbit. */
  orbits: Int32Array[];
  /** [n_structures] Z of those atoms. */
  elements: Uint8Array[];
}

/** An atom chosen for a sample. */
export interface SampledAtom {
  /** Position in the sample index. */
  structure: number;
  atomIndex: number;
  atomicNumber: number;
}

/** Reads what pairs are compared on: the index of a snapshot once, coordinate parts as needed. */
export class Samples {
  private readonly indices = new Map<string, Promise<SampleIndex>>();
  private readonly parts = new Map<string, { rows: StoredAtomVectors; at: Map<string, number> }>();
  private held = 0;

  constructor(private readonly runs: Runs) {}

  /** The sample index of a run's snapshot. */
  index(run: RunRef, plan: PlanDocument, work: Work): Promise<SampleIndex> {
    const name = `${run.output}\n${plan.snapshot.snapshot}`;
    const known = this.indices.get(name);
    if (known) return known;
    const made = this.readIndex(run, plan, work);
    this.indices.clear(); // one snapshot at a time is what a run needs
    this.indices.set(name, made);
    made.catch(() => this.indices.delete(name));
    return made;
  }

  /** Coordinates of atoms, float32 [n, K], in the order given. @throws when an atom has none */
  async gather(
    run: RunRef,
    model: ModelParts,
    index: SampleIndex,
    atoms: readonly SampledAtom[],
    work: Work,
  ): Promise<{ vectors: Float32Array<ArrayBuffer>; dim: number }> {
    const byShard = new Map<number, number[]>();
    atoms.forEach(({ structure }, row) => {
      const shard = index.shards[structure]!;
      const rows = byShard.get(shard);
      if (rows) rows.push(row);
      else byShard.set(shard, [row]);
    });
    const keys = new Map(model.coordinates.map(({ key, sha256 }) => [shardOf(key), { key, sha256 }]));
    let vectors: Float32Array<ArrayBuffer> | undefined;
    let dim = 0;
    for (const [shard, wanted] of byShard) {
      const entry = keys.get(shard);
      if (!entry) throw new Error(`activities: model ${model.model} has no coordinates in shard ${shard}`);
      const { rows, at } = await this.part(run, entry, work);
      dim = rows.dim;
      vectors ??= new Float32Array(atoms.length * dim);
      for (const row of wanted) {
        const { structure, atomIndex } = atoms[row]!;
        const position = at.get(index.materialIds[structure]!);
        if (position === undefined)
          throw new Error(`activities: model ${model.model} has no coordinates of ${index.materialIds[structure]}`);
        const from = (rows.offsets[position]! + atomIndex) * dim;
        vectors.set(rows.vectors.subarray(from, from + dim), row * dim);
      }
    }
    return { vectors: vectors ?? new Float32Array(0), dim };
  }

  private async readIndex(run: RunRef, plan: PlanDocument, work: Work): Promise<SampleIndex> {
    const store = this.runs.store(run);
    const { snapshot, shards, structures } = plan.snapshot;
    const index: SampleIndex = { materialIds: [], shards: new Int32Array(structures), orbits: [], elements: [] };
    for (let item = 0; item < shards; item++) {
      const shard = await this.runs.shard(run, snapshot, item);
      for (const row of decodeStructures(await store.get(shard.key, work))) {
        index.shards[index.materialIds.length] = item;
        index.materialIds.push(row.materialId);
        const first = row.orbits.filter((orbit, atom) => orbit === atom);
        index.orbits.push(first);
        index.elements.push(Uint8Array.from(first, (atom) => row.atomicNumbers[atom]!));
      }
      work.beat({ shard: item });
    }
    return index;
  }

  private async part(run: RunRef, entry: { key: string; sha256: string }, work: Work) {
    const known = this.parts.get(entry.sha256);
    const part = known ?? (await this.readPart(run, entry.key, work));
    if (!known) this.held += part.rows.vectors.byteLength;
    this.parts.delete(entry.sha256); // most recently used last
    this.parts.set(entry.sha256, part);
    for (const [sha256, { rows }] of this.parts) {
      if (this.held <= PARTS_BYTES || sha256 === entry.sha256) break;
      this.parts.delete(sha256);
      this.held -= rows.vectors.byteLength;
    }
    return part;
  }

  private async readPart(run: RunRef, key: string, work: Work) {
    const rows = decodeCoordinates(await this.runs.store(run).get(key, work));
    return { rows, at: new Map(rows.materialIds.map((id, position) => [id, position])) };
  }
}

/** Shard number in the name of a part. */
function shardOf(key: string): number {
  return Number(/part-(\d+)-/.exec(key)?.[1]);
}
