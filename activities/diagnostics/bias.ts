import type { ElementBiasRow } from '../../datasets/tables/elementBias.js';
import type { Matrix } from '../../latent/base/matrix.js';
import { takeRows } from '../../latent/base/matrix.js';
import { pairCount, pairItem, paramsOf, type Diagnostic } from './diagnostic.js';
import { indexParameters, type DiagnosticIndex, type DiagnosticIndices } from './diagnosticIndex.js';
import type { PooledModel, Pools } from './pool.js';
import type { Runs } from '../run/runs.js';

/** Where two models put an element, against its spread: table `element_bias`. */
export function biasDiagnostic(runs: Runs, indices: DiagnosticIndices, pools: Pools): Diagnostic {
  return {
    stage: 'bias',
    version: 1,
    items: (plan) => (plan.spec.diagnostics.element_bias.enabled ? pairCount(plan) : 0),
    item: (task) => {
      const { run, plan, basis, work } = task;
      const { seed, bootstrap: replicates, element_bias } = plan.spec.diagnostics;
      const params = paramsOf({ ...indexParameters(plan), replicates, rows: element_bias.rows });
      return pairItem(runs, task, params, async (a, b) => {
        const index = await indices.of(run, plan, work);
        const shared = sharedRows(
          index,
          await pools.of(run, plan, basis, a, work),
          await pools.of(run, plan, basis, b, work),
        );
        const found = await runs.deps.compute.call(
          'elementBias',
          {
            x: shared.x.coordinates,
            y: shared.y.coordinates,
            atomicNumbers: shared.atomicNumbers,
            structures: shared.structures,
            options: { rows: element_bias.rows, replicates, seed },
          },
          { signal: work.signal },
        );
        const rows = found.map(({ atomicNumber, n, structures, distance, spread, bias, ownBias }): ElementBiasRow => ({
          model_a: a,
          model_b: b,
          atomic_number: atomicNumber,
          n,
          structures,
          distance,
          spread,
          bias: bias && bias.value,
          low: bias && bias.low,
          high: bias && bias.high,
          own_bias: ownBias && ownBias.value,
          own_low: ownBias && ownBias.low,
          own_high: ownBias && ownBias.high,
          seed,
        }));
        return { element_bias: rows };
      });
    },
  };
}

/** Rows that two models both have, in the order of the index. */
export interface SharedRows {
  x: Record<'coordinates' | 'embeddings', Matrix<Float32Array>>;
  y: Record<'coordinates' | 'embeddings', Matrix<Float32Array>>;
  /** [n] Z, and position of the structure in the index. */
  atomicNumbers: Int32Array;
  structures: Int32Array;
}

/** The sampled atoms of structures that both models embedded. */
export function sharedRows(index: DiagnosticIndex, a: PooledModel, b: PooledModel): SharedRows {
  const inB = new Map(Array.from(b.rows, (row, at) => [row, at]));
  const [left, right, rows]: [number[], number[], number[]] = [[], [], []];
  a.rows.forEach((row, at) => {
    const other = inB.get(row);
    if (other === undefined) return;
    left.push(at);
    right.push(other);
    rows.push(row);
  });
  const vectors = (pool: PooledModel, at: readonly number[]) => ({
    coordinates: takeRows(pool.rowVectors.coordinates, at),
    embeddings: takeRows(pool.rowVectors.embeddings, at),
  });
  return {
    x: vectors(a, left),
    y: vectors(b, right),
    atomicNumbers: Int32Array.from(rows, (row) => index.rows[row].atomicNumber),
    structures: Int32Array.from(rows, (row) => index.rows[row].structure),
  };
}
