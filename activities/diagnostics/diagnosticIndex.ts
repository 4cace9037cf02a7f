import { digestJson } from '../../datasets/digest.js';
import { mineSubstitutions, type Substitution } from '../../latent/arithmetic/substitutions.js';
import type { AtomId } from '../../latent/base/atomId.js';
import { rankRows } from '../../latent/samples/rows.js';
import type { PlanDocument } from '../run/documents.js';
import type { PlannedRun } from '../run/openRun.js';
import { selectedStructures, type SelectedStructure } from '../selection/select.js';
import { isFrom } from '../snapshot/sourceFiles.js';

/** Atoms of one space group that are compared with each other at most. */
const GROUP_ATOMS = 500;

/** What all diagnostics of a snapshot look at, whatever the model: bounded, however large the snapshot is. */
export interface DiagnosticIndex {
  /** Structures of lowest hash, sorted by id. */
  structures: readonly SelectedStructure[];
  /** Atoms of theirs, one per orbit, by the rule of similarity, sorted; `structure` is the position of theirs. */
  rows: readonly IndexedRow[];
  /** Atoms that novelty is measured against, sorted. */
  reference: readonly IndexedRow[];
  /** Atoms that are compared with those of the same space group, sorted: the first ones of every group but that without symmetry. */
  grouped: readonly IndexedAtom[];
  /** Pairs among the structures. */
  substitutions: readonly Substitution[];
  /** Digest of all of it: half of the key of what is computed from it. */
  digest: string;
}

/** An atom of a structure of the index. */
export interface IndexedAtom {
  /** Position of the structure. */
  structure: number;
  atomIndex: number;
}

/** A sampled atom. */
export interface IndexedRow extends IndexedAtom, AtomId {
  atomicNumber: number;
  /** Which of the orbits of its structure it was taken for: 0 for the first. */
  rank: number;
}

/** What the diagnostics of a run look at; chosen once a process. */
export function diagnosticIndex(run: PlannedRun): Promise<DiagnosticIndex> {
  return run.once('diagnostic index', async () => indexOf(await selectedStructures(run), indexParameters(run)));
}

/** Chooses among structures that are sorted by id. */
export function indexOf(structures: readonly SelectedStructure[], parameters: IndexParameters): DiagnosticIndex {
  const { seed, reference_sources: sources } = parameters;
  const positions = new Map(structures.map(({ materialId }, position) => [materialId, position]));
  const choose = (among: readonly SelectedStructure[], n: number): IndexedRow[] =>
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
        return { materialId, atomIndex, structure, atomicNumber: structures[structure].atomicNumbers[atomIndex], rank };
      })
      .sort((a, b) => a.structure - b.structure || a.atomIndex - b.atomIndex);
  const known = sources.length === 0 ? structures : structures.filter(({ source }) => isFrom(source, sources));
  const rows = choose(structures, parameters.sample);
  const reference = choose(known, parameters.reference);
  const grouped = groupAtoms(structures);
  const { pairs_per_prototype: perPrototype, pairs } = parameters;
  const substitutions = mineSubstitutions(structures, { perPrototype, pairs, seed });
  const digest = digestJson({
    structures: structures.map(({ materialId, spaceGroup, orbits }) => [materialId, spaceGroup, [...orbits]]),
    rows: [rows, reference, grouped].map((list) => list.map(({ structure, atomIndex }) => [structure, atomIndex])),
    substitutions: substitutions.map(({ source, target, fromElement }) => [source, target, fromElement]),
  });
  return { structures, rows, reference, grouped, substitutions, digest };
}

function groupAtoms(structures: readonly SelectedStructure[]): IndexedAtom[] {
  const taken = new Map<number, number>();
  return structures.flatMap(({ spaceGroup, atomicNumbers: { length } }, structure) => {
    const before = taken.get(spaceGroup) ?? 0;
    const count = spaceGroup === 0 ? 0 : Math.min(length, GROUP_ATOMS - before);
    taken.set(spaceGroup, before + count);
    return Array.from({ length: count }, (_, atomIndex) => ({ structure, atomIndex }));
  });
}

/** The parameters that decide an index. */
export function indexParameters({ spec }: Pick<PlanDocument, 'spec'>) {
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
/** See {@link indexParameters}. */
export type IndexParameters = ReturnType<typeof indexParameters>;
