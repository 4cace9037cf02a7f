import * as keys from '../../datasets/keys.js';
import { decodeCoordinates } from '../../datasets/tables/coordinates.js';
import { decodeEmbeddings } from '../../datasets/tables/embeddings.js';
import { decodeStructures, type StructureRow } from '../../datasets/tables/structures.js';
import type { SymmetryRow } from '../../datasets/tables/symmetry.js';
import { hashUnit } from '../../latent/base/random.js';
import { matrix, type Matrix } from '../../latent/base/matrix.js';
import { orbitSpreads, SPREAD_LADDER } from '../../latent/diagnostics/orbitSpreads.js';
import { measureInvariance } from '../../models/invariance.js';
import { modelItem, paramsOf, type Diagnostic, type DiagnosticTask, type TableRows } from './diagnostic.js';
import { indexParameters, type DiagnosticIndex, type DiagnosticIndices } from './diagnosticIndex.js';
import { POOLED_SPACES } from './pool.js';
import { modelParts } from '../project/project.js';
import type { Runs } from '../run/runs.js';

/** Larger structures are not run again for a rotation. */
const MOST_ATOMS_RUN = 100;
/** Atoms of a space group that are compared with each other at most. */
const MOST_ATOMS_COMPARED = 500;
/** Atoms that a space group needs for rows of its own. */
const LEAST_ATOMS = 10;
/** Distances up to which atoms count as equal: exactly, and up to the rounding of float32 cosines. */
const EQUAL = [0, 1e-6] as const;
/** Changes above this share of the root mean square are no rounding. */
export const CHANGED = 1e-3;

/** What symmetry a model respects: orbit spread and collapse from its vectors, rotation and inversion by running it. Table `symmetry`. */
export function symmetryDiagnostic(runs: Runs, indices: DiagnosticIndices): Diagnostic {
  return {
    stage: 'symmetry',
    version: 1,
    items: ({ spec, models }) => (spec.diagnostics.symmetry.enabled ? models.length : 0),
    item: (task) => {
      const { structures, rotations } = task.plan.spec.diagnostics.symmetry;
      const params = paramsOf({ ...indexParameters(task.plan), run: structures, rotations });
      return modelItem(runs, task, params, (model) => compute(runs, indices, task, model), {
        identity: task.plan.models[task.item].identity,
      });
    },
  };
}

async function compute(
  runs: Runs,
  indices: DiagnosticIndices,
  task: DiagnosticTask,
  model: string,
): Promise<TableRows> {
  const index = await indices.of(task.run, task.plan, task.work);
  const rows = [
    ...(await orbitRows(runs, task, index, model)),
    ...(await invarianceRows(runs, task, index, model)),
  ].map((row): SymmetryRow => ({ model, seed: task.plan.spec.diagnostics.seed, ...row }));
  return { symmetry: rows };
}

type Figure = Omit<SymmetryRow, 'model' | 'seed'>;

/** Distances of equivalent atoms, read from the parts of the model, shard by shard. */
async function orbitRows(
  runs: Runs,
  { run, basis, work }: DiagnosticTask,
  index: DiagnosticIndex,
  model: string,
): Promise<Figure[]> {
  const store = runs.store(run);
  const parts = await modelParts(runs, run, basis, model, work);
  const coordinateParts = new Map(parts.coordinates.map((part) => [keys.shardOf(part.key), part]));
  const wanted = new Map(index.structures.map((structure) => [structure.materialId, structure]));
  const spreads = { coordinates: [] as Float64Array[], embeddings: [] as Float64Array[] };
  const groups = new Map<number, { rows: Float32Array[]; structures: number }>();
  let [squares, atoms, structures] = [0, 0, 0];
  for (const part of parts.embeddings) {
    const shard = keys.shardOf(part.key);
    const projected = coordinateParts.get(shard);
    if (!projected) continue;
    const raw = decodeEmbeddings(await store.get(part.key, work));
    const z = decodeCoordinates(await store.get(projected.key, work));
    raw.materialIds.forEach((id, s) => {
      const structure = wanted.get(id);
      if (!structure || structure.spaceGroup === 0) return; // without a symmetry there are no orbits
      const [from, to] = [raw.offsets[s], raw.offsets[s + 1]];
      const slice = ({ vectors, dim }: { vectors: Float32Array; dim: number }): Matrix<Float32Array> =>
        matrix(vectors.subarray(from * dim, to * dim), to - from, dim);
      const [own, coordinates] = [slice(raw), slice(z)];
      spreads.embeddings.push(orbitSpreads(own, structure.orbits));
      spreads.coordinates.push(orbitSpreads(coordinates, structure.orbits));
      for (const value of own.data) squares += value * value;
      atoms += to - from;
      structures++;
      const group = groups.get(structure.spaceGroup) ?? { rows: [], structures: 0 };
      groups.set(structure.spaceGroup, group);
      if (group.rows.length >= MOST_ATOMS_COMPARED) return;
      group.structures++;
      for (let atom = 0; atom < coordinates.rows && group.rows.length < MOST_ATOMS_COMPARED; atom++)
        group.rows.push(coordinates.data.slice(atom * z.dim, (atom + 1) * z.dim));
    });
    work.beat({ shard });
  }
  const unit = { coordinates: 1, embeddings: Math.sqrt(squares / Math.max(1, atoms)) };
  const figures: Figure[] = [];
  for (const space of POOLED_SPACES) {
    const distances = concatenated(spreads[space]).map((distance) => distance / (unit[space] || 1));
    if (distances.length === 0) continue; // no orbit has two atoms
    const common = { test: 'orbit_spread', space, space_group: null, n: distances.length, structures };
    for (const threshold of SPREAD_LADDER)
      figures.push({ ...common, statistic: 'share_above', threshold, value: shareAbove(distances, threshold) });
    figures.push({
      ...common,
      statistic: 'maximum',
      threshold: null,
      value: distances.reduce((a, b) => Math.max(a, b)),
    });
  }
  const nearest: { spaceGroup: number; structures: number; distances: Float64Array }[] = [];
  for (const [spaceGroup, { rows, structures: of }] of [...groups].sort(([a], [b]) => a - b)) {
    if (rows.length < 2) continue;
    const x = matrix(concatenated(rows), rows.length, rows[0].length);
    const distances = await runs.deps.compute.call('nearestDistances', x, { signal: work.signal });
    nearest.push({ spaceGroup, structures: of, distances });
    work.beat({ spaceGroup });
  }
  const add = (space_group: number | null, distances: Float64Array, of: number) => {
    for (const threshold of EQUAL)
      figures.push({
        test: 'collapse',
        space: 'coordinates',
        space_group,
        statistic: 'share_equal',
        threshold,
        value: 1 - shareAbove(distances, threshold),
        n: distances.length,
        structures: of,
      });
  };
  if (nearest.length > 0)
    add(
      null,
      concatenated(nearest.map(({ distances }) => distances)),
      nearest.reduce((sum, { structures: of }) => sum + of, 0),
    );
  for (const { spaceGroup, structures: of, distances } of nearest)
    if (distances.length >= LEAST_ATOMS) add(spaceGroup, distances, of);
  return figures;
}

/** What rotating and inverting some structures changes. */
async function invarianceRows(
  runs: Runs,
  { run, plan, work, item }: DiagnosticTask,
  index: DiagnosticIndex,
  model: string,
): Promise<Figure[]> {
  const { seed, symmetry } = plan.spec.diagnostics;
  const resolved = await runs.resolve(plan, model);
  const pool = runs.deps.inference(plan.spec.inference.provider);
  const { batch_budget: budget } = plan.models[item].identity;
  const structures = await chosenStructures(runs, { run, plan, work }, index, symmetry.structures, seed);
  const found = await measureInvariance(
    (crystals) => pool.embed(resolved, crystals, { budget, signal: work.signal }),
    structures,
    { rotations: symmetry.rotations, seed, onProgress: (done) => work.beat({ variants: done }) },
  );
  return (['rotation', 'inversion'] as const).flatMap((test) => {
    const { changes, energies, structures: of } = found[test];
    if (changes.length === 0) return [];
    const common = { test, space_group: null, structures: of };
    const figures: Figure[] = [
      {
        ...common,
        space: 'embeddings',
        statistic: 'median',
        threshold: null,
        value: median(changes),
        n: changes.length,
      },
      {
        ...common,
        space: 'embeddings',
        statistic: 'maximum',
        threshold: null,
        value: Math.max(...changes),
        n: changes.length,
      },
      {
        ...common,
        space: 'embeddings',
        statistic: 'share_above',
        threshold: CHANGED,
        value: shareAbove(changes, CHANGED),
        n: changes.length,
      },
    ];
    if (energies.length > 0)
      figures.push(
        {
          ...common,
          space: 'energy',
          statistic: 'median',
          threshold: null,
          value: median(energies),
          n: energies.length,
        },
        {
          ...common,
          space: 'energy',
          statistic: 'maximum',
          threshold: null,
          value: Math.max(...energies),
          n: energies.length,
        },
      );
    return figures;
  });
}

/** Structures of lowest hash that are not too large to be run a few times more. */
async function chosenStructures(
  runs: Runs,
  { run, plan, work }: Pick<DiagnosticTask, 'run' | 'plan' | 'work'>,
  index: DiagnosticIndex,
  count: number,
  seed: number,
): Promise<StructureRow[]> {
  const chosen = index.structures
    .filter(({ atomicNumbers }) => atomicNumbers.length <= MOST_ATOMS_RUN)
    .map((structure) => ({ structure, rank: hashUnit(seed, 'invariance', structure.materialId) }))
    .sort((a, b) => a.rank - b.rank)
    .slice(0, count);
  const ids = new Set(chosen.map(({ structure }) => structure.materialId));
  const rows: StructureRow[] = [];
  for (const shard of [...new Set(chosen.map(({ structure }) => structure.shard))].sort((a, b) => a - b)) {
    const { key } = await runs.shard(run, plan.snapshot.snapshot, shard);
    for (const row of decodeStructures(await runs.store(run).get(key, work)))
      if (ids.has(row.materialId)) rows.push(row);
  }
  return rows;
}

function concatenated<T extends Float32Array | Float64Array>(arrays: readonly T[]): T {
  const Type = (arrays[0]?.constructor ?? Float64Array) as new (length: number) => T;
  const all = new Type(arrays.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const array of arrays) {
    all.set(array, at);
    at += array.length;
  }
  return all;
}

function shareAbove(values: Float64Array, threshold: number): number {
  let count = 0;
  for (const value of values) if (value > threshold) count++;
  return count / values.length;
}

function median(values: Float64Array): number {
  const sorted = values.slice().sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
