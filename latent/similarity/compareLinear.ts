import type { SimilarityMetric } from '../../config/names.js';
import { lastOnly } from '../base/lastOnly.js';
import { crossProduct, PermutedCrossProduct } from '../kernels/products.js';
import type { RowSet } from '../samples/rowSet.js';
import { angularProcrustesCosine, angularProcrustesInfluence } from './angularProcrustes.js';
import { centredCloud } from './centredCloud.js';
import { linearCka, linearCkaInfluence, unbiasedLinearCka } from './linearCka.js';
import type { Measured } from './measured.js';
import type { PreparedCloud } from './preparedCloud.js';

/** The metrics that are functions of XᵀX, YᵀY and XᵀY of the centred rows. */
export async function compareLinear(
  metrics: readonly SimilarityMetric[],
  x: PreparedCloud,
  y: PreparedCloud,
  rows: RowSet,
): Promise<Measured[]> {
  const asked = (['linear_cka', 'unbiased_linear_cka', 'angular_procrustes'] as const).filter((metric) =>
    metrics.includes(metric),
  );
  if (asked.length === 0) return [];
  const [a, b] = [centredCloud(x.x), centredCloud(y.x)];
  const cross = await crossProduct(a.points, b.points);
  let product: PermutedCrossProduct | undefined;
  const crossOf = lastOnly((permutation: Int32Array) =>
    (product ??= new PermutedCrossProduct(a.points, b.points)).of(permutation),
  );
  const measured: Measured[] = [];
  const [ofX, ofY] = [x.work.gram, y.work.gram];
  if (ofX && ofY) {
    const [left, right] = [
      { ...a, gram: ofX.products },
      { ...b, gram: ofY.products },
    ];
    // The two estimators of CKA differ by terms of order 1/n, far below the spread that the bootstrap is about.
    let shared: Promise<Float64Array> | undefined;
    const influence = () =>
      (shared ??= linearCkaInfluence(left, right, cross, ofX.forms ?? undefined, ofY.forms ?? undefined));
    if (asked.includes('linear_cka'))
      measured.push({
        metric: 'linear_cka',
        name: 'linear_cka',
        rows,
        value: linearCka(left, right, cross),
        influence,
        hubness: null,
        permuted: async (permutation) => linearCka(left, right, await crossOf(permutation)),
      });
    if (asked.includes('unbiased_linear_cka'))
      measured.push({
        metric: 'unbiased_linear_cka',
        name: 'unbiased_linear_cka',
        rows,
        value: unbiasedLinearCka(left, right, cross),
        influence,
        hubness: null,
        permuted: async (permutation) => {
          const squaredNorms = Float64Array.from(permutation, (from) => b.squaredNorms[from]);
          return unbiasedLinearCka(left, { ...right, squaredNorms }, await crossOf(permutation));
        },
      });
  }
  if (asked.includes('angular_procrustes')) {
    const cosine = angularProcrustesCosine(a, b, cross);
    measured.push({
      metric: 'angular_procrustes',
      name: 'angular_procrustes',
      rows,
      value: Math.acos(cosine),
      influence: () => angularProcrustesInfluence(a, b, cross, cosine),
      hubness: null,
      scale: { similarity: Math.cos, value: (similarity) => Math.acos(Math.min(1, similarity)), most: 1 },
      similarity: cosine,
      permuted: async (permutation) => angularProcrustesCosine(a, b, await crossOf(permutation)),
    });
  }
  return measured;
}
