import { decodeAnchorVectors } from '../../datasets/tables/anchorVectors.js';
import type { StitchingRow } from '../../datasets/tables/stitching.js';
import { readJson } from '../../datasets/json.js';
import { takeRows } from '../../latent/base/matrix.js';
import { compositionsOf } from './arithmetic.js';
import { pairCount, pairItem, paramsOf, type Diagnostic, type DiagnosticTask } from './diagnostic.js';
import { indexParameters, type DiagnosticIndex, type DiagnosticIndices } from './diagnosticIndex.js';
import type { PooledModel, Pools } from './pool.js';
import { modelParts } from '../project/project.js';
import type { Runs } from '../run/runs.js';

/** Name of the target that every model has. */
const ENERGY = 'energy_per_atom';

/** What a head fitted on one model reaches on another, both ways: table `stitching`. */
export function stitchingDiagnostic(runs: Runs, indices: DiagnosticIndices, pools: Pools): Diagnostic {
  return {
    stage: 'stitching',
    version: 2,
    items: (plan) => (plan.spec.diagnostics.stitching.enabled ? pairCount(plan) : 0),
    item: (task) => {
      const { plan } = task;
      const { bootstrap: replicates, stitching } = plan.spec.diagnostics;
      const labels = plan.labels.map(({ name, document }) => [name, document]);
      const per = stitching.labels.map((label) => label.per);
      const params = paramsOf({ ...indexParameters(plan), replicates, labels, per });
      return pairItem(runs, task, params, (a, b) => compute(runs, indices, pools, task, a, b));
    },
  };
}

async function compute(
  runs: Runs,
  indices: DiagnosticIndices,
  pools: Pools,
  task: DiagnosticTask,
  a: string,
  b: string,
) {
  const { run, plan, basis, work } = task;
  const { seed, bootstrap: replicates } = plan.spec.diagnostics;
  const index = await indices.of(run, plan, work);
  const labels = await labelsOf(runs, task, index);
  const models = [await pools.of(run, plan, basis, a, work), await pools.of(run, plan, basis, b, work)] as const;
  const shared = Array.from(models[0].structures).filter((position) => models[1].at.has(position));
  const side = async (pool: PooledModel) => {
    const at = shared.map((position) => pool.at.get(position)!);
    const parts = await modelParts(runs, run, basis, pool.model, work);
    const { vectors } = decodeAnchorVectors(await runs.store(run).get(parts.anchor_vectors.key, work));
    return {
      coordinates: takeRows(pool.means.coordinates, at),
      embeddings: takeRows(pool.means.embeddings, at),
      directions: takeRows(pool.directions, at),
      anchors: vectors,
      energies: pool.energies && Float64Array.from(at, (row) => pool.energies![row]),
    };
  };
  const sides = [await side(models[0]), await side(models[1])] as const;
  const compositions = compositionsOf(index, models[0]);
  const rows: StitchingRow[] = [];
  for (const [from, to] of [
    [0, 1],
    [1, 0],
  ] as const) {
    const targets = labels.map(({ name, values }) => ({
      name,
      values: Float64Array.from(shared, (position) => values.get(position) ?? NaN),
    }));
    const { energies } = sides[from];
    if (energies) targets.unshift({ name: ENERGY, values: energies });
    const found = await runs.deps.compute.call(
      'stitch',
      {
        head: sides[from],
        input: sides[to],
        compositions: shared.map((position) => compositions[models[0].at.get(position)!]),
        ids: shared.map((position) => index.structures[position].materialId),
        targets,
        centred: plan.spec.coordinates.centre === 'anchors',
        replicates,
        seed,
      },
      { signal: work.signal },
    );
    for (const figures of found)
      rows.push({ model_a: models[from].model, model_b: models[to].model, ...figures, seed });
  }
  return { stitching: rows };
}

/** Labels by position in the index, per atom. */
export async function labelsOf(
  runs: Runs,
  { run, plan, work }: DiagnosticTask,
  index: DiagnosticIndex,
): Promise<{ name: string; values: Map<number, number> }[]> {
  return Promise.all(
    plan.labels.map(async ({ name, document }) => {
      const known = (await readJson<Record<string, number>>(runs.store(run), document, work)) ?? {};
      const { per } = plan.spec.diagnostics.stitching.labels.find((label) => label.name === name)!;
      const values = new Map<number, number>();
      index.structures.forEach(({ materialId, atomicNumbers }, position) => {
        if (Object.hasOwn(known, materialId))
          values.set(position, known[materialId] / (per === 'structure' ? atomicNumbers.length : 1));
      });
      return { name, values };
    }),
  );
}
