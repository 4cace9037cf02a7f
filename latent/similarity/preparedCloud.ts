import { takeRows, type Matrix } from '../base/matrix.js';
import { crossProduct } from '../kernels/products.js';
import { centredCloud } from './centredCloud.js';
import { maskedKernel, type MaskedKernel } from './cknna.js';
import {
  ReconstructionSource,
  reconstructionHalves,
  scaledSplit,
  type RightSingularVectors,
} from './featureReconstruction.js';
import { selfForms } from './linearCka.js';
import type { SimilarityMetric } from '../../config/names.js';
import { measureOf } from './metrics.js';
import {
  directions,
  nearestNeighboursByMeasure,
  type NeighbourMeasure,
  type Neighbours,
} from '../neighbours/neighbours.js';

/** What the work on one cloud depends on, besides its rows. */
export interface CloudOptions {
  metrics: readonly SimilarityMetric[];
  /** k of the mutual neighbours. */
  neighbours: number;
  /** Rows of the dense metrics: see `denseMetrics`. */
  denseRows: Int32Array;
  /** Seed of the halves that maps are fitted on and judged by. */
  seed: number;
  /** Bootstrap replicates: without any, what only they need is left out. */
  replicates: number;
}

/** The part of a comparison that depends on one cloud alone: made once a model, it serves all its pairs. Empty where no metric asks for it. */
export interface CloudWork {
  /** [n, k] by each measure. */
  neighbours: Partial<Record<NeighbourMeasure, Neighbours>>;
  kernel: MaskedKernel | null;
  /** XᵀX of the centred rows, and `selfForms` where there are replicates. */
  gram: { products: Float64Array; forms: Float64Array | null } | null;
  /** Of the training rows of the dense rows and of their halves. */
  decompositions: RightSingularVectors[] | null;
}

/** A cloud with its work. */
export interface PreparedCloud {
  /** [n, p], finite. */
  x: Matrix<Float64Array>;
  work: CloudWork;
}

/** Fewest rows that a metric is defined for. */
export function leastRows(metric: SimilarityMetric, neighbours: number): number {
  if (measureOf[metric]) return neighbours + 2; // with k + 1 rows all others are neighbours
  if (metric === 'cknna') return neighbours < 2 ? Infinity : Math.max(4, neighbours + 2);
  if (metric === 'linear_cka' || metric === 'angular_procrustes') return 2;
  return metric === 'information_imbalance' ? 3 : 4;
}

/** Does the work of one cloud for the metrics that it has rows for. */
export async function prepareCloud(x: Matrix<Float64Array>, options: CloudOptions): Promise<PreparedCloud> {
  const { neighbours: k, denseRows, seed } = options;
  const asked = new Set(options.metrics.filter((metric) => x.rows >= leastRows(metric, k)));
  const measures = new Set([...asked].flatMap((metric) => measureOf[metric] ?? []));
  if (asked.has('cknna')) measures.add('cosine'); // of rows of length 1, as platonic-rep has them, the inner product is the cosine
  const list = [...measures];
  const found = list.length > 0 ? await nearestNeighboursByMeasure(x, k, list) : [];
  const neighbours: CloudWork['neighbours'] = {};
  list.forEach((measure, at) => (neighbours[measure] = found[at]));

  let gram: CloudWork['gram'] = null;
  if (asked.has('linear_cka') || asked.has('unbiased_linear_cka')) {
    const cloud = centredCloud(x);
    const products = await crossProduct(cloud.points, cloud.points);
    gram = { products, forms: options.replicates > 0 ? await selfForms({ ...cloud, gram: products }) : null };
  }
  let decompositions: CloudWork['decompositions'] = null;
  if (asked.has('gfre') && denseRows.length >= leastRows('gfre', k)) {
    const { train } = scaledSplit(takeRows(x, denseRows), reconstructionHalves(denseRows.length, seed));
    decompositions = (await ReconstructionSource.of(train)).decompositions;
  }
  const kernel = asked.has('cknna') && neighbours.cosine ? maskedKernel(directions(x), neighbours.cosine) : null;
  return { x, work: { neighbours, kernel, gram, decompositions } };
}
