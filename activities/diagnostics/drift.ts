import type { DriftRow } from '../../datasets/tables/drift.js';
import { elementSymbol } from '../../structures/elements.js';
import type { PlannedRun } from '../run/openRun.js';
import { sharedRows } from './bias.js';
import { diagnosticStage, itemOfModels, paramsOf } from './diagnostic.js';
import { indexParameters } from './diagnosticIndex.js';
import { versionPairs } from './planned.js';
import { pooledModel, type PooledModel } from './pool.js';

/** Neighbours whose change is looked at, as similarity has them. */
const NEIGHBOURS = 10;

/** What changed from one version of a model to another: table `drift`. */
export const driftStage = diagnosticStage({
  stage: 'drift',
  version: 2,
  item(run, basis, item) {
    const names = versionPairs(run.plan)[item];
    const { bootstrap: replicates, element_bias } = run.spec.diagnostics;
    const params = paramsOf({ ...indexParameters(run), replicates, rows: element_bias.rows });
    return itemOfModels(run, basis, names, { params, compute: () => compute(run, basis, names) });
  },
});

async function compute(run: PlannedRun, basis: string, [a, b]: readonly [string, string]) {
  const { seed, bootstrap: replicates, element_bias } = run.spec.diagnostics;
  const { x, y, atomicNumbers, structures } = await sharedRows(run, basis, [a, b]);
  const [from, to] = await Promise.all([a, b].map((model) => pooledModel(run, model, basis)));
  const { shifts, energies } = await run.compute('drift', {
    versions: {
      coordinates: [x.coordinates, y.coordinates],
      embeddings: [x.embeddings, y.embeddings],
      atomicNumbers,
      structures,
    },
    energies: energyChanges(from, to),
    options: { neighbours: NEIGHBOURS, rows: element_bias.rows, replicates, seed },
  });
  const common = { model_a: a, model_b: b, seed };
  const rows = shifts.map(({ element, metric, interval, n }): DriftRow => ({
    ...common,
    stratum: element === null ? 'all' : elementSymbol(element),
    metric,
    ...interval,
    n,
  }));
  for (const { metric, interval, n } of energies) rows.push({ ...common, stratum: 'all', metric, ...interval, n });
  return { drift: rows };
}

/** Change of the energy per atom of every structure that both models give one for, in eV. */
function energyChanges(a: PooledModel, b: PooledModel): Float64Array {
  if (!a.energies || !b.energies) return new Float64Array(0);
  const changes: number[] = [];
  a.structures.forEach((position, at) => {
    const other = b.at.get(position);
    if (other !== undefined) changes.push(b.energies![other] - a.energies![at]);
  });
  return Float64Array.from(changes);
}
