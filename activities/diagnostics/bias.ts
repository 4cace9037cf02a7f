import type { ElementBiasRow } from '../../datasets/tables/elementBias.js';
import type { Matrix } from '../../latent/base/matrix.js';
import { takeRows } from '../../latent/base/matrix.js';
import { pairNames } from '../pairs/pairs.js';
import type { Space } from '../../config/names.js';
import type { PlannedRun } from '../run/openRun.js';
import { diagnosticStage, itemOfModels, paramsOf } from './diagnostic.js';
import { diagnosticIndex, indexParameters } from './diagnosticIndex.js';
import { pooledModel, type PooledModel } from './pool.js';

/** Where two models put an element, against its spread: table `element_bias`. */
export const biasStage = diagnosticStage({
  stage: 'bias',
  version: 1,
  item(run, basis, item) {
    const names = pairNames(run.plan, item);
    const { bootstrap: replicates, element_bias } = run.spec.diagnostics;
    const params = paramsOf({ ...indexParameters(run), replicates, rows: element_bias.rows });
    return itemOfModels(run, basis, names, { params, compute: () => compute(run, basis, names) });
  },
});

async function compute(run: PlannedRun, basis: string, [a, b]: readonly [string, string]) {
  const { seed, bootstrap: replicates, element_bias } = run.spec.diagnostics;
  const { x, y, atomicNumbers, structures } = await sharedRows(run, basis, [a, b]);
  const found = await run.compute('elementBias', {
    x: x.coordinates,
    y: y.coordinates,
    atomicNumbers,
    structures,
    options: { rows: element_bias.rows, replicates, seed },
  });
  const rows = found.map(({ atomicNumber, n, structures: of, distance, spread, bias, ownBias }): ElementBiasRow => ({
    model_a: a,
    model_b: b,
    atomic_number: atomicNumber,
    n,
    structures: of,
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
}

/** Rows that two models both have, in the order of the index. */
export interface SharedRows {
  x: Record<Space, Matrix<Float32Array>>;
  y: Record<Space, Matrix<Float32Array>>;
  /** [n] Z, and position of the structure in the index. */
  atomicNumbers: Int32Array;
  structures: Int32Array;
}

/** The sampled atoms of structures that both models embedded. */
export async function sharedRows(
  run: PlannedRun,
  basis: string,
  models: readonly [string, string],
): Promise<SharedRows> {
  const index = await diagnosticIndex(run);
  const [a, b] = await Promise.all(models.map((model) => pooledModel(run, model, basis)));
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
