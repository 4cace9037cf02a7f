import { digestJson, sha256Hex } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import type { PartEntry } from '../../datasets/manifest.js';
import { findReceipt, writeReceipt } from '../../datasets/receipts.js';
import { decodeCoordinates } from '../../datasets/tables/coordinates.js';
import { decodeEmbeddings } from '../../datasets/tables/embeddings.js';
import { decodeStructures } from '../../datasets/tables/structures.js';
import { compareAtoms, type AtomId } from '../../latent/base/atomId.js';
import { rankRows, type RowCandidates } from '../../latent/samples/rows.js';
import { disjointRows } from '../../latent/samples/disjointRows.js';
import type { ModelParts, PlanDocument, RunRef } from '../run/documents.js';
import { invalidInput } from '../engine/failures.js';
import type { Work } from '../engine/heartbeat.js';
import { OnceCache } from '../run/onceCache.js';
import type { Runs } from '../run/runs.js';

/** Gathered vectors kept in memory, in bytes. */
const VECTOR_BYTES = 256 * 2 ** 20;
/** Candidates of a draw, in units of the rows that a pair takes: some fall out with the structures that one of its models refuses. */
const MARGIN = 1.25;

/** Vectors of a model that a pair can be compared on. */
export const SPACES = ['coordinates', 'embeddings'] as const;
/** See {@link SPACES}. */
export type Space = (typeof SPACES)[number];

/** What a stage draws for each of its pairs. */
export interface RowRequest {
  /** Rows of a sample at most. */
  sample: number;
  seed: number;
  /** Numbers of all draws: their rows are gathered together. */
  draws: readonly number[];
}

/** Atoms that some pair can ask for: of each model their vectors are gathered once. */
interface Candidates {
  /** Digest of the atoms. */
  digest: string;
  /** Distinct, in the order of the snapshot. */
  atoms: readonly AtomId[];
  atomicNumbers: Uint8Array;
  /** Shard of each atom. */
  shards: Int32Array;
}

/** Candidates of several draws. */
interface DrawnCandidates extends Candidates {
  /** By number of the draw: atoms in order of place, each with the rank of its orbit. */
  draws: ReadonlyMap<number, { atoms: Int32Array; ranks: Int32Array }>;
  /** No draw has more rows in this snapshot. */
  complete: boolean;
}

/** Some of the candidates: the rows of one sample. */
export interface Sample {
  rows: AtomId[];
  /** [n] Z of the rows. */
  atomicNumbers: Int32Array;
  /** Orbits taken from the structures that gave most; 0 for listed rows. */
  rounds: number;
  candidates: Candidates;
  /** [n] positions of the rows among the candidates. */
  positions: Int32Array;
  /** [n] order in which the rows were taken, from 0: the rows of a smaller sample come before the others. */
  places: Int32Array;
}

/** What choosing rows needs of a structure: one atom per symmetry orbit, and where its vectors lie. */
interface IndexedStructure extends RowCandidates {
  shard: number;
  representatives: Int32Array;
  atomicNumbers: Uint8Array;
}

/** The structures of a snapshot by id, in the order of the snapshot. */
type SnapshotIndex = Map<string, IndexedStructure>;

interface Gathered {
  vectors: Float32Array<ArrayBuffer>;
  dim: number;
}

interface GatherReceipt {
  outputs: { vectors: PartEntry };
  dim: number;
}

/**
 * Rows of pairs and their vectors. What a stage may ask for of a model is gathered once, from all its parts, into one object; every pair then
 * reads two of those. Equal inputs gather equal bytes, so that workers who race meet at one object.
 */
export class Samples {
  // One snapshot at a time is what a run needs.
  private readonly indices = new OnceCache<SnapshotIndex>(1, () => 1);
  private readonly candidates = new OnceCache<DrawnCandidates>(16, () => 1);
  private readonly vectors = new OnceCache<Gathered>(VECTOR_BYTES, ({ vectors }) => vectors.byteLength);

  constructor(private readonly runs: Runs) {}

  /** Rows of one draw among the structures that are not excluded: see `selectRows`. */
  async draw(
    run: RunRef,
    plan: PlanDocument,
    excluded: ReadonlySet<string>,
    request: RowRequest,
    draw: number,
    work: Work,
  ): Promise<Sample> {
    const { sample } = request;
    for (let reach = Math.ceil(MARGIN * sample); ; reach *= 2) {
      const candidates = await this.drawn(run, plan, request, reach, work);
      const { atoms, ranks } = candidates.draws.get(draw)!;
      const places: number[] = [];
      for (let place = 0; place < atoms.length && places.length < sample; place++)
        if (!excluded.has(candidates.atoms[atoms[place]].materialId)) places.push(place);
      if (places.length < sample && !candidates.complete) continue;
      const last = places.at(-1);
      const taken = Int32Array.from(places, (place) => atoms[place]);
      return sampleOf(candidates, taken, last === undefined ? 0 : ranks[last] + 1);
    }
  }

  /** Two disjoint samples of one draw with the same elements, at most `sample` rows each: see `disjointRows`. */
  async disjoint(
    run: RunRef,
    plan: PlanDocument,
    excluded: ReadonlySet<string>,
    request: RowRequest,
    draw: number,
    work: Work,
  ): Promise<[source: Sample, target: Sample]> {
    const { sample, seed } = request;
    for (let reach = Math.ceil(2 * MARGIN * sample); ; reach *= 2) {
      const candidates = await this.drawn(run, plan, request, reach, work);
      const { atoms, ranks } = candidates.draws.get(draw)!;
      const places = Int32Array.from(atoms.keys()).filter(
        (place) => !excluded.has(candidates.atoms[atoms[place]].materialId),
      );
      const rows = Array.from(places, (place) => candidates.atoms[atoms[place]]);
      const elements = places.map((place) => candidates.atomicNumbers[atoms[place]]);
      const { source, target } = disjointRows(rows, elements, sample, seed, draw);
      if (source.length < sample && !candidates.complete) continue;
      const side = (taken: Int32Array) => {
        const rounds = taken.reduce((most, row) => Math.max(most, ranks[places[row]] + 1), 0);
        return sampleOf(
          candidates,
          taken.map((row) => atoms[places[row]]),
          rounds,
        );
      };
      return [side(source), side(target)];
    }
  }

  /**
   * Rows that a user names, less those of excluded structures, in the order of the snapshot; taken in the order given.
   * @throws a final failure for an atom that the snapshot does not have, or one that is named twice
   */
  async listed(
    run: RunRef,
    plan: PlanDocument,
    excluded: ReadonlySet<string>,
    atoms: readonly AtomId[],
    work: Work,
  ): Promise<Sample> {
    const index = await this.index(run, plan, work);
    for (const { materialId, atomIndex } of atoms) {
      const known = index.get(materialId);
      if (!known || !(atomIndex in known.atomicNumbers))
        throw invalidInput(
          `rows: the snapshot has no atom ${materialId}:${atomIndex}` +
            (known ? `; the structure has ${known.atomicNumbers.length}, counted from 0` : ''),
        );
    }
    const candidates = candidatesOf(index, atoms);
    if (candidates.atoms.length < atoms.length)
      throw invalidInput(`rows: ${atoms.length - candidates.atoms.length} atoms are named twice; name each once`);
    const positions = new Map(candidates.atoms.map((atom, position) => [nameOf(atom), position]));
    const included = atoms.filter(({ materialId }) => !excluded.has(materialId));
    return sampleOf(
      candidates,
      Int32Array.from(included, (atom) => positions.get(nameOf(atom))!),
      0,
    );
  }

  /** Vectors of sampled atoms, float32 [n, dim], in the order of the sample. @throws when an atom has none */
  async gather(
    run: RunRef,
    model: ModelParts,
    space: Space,
    { candidates, positions, rows }: Sample,
    work: Work,
  ): Promise<Gathered> {
    const key = digestJson({ parts: model[space].map(({ sha256 }) => sha256), rows: candidates.digest });
    const { vectors, dim } = await this.vectors.get(
      `${run.output}\n${key}`,
      () => this.gathered(run, model, space, candidates, key, work),
      work.signal,
    );
    const places = placesOf(model, candidates);
    const chosen = new Float32Array(positions.length * dim);
    positions.forEach((position, row) => {
      const from = places[position] * dim;
      if (from < 0)
        throw new Error(`activities: ${model.model} refused ${rows[row].materialId}, which a pair asks for`);
      chosen.set(vectors.subarray(from, from + dim), row * dim);
    });
    return { vectors: chosen, dim };
  }

  /** Vectors of all candidates that a model embedded, in order: read if they were gathered before, else gathered and kept. */
  private async gathered(
    run: RunRef,
    model: ModelParts,
    space: Space,
    candidates: Candidates,
    key: string,
    work: Work,
  ): Promise<Gathered> {
    const store = this.runs.store(run);
    const known = await findReceipt<GatherReceipt>(store, 'gather', key, work);
    if (known) {
      const bytes = await store.get(known.outputs.vectors.key, work);
      return { vectors: new Float32Array(new Uint8Array(bytes).buffer), dim: known.dim };
    }
    const { vectors, dim } = await this.collect(run, model, space, candidates, work);
    const bytes = new Uint8Array(vectors.buffer);
    const part = await this.runs.putPart(run, keys.gatheredVectors, bytes, vectors.length / dim, work);
    await writeReceipt<GatherReceipt>(store, 'gather', key, { outputs: { vectors: part }, dim }, work);
    return { vectors, dim };
  }

  /** Reads every part that holds a candidate, once. */
  private async collect(
    run: RunRef,
    model: ModelParts,
    space: Space,
    candidates: Candidates,
    work: Work,
  ): Promise<Gathered> {
    const { atoms, shards } = candidates;
    const store = this.runs.store(run);
    const entries = new Map(model[space].map((entry) => [shardOf(entry.key), entry]));
    const places = placesOf(model, candidates);
    const count = places.reduce((sum, place) => sum + (place < 0 ? 0 : 1), 0);
    let vectors: Float32Array<ArrayBuffer> | undefined;
    let dim = 1;
    for (let first = 0, end = 0; first < atoms.length; first = end) {
      const shard = shards[first];
      while (end < atoms.length && shards[end] === shard) end++;
      const wanted = places.subarray(first, end);
      if (wanted.every((place) => place < 0)) continue;
      const entry = entries.get(shard);
      const part = entry && decode(space, await store.get(entry.key, work));
      const at = new Map(part?.materialIds.map((id, position) => [id, position]));
      for (let atom = first; atom < end; atom++) {
        if (places[atom] < 0) continue;
        const { materialId, atomIndex } = atoms[atom];
        const structure = at.get(materialId);
        if (!part || structure === undefined)
          throw new Error(`activities: ${model.model} has no ${space} of ${materialId}`);
        dim = part.dim;
        vectors ??= new Float32Array(count * dim);
        const from = (part.offsets[structure] + atomIndex) * dim;
        vectors.set(part.vectors.subarray(from, from + dim), places[atom] * dim);
      }
      work.beat({ shard });
    }
    return { vectors: vectors ?? new Float32Array(0), dim };
  }

  private drawn(
    run: RunRef,
    plan: PlanDocument,
    { seed, draws }: RowRequest,
    reach: number,
    work: Work,
  ): Promise<DrawnCandidates> {
    const name = JSON.stringify([run.output, plan.snapshot.snapshot, seed, draws, reach]);
    const make = async (): Promise<DrawnCandidates> => {
      const index = await this.index(run, plan, work);
      const ranked = draws.map((draw) => rankRows(index.values(), reach, seed, draw));
      const candidates = candidatesOf(index, ranked.flat());
      const positions = new Map(candidates.atoms.map((atom, position) => [nameOf(atom), position]));
      return {
        ...candidates,
        draws: new Map(
          draws.map((draw, i) => [
            draw,
            {
              atoms: Int32Array.from(ranked[i], (row) => positions.get(nameOf(row))!),
              ranks: Int32Array.from(ranked[i], ({ rank }) => rank),
            },
          ]),
        ),
        complete: ranked.every(({ length }) => length < reach),
      };
    };
    return this.candidates.get(name, make, work.signal);
  }

  private index(run: RunRef, plan: PlanDocument, work: Work): Promise<SnapshotIndex> {
    const { snapshot, shards } = plan.snapshot;
    const read = async (): Promise<SnapshotIndex> => {
      const store = this.runs.store(run);
      const index: SnapshotIndex = new Map();
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
    };
    return this.indices.get(`${run.output}\n${snapshot}`, read, work.signal);
  }
}

/** Distinct atoms as candidates. */
function candidatesOf(index: SnapshotIndex, atoms: readonly AtomId[]): Candidates {
  const distinct = new Map(
    atoms.map(({ materialId, atomIndex }) => [nameOf({ materialId, atomIndex }), { materialId, atomIndex }]),
  );
  const sorted = [...distinct.values()].sort(compareAtoms);
  const structures = sorted.map(({ materialId }) => index.get(materialId)!);
  return {
    digest: sha256Hex(sorted.map(nameOf).join('\n')),
    atoms: sorted,
    atomicNumbers: Uint8Array.from(sorted, ({ atomIndex }, i) => structures[i].atomicNumbers[atomIndex]),
    shards: Int32Array.from(structures, ({ shard }) => shard),
  };
}

/** @param taken positions among the candidates, in the order in which they were taken */
function sampleOf(candidates: Candidates, taken: Int32Array, rounds: number): Sample {
  const places = Int32Array.from(taken.keys()).sort((a, b) => taken[a] - taken[b]);
  const positions = places.map((place) => taken[place]);
  return {
    rows: Array.from(positions, (position) => candidates.atoms[position]),
    atomicNumbers: Int32Array.from(positions, (position) => candidates.atomicNumbers[position]),
    rounds,
    candidates,
    positions,
    places,
  };
}

/** Row of each candidate among a model's gathered vectors; -1 where the model refused the structure. */
function placesOf({ quarantine }: ModelParts, { atoms }: Candidates): Int32Array {
  const refused = new Set(quarantine.map(({ material_id }) => material_id));
  let next = 0;
  return Int32Array.from(atoms, ({ materialId }) => (refused.has(materialId) ? -1 : next++));
}

function decode(space: Space, bytes: Uint8Array) {
  return space === 'coordinates' ? decodeCoordinates(bytes) : decodeEmbeddings(bytes);
}

function nameOf({ materialId, atomIndex }: AtomId): string {
  return `${materialId}\0${atomIndex}`;
}

/** Shard number in the name of a part. */
function shardOf(key: string): number {
  return Number(/part-(\d+)-/.exec(key)?.[1]);
}
