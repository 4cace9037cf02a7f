import { decodeStructures, type StructureRow } from '../../datasets/tables/structures.js';
import type { SymmetryRow } from '../../datasets/tables/symmetry.js';
import { hashUnit } from '../../latent/base/random.js';
import { takeRows } from '../../latent/base/matrix.js';
import { SPREAD_LADDER } from '../../latent/diagnostics/orbitSpreads.js';
import { measureInvariance } from '../../models/invariance.js';
import type { PlannedRun } from '../run/openRun.js';
import { diagnosticStage, itemOfModels, paramsOf, type TableRows } from './diagnostic.js';
import { diagnosticIndex, indexParameters, type DiagnosticIndex } from './diagnosticIndex.js';
import { pooledModel, type PooledModel } from './pool.js';
import { POOLED_SPACES } from './pooling.js';

/** Larger structures are not run again for a rotation. */
const MOST_ATOMS_RUN = 100;
/** Atoms that a space group needs for rows of its own. */
const LEAST_ATOMS = 10;
/** Distances up to which atoms count as equal: exactly, and up to the rounding of float32 cosines. */
const EQUAL = [0, 1e-6] as const;
/** Changes above this share of the root mean square are no rounding. */
export const CHANGED = 1e-3;

/** What symmetry a model respects: orbit spread and collapse from its vectors, rotation and inversion by running it. Table `symmetry`. */
export const symmetryStage = diagnosticStage({
  stage: 'symmetry',
  version: 2,
  item(run, basis, item) {
    const { id: model, identity } = run.plan.models[item];
    const { structures, rotations } = run.spec.diagnostics.symmetry;
    const params = paramsOf({ ...indexParameters(run), run: structures, rotations });
    return itemOfModels(run, basis, [model], {
      params,
      inputs: { identity },
      compute: () => compute(run, basis, model),
    });
  },
});

async function compute(run: PlannedRun, basis: string, model: string): Promise<TableRows> {
  const { seed } = run.spec.diagnostics;
  const [index, pool] = await Promise.all([diagnosticIndex(run), pooledModel(run, model, basis)]);
  const figures = [
    ...spreadFigures(index, pool),
    ...(await collapseFigures(run, index, pool)),
    ...(await invarianceFigures(run, index, model)),
  ];
  return { symmetry: figures.map((row): SymmetryRow => ({ model, seed, ...row })) };
}

type Figure = Omit<SymmetryRow, 'model' | 'seed'>;

/** Distances of equivalent atoms; those of embeddings in units of their root mean square. */
function spreadFigures(index: DiagnosticIndex, pool: PooledModel): Figure[] {
  const symmetric = Array.from(pool.structures, (position) => index.structures[position]).filter(
    ({ spaceGroup }) => spaceGroup !== 0,
  );
  const atoms = symmetric.reduce((sum, { atomicNumbers }) => sum + atomicNumbers.length, 0);
  const unit = { coordinates: 1, embeddings: Math.sqrt(pool.symmetricSquares / Math.max(1, atoms)) };
  return POOLED_SPACES.flatMap((space) => {
    const distances = pool.orbitSpreads[space].map((distance) => distance / (unit[space] || 1));
    if (distances.length === 0) return []; // no orbit has two atoms
    const n = { n: distances.length, structures: symmetric.length };
    const common = { test: 'orbit_spread', space, space_group: null, ...n };
    const figures: Figure[] = SPREAD_LADDER.map((threshold) => ({
      ...common,
      statistic: 'share_above',
      threshold,
      value: shareAbove(distances, threshold),
    }));
    figures.push({ ...common, statistic: 'maximum', threshold: null, value: largest(distances) });
    return figures;
  });
}

/** How many atoms of one space group have a twin: together, and for each group with enough of them. */
async function collapseFigures(run: PlannedRun, index: DiagnosticIndex, pool: PooledModel): Promise<Figure[]> {
  const groups = new Map<number, { rows: number[]; structures: Set<number> }>();
  pool.grouped.forEach((atom, row) => {
    const { structure } = index.grouped[atom];
    const { spaceGroup } = index.structures[structure];
    const group = groups.get(spaceGroup) ?? { rows: [], structures: new Set() };
    groups.set(spaceGroup, group);
    group.rows.push(row);
    group.structures.add(structure);
  });
  const nearest: { spaceGroup: number; structures: number; distances: Float64Array }[] = [];
  for (const [spaceGroup, { rows, structures }] of [...groups].sort(([a], [b]) => a - b)) {
    if (rows.length < 2) continue;
    const distances = await run.compute('nearestDistances', takeRows(pool.groupedCoordinates, rows));
    nearest.push({ spaceGroup, structures: structures.size, distances });
    run.work.beat({ spaceGroup });
  }
  const figuresOf = (space_group: number | null, distances: Float64Array, structures: number) =>
    EQUAL.map((threshold): Figure => ({
      test: 'collapse',
      space: 'coordinates',
      space_group,
      statistic: 'share_equal',
      threshold,
      value: 1 - shareAbove(distances, threshold),
      n: distances.length,
      structures,
    }));
  if (nearest.length === 0) return [];
  const all = Float64Array.from(nearest.flatMap(({ distances }) => [...distances]));
  return [
    ...figuresOf(
      null,
      all,
      nearest.reduce((sum, { structures }) => sum + structures, 0),
    ),
    ...nearest
      .filter(({ distances }) => distances.length >= LEAST_ATOMS)
      .flatMap(({ spaceGroup, distances, structures }) => figuresOf(spaceGroup, distances, structures)),
  ];
}

/** What rotating and inverting some structures changes. */
async function invarianceFigures(run: PlannedRun, index: DiagnosticIndex, model: string): Promise<Figure[]> {
  const { seed, symmetry } = run.spec.diagnostics;
  const { batch_budget: budget } = run.planned(model).identity;
  const [resolved, structures] = await Promise.all([run.resolve(model), structuresToRun(run, index)]);
  const inference = run.dependencies.inference(run.spec.inference.provider);
  const found = await measureInvariance(
    (crystals) => inference.embed(resolved, crystals, { budget, signal: run.work.signal }),
    structures,
    { rotations: symmetry.rotations, seed, onProgress: (done) => run.work.beat({ variants: done }) },
  );
  return (['rotation', 'inversion'] as const).flatMap((test) => {
    const { changes, energies, structures: of } = found[test];
    if (changes.length === 0) return [];
    const figure = (space: string, values: Float64Array, statistic: string, value: number): Figure => ({
      test,
      space_group: null,
      structures: of,
      space,
      statistic,
      threshold: statistic === 'share_above' ? CHANGED : null,
      value,
      n: values.length,
    });
    const figures = [
      figure('embeddings', changes, 'median', median(changes)),
      figure('embeddings', changes, 'maximum', largest(changes)),
      figure('embeddings', changes, 'share_above', shareAbove(changes, CHANGED)),
    ];
    if (energies.length === 0) return figures;
    figures.push(figure('energy', energies, 'median', median(energies)));
    figures.push(figure('energy', energies, 'maximum', largest(energies)));
    return figures;
  });
}

/** Structures of lowest hash that are not too large to be run a few times more, in the order of the snapshot. */
async function structuresToRun(run: PlannedRun, { structures }: DiagnosticIndex): Promise<StructureRow[]> {
  const { seed, symmetry } = run.spec.diagnostics;
  const chosen = structures
    .filter(({ atomicNumbers }) => atomicNumbers.length <= MOST_ATOMS_RUN)
    .map((structure) => ({ structure, rank: hashUnit(seed, 'invariance', structure.materialId) }))
    .sort((a, b) => a.rank - b.rank)
    .slice(0, symmetry.structures)
    .map(({ structure }) => structure);
  const ids = new Set(chosen.map(({ materialId }) => materialId));
  const shards = [...new Set(chosen.map(({ shard }) => shard))].sort((a, b) => a - b);
  const rows = await run.many(shards, async (shard) =>
    decodeStructures(await run.get((await run.shard(shard)).key)).filter(({ materialId }) => ids.has(materialId)),
  );
  return rows.flat();
}

function largest(values: Float64Array): number {
  return values.reduce((a, b) => Math.max(a, b));
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
