import { decodeAnchorVectors } from '../../datasets/tables/anchorVectors.js';
import type { StitchingRow } from '../../datasets/tables/stitching.js';
import { takeRows } from '../../latent/base/matrix.js';
import { pairNames } from '../pairs/pairs.js';
import { anchorPart } from '../project/anchorVectors.js';
import type { PlannedRun } from '../run/openRun.js';
import { compositionsOf } from './arithmetic.js';
import { diagnosticStage, itemOfModels, paramsOf } from './diagnostic.js';
import { diagnosticIndex, indexParameters } from './diagnosticIndex.js';
import { labelsOf } from './labelled.js';
import { pooledModel, type PooledModel } from './pool.js';

/** Name of the target that every model has. */
const ENERGY = 'energy_per_atom';

/** What a head fitted on one model reaches on another, both ways: table `stitching`. */
export const stitchingStage = diagnosticStage({
  stage: 'stitching',
  version: 2,
  item(run, basis, item) {
    const names = pairNames(run.plan, item);
    const { bootstrap: replicates, stitching } = run.spec.diagnostics;
    const labels = run.plan.labels.map(({ name, document }) => [name, document]);
    const per = stitching.labels.map((label) => label.per);
    const params = paramsOf({ ...indexParameters(run), replicates, labels, per });
    return itemOfModels(run, basis, names, { params, compute: () => compute(run, basis, names) });
  },
});

async function compute(run: PlannedRun, basis: string, names: readonly [string, string]) {
  const { seed, bootstrap: replicates } = run.spec.diagnostics;
  const [index, labels] = await Promise.all([diagnosticIndex(run), labelsOf(run)]);
  const [a, b] = await Promise.all(names.map((model) => pooledModel(run, model, basis)));
  const shared = Array.from(a.structures).filter((position) => b.at.has(position));
  const side = async (pool: PooledModel) => {
    const at = shared.map((position) => pool.at.get(position)!);
    const { key } = await anchorPart(run, basis, pool.model);
    return {
      model: pool.model,
      vectors: {
        coordinates: takeRows(pool.means.coordinates, at),
        embeddings: takeRows(pool.means.embeddings, at),
        directions: takeRows(pool.directions, at),
        anchors: decodeAnchorVectors(await run.get(key)).vectors,
      },
      energies: pool.energies && Float64Array.from(at, (row) => pool.energies![row]),
    };
  };
  const [first, second] = await Promise.all([side(a), side(b)]);
  const compositions = compositionsOf(index, a);
  const rows: StitchingRow[] = [];
  for (const [from, to] of [
    [first, second],
    [second, first],
  ]) {
    const targets = labels.map(({ name, values }) => ({
      name,
      values: Float64Array.from(shared, (position) => values.get(position) ?? NaN),
    }));
    if (from.energies) targets.unshift({ name: ENERGY, values: from.energies });
    const found = await run.compute('stitch', {
      head: from.vectors,
      input: to.vectors,
      compositions: shared.map((position) => compositions[a.at.get(position)!]),
      ids: shared.map((position) => index.structures[position].materialId),
      targets,
      centred: run.spec.coordinates.centre === 'anchors',
      replicates,
      seed,
    });
    for (const figures of found) rows.push({ model_a: from.model, model_b: to.model, ...figures, seed });
  }
  return { stitching: rows };
}
