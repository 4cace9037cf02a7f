import type { DriftRow } from '../../datasets/tables/drift.js';
import { elementSymbol } from '../../structures/elements.js';
import { sharedRows } from './bias.js';
import { pairItem, paramsOf, type Diagnostic } from './diagnostic.js';
import { indexParameters, type DiagnosticIndices } from './diagnosticIndex.js';
import type { PlanDocument } from '../run/documents.js';
import type { PooledModel, Pools } from './pool.js';
import type { Runs } from '../run/runs.js';

/** Neighbours whose change is looked at, as similarity has them. */
const NEIGHBOURS = 10;

/** What changed from one version of a model to another: table `drift`. */
export function driftDiagnostic(runs: Runs, indices: DiagnosticIndices, pools: Pools): Diagnostic {
  return {
    stage: 'drift',
    version: 2,
    items: (plan) => (plan.spec.diagnostics.drift.enabled ? versionPairs(plan).length : 0),
    item: (task) => {
      const { run, plan, basis, work, item } = task;
      const { seed, bootstrap: replicates, element_bias } = plan.spec.diagnostics;
      const { rows } = element_bias;
      const params = paramsOf({ ...indexParameters(plan), replicates, rows });
      const names = versionPairs(plan)[item];
      const compute = async (a: string, b: string) => {
        const index = await indices.of(run, plan, work);
        const [from, to] = [await pools.of(run, plan, basis, a, work), await pools.of(run, plan, basis, b, work)];
        const { x, y, atomicNumbers, structures } = sharedRows(index, from, to);
        const { shifts, energies } = await runs.deps.compute.call(
          'drift',
          {
            versions: {
              coordinates: [x.coordinates, y.coordinates],
              embeddings: [x.embeddings, y.embeddings],
              atomicNumbers,
              structures,
            },
            energies: energyChanges(from, to),
            options: { neighbours: NEIGHBOURS, rows, replicates, seed },
          },
          { signal: work.signal },
        );
        const common = { model_a: a, model_b: b, seed };
        const table = shifts.map(({ element, metric, interval, n }): DriftRow => ({
          ...common,
          stratum: element === null ? 'all' : elementSymbol(element),
          metric,
          ...interval,
          n,
        }));
        for (const { metric, interval, n } of energies)
          table.push({ ...common, stratum: 'all', metric, ...interval, n });
        return { drift: table };
      };
      return pairItem(runs, task, params, compute, { names });
    },
  };
}

/** Pairs of models of one lineage, then those that the spec names; in the order of the spec. */
function versionPairs({ spec, models }: PlanDocument): [string, string][] {
  const named = new Set(spec.diagnostics.drift.pairs.map(([a, b]) => JSON.stringify([a, b].sort())));
  return models.flatMap((a, i) =>
    models
      .slice(i + 1)
      .filter((b) => a.lineage === b.lineage || named.has(JSON.stringify([a.id, b.id].sort())))
      .map((b): [string, string] => [a.id, b.id]),
  );
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
