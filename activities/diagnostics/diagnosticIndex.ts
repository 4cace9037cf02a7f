import { digestJson } from '../../datasets/digest.js';
import { decodeStructures } from '../../datasets/tables/structures.js';
import { mineSubstitutions, type Substitution } from '../../latent/arithmetic/substitutions.js';
import { type AtomId } from '../../latent/base/atomId.js';
import { compareCodePoints } from '../../text/codePoints.js';
import { hashUnit } from '../../latent/base/random.js';
import { rankRows } from '../../latent/samples/rows.js';
import type { PlanDocument, RunRef } from '../run/documents.js';
import type { Work } from '../engine/heartbeat.js';
import { OnceCache } from '../run/onceCache.js';
import type { Runs } from '../run/runs.js';
import { isFrom } from '../snapshot/sourceFiles.js';

/** A structure that diagnostics look at. */
export interface IndexedStructure {
  materialId: string;
  formula: string;
  shard: number;
  spaceGroup: number;
  atomicNumbers: Uint8Array;
  orbits: Int32Array;
  source: string;
}

/** What all diagnostics of a snapshot look at, whatever the model: bounded, however large the snapshot is. */
export interface DiagnosticIndex {
  /** Structures of lowest hash, sorted by id. */
  structures: readonly IndexedStructure[];
  /** Atoms of theirs, one per orbit, by the rule of similarity, sorted; `structure` is the position of theirs. */
  rows: readonly IndexedRow[];
  /** Atoms that novelty is measured against. */
  reference: readonly IndexedRow[];
  /** Pairs among the structures. */
  substitutions: readonly Substitution[];
  /** Digest of all of it: half of the key of what is computed from it. */
  digest: string;
}

/** An atom with the position of its structure. */
export interface IndexedRow extends AtomId {
  structure: number;
  atomicNumber: number;
  /** Which of the orbits of its structure it was taken for: 0 for the first. */
  rank: number;
}

/** Snapshots whose index a process keeps. */
const KEPT = 2;

/** Chooses what diagnostics look at; one pass over the structures of a snapshot, once a process. */
export class DiagnosticIndices {
  private readonly known = new OnceCache<DiagnosticIndex>(KEPT, () => 1);

  constructor(private readonly runs: Runs) {}

  /** The index of a run's snapshot. */
  of(run: RunRef, plan: PlanDocument, work: Work): Promise<DiagnosticIndex> {
    const name = digestJson({
      output: run.output,
      snapshot: plan.snapshot.snapshot,
      parameters: indexParameters(plan),
    });
    return this.known.get(name, () => this.read(run, plan, work), work.signal);
  }

  private async read(run: RunRef, plan: PlanDocument, work: Work): Promise<DiagnosticIndex> {
    const { seed, structures: most, sample, atypical, arithmetic } = plan.spec.diagnostics;
    const store = this.runs.store(run);
    let kept: { structure: IndexedStructure; rank: number }[] = [];
    const prune = () => {
      kept = kept.sort((a, b) => a.rank - b.rank).slice(0, most);
    };
    for (let shard = 0; shard < plan.snapshot.shards; shard++) {
      const { key } = await this.runs.shard(run, plan.snapshot.snapshot, shard);
      for (const row of decodeStructures(await store.get(key, work))) {
        const { materialId, formula, spaceGroup, source } = row;
        const rank = hashUnit(seed, 'structure', materialId);
        const [atomicNumbers, orbits] = [row.atomicNumbers.slice(), row.orbits.slice()]; // no views that keep a shard alive
        kept.push({ structure: { materialId, formula, shard, spaceGroup, atomicNumbers, orbits, source }, rank });
      }
      if (kept.length >= 2 * most) prune();
      work.beat({ shard });
    }
    prune();
    const structures = kept
      .map(({ structure }) => structure)
      .sort((a, b) => compareCodePoints(a.materialId, b.materialId));
    const positions = new Map(structures.map(({ materialId }, position) => [materialId, position]));
    const choose = (among: readonly IndexedStructure[], n: number): IndexedRow[] =>
      rankRows(
        among.map(({ materialId, orbits }) => ({
          materialId,
          representatives: orbits.filter((first, atom) => first === atom),
        })),
        n,
        seed,
        0,
      )
        .map(({ materialId, atomIndex, rank }) => {
          const structure = positions.get(materialId)!;
          const atomicNumber = structures[structure].atomicNumbers[atomIndex];
          return { materialId, atomIndex, structure, atomicNumber, rank };
        })
        .sort((a, b) => a.structure - b.structure || a.atomIndex - b.atomIndex);
    const { reference_sources: sources } = atypical;
    const known = sources.length === 0 ? structures : structures.filter(({ source }) => isFrom(source, sources));
    const rows = choose(structures, sample);
    const reference = choose(known, atypical.reference);
    const substitutions = mineSubstitutions(structures, {
      perPrototype: arithmetic.pairs_per_prototype,
      pairs: arithmetic.pairs,
      seed,
    });
    const digest = digestJson({
      structures: structures.map(({ materialId }) => materialId),
      rows: [rows, reference].map((list) => list.map(({ structure, atomIndex }) => [structure, atomIndex])),
      substitutions: substitutions.map(({ source, target, fromElement }) => [source, target, fromElement]),
    });
    return { structures, rows, reference, substitutions, digest };
  }
}

/** The parameters that decide an index. */
export function indexParameters({ spec }: PlanDocument) {
  const { seed, structures, sample, atypical, arithmetic } = spec.diagnostics;
  return {
    seed,
    structures,
    sample,
    reference: atypical.reference,
    reference_sources: atypical.reference_sources,
    pairs_per_prototype: arithmetic.pairs_per_prototype,
    pairs: arithmetic.pairs,
  };
}
