import { takeRows, type Matrix } from '../base/matrix.js';
import type { CompareOptions, Measured } from './measured.js';
import { DistanceCorrelations, distanceMatrix } from './distanceCorrelation.js';
import {
  ReconstructionSource,
  reconstructionHalves,
  scaledSplit,
  type ReconstructionSplit,
  type ScaledSplit,
} from './featureReconstruction.js';
import { globalSquaredErrors } from './gfre.js';
import { imbalanceOfRows, imbalanceOfTables, permutedImbalance, rankTable } from './informationImbalance.js';
import { lastOnly } from '../base/lastOnly.js';
import { localSources, localSquaredErrors } from './lfre.js';
import type { SimilarityMetric } from '../../config/names.js';
import type { DirectedMetric } from './metrics.js';
import { mean } from '../statistics/mean.js';
import type { PreparedCloud } from './preparedCloud.js';
import type { RowSet } from '../samples/rowSet.js';

/** Local maps of a draw: one costs three singular value decompositions of min(p, q) rows. */
const LOCAL_MAPS = 50;

/** The metrics that look at all pairs of rows or solve for maps, on the dense rows. */
export async function compareDense(
  metrics: readonly SimilarityMetric[],
  x: PreparedCloud,
  y: PreparedCloud,
  rows: RowSet,
  options: CompareOptions,
): Promise<Measured[]> {
  const [a, b] = [takeRows(x.x, options.denseRows), takeRows(y.x, options.denseRows)];
  const withNull = (metric: SimilarityMetric) =>
    options.nulls.kinds.length > 0 && options.nulls.metrics.includes(metric);
  const measured = await distanceCorrelations(metrics, a, b, rows);
  if (metrics.includes('information_imbalance'))
    measured.push(...(await informationImbalances(a, b, rows, withNull('information_imbalance'))));
  if (!metrics.includes('gfre') && !metrics.includes('lfre')) return measured;

  const split = reconstructionHalves(rows.n, options.seed);
  if (metrics.includes('gfre')) {
    const source = async (cloud: Matrix<Float64Array>, { work }: PreparedCloud): Promise<Source> => {
      const side = scaledSplit(cloud, split);
      const fit = await ReconstructionSource.of(side.train, work.decompositions ?? undefined);
      return { cloud, squaredErrors: (target) => globalSquaredErrors(fit, side, target) };
    };
    measured.push(...(await reconstruction('gfre', rows, split, await source(a, x), await source(b, y))));
  }
  const neighbours = Math.min(a.columns, b.columns);
  if (metrics.includes('lfre') && neighbours <= split.train.length) {
    const few = { ...split, test: split.test.slice(0, LOCAL_MAPS) };
    const source = async (cloud: Matrix<Float64Array>): Promise<Source> => {
      const sources = await localSources(scaledSplit(cloud, few), neighbours);
      return { cloud, squaredErrors: (target) => localSquaredErrors(sources, target) };
    };
    measured.push(...(await reconstruction('lfre', rows, few, await source(a), await source(b))));
  }
  return measured;
}

async function distanceCorrelations(
  metrics: readonly SimilarityMetric[],
  a: Matrix<Float64Array>,
  b: Matrix<Float64Array>,
  rows: RowSet,
): Promise<Measured[]> {
  const asked = (['distance_correlation', 'unbiased_distance_correlation'] as const).filter((metric) =>
    metrics.includes(metric),
  );
  if (asked.length === 0) return [];
  const correlations = new DistanceCorrelations(await distanceMatrix(a), await distanceMatrix(b));
  const observed = correlations.of();
  const permuted = lastOnly((permutation: Int32Array) => correlations.of(permutation));
  let influence: ReturnType<typeof correlations.influence> | undefined;
  return asked.map((metric) => {
    const which = metric === 'distance_correlation' ? 'value' : 'unbiasedSquare';
    return {
      metric,
      name: metric,
      rows,
      value: observed[which],
      influence: () => (influence ??= correlations.influence())[which],
      hubness: null,
      permuted: (permutation) => permuted(permutation)[which],
    };
  });
}

async function informationImbalances(
  a: Matrix<Float64Array>,
  b: Matrix<Float64Array>,
  rows: RowSet,
  withNull: boolean,
): Promise<Measured[]> {
  const tables = withNull ? ([await rankTable(a), await rankTable(b)] as const) : null;
  const ofRows = tables ? imbalanceOfTables(...tables) : await imbalanceOfRows(a, b);
  const permuted = tables && lastOnly((permutation: Int32Array) => permutedImbalance(...tables, permutation));
  return (['xToY', 'yToX'] as const).map((way) => {
    const value = mean(ofRows[way]);
    const flipped = (one: number) => 1 - one;
    return {
      metric: 'information_imbalance',
      name: nameOf('information_imbalance', way),
      rows,
      value,
      influence: () => ofRows[way].map((one) => one - value),
      hubness: null,
      scale: { similarity: flipped, value: flipped, most: 1 - 2 / rows.n }, // when the nearest are the same
      permuted: (permutation) => flipped(permuted!(permutation)[way]),
    };
  });
}

/** A cloud and how well it predicts the test rows of another that is split alike. */
interface Source {
  cloud: Matrix<Float64Array>;
  squaredErrors: (target: ScaledSplit) => Promise<Float64Array>;
}

/** Both ways, less those to a cloud that is one point. Of a permuted pair the source keeps its rows, and with them its maps: the target is permuted, the other way by the inverse. */
async function reconstruction(
  metric: 'gfre' | 'lfre',
  rows: RowSet,
  split: ReconstructionSplit,
  left: Source,
  right: Source,
): Promise<Measured[]> {
  const flipped = (error: number) => 1 - error;
  const measured: Measured[] = [];
  for (const way of ['xToY', 'yToX'] as const) {
    const [source, target] = way === 'xToY' ? [left, right] : [right, left];
    const goal = scaledSplit(target.cloud, split);
    if (goal.onePoint) continue;
    const squares = await source.squaredErrors(goal);
    const square = mean(squares);
    const value = Math.sqrt(square);
    measured.push({
      metric,
      name: nameOf(metric, way),
      rows,
      value,
      influence: () => {
        const influence = new Float64Array(rows.n);
        // Of the square's mean over the test rows, as a mean over all rows; the root's derivative makes it the value's.
        if (value > 0)
          split.test.forEach(
            (row, at) => (influence[row] = ((squares[at] - square) / (2 * value)) * (rows.n / squares.length)),
          );
        return influence;
      },
      hubness: null,
      scale: { similarity: flipped, value: flipped, most: 1 },
      permuted: async (permutation) => {
        const permuted = takeRows(target.cloud, way === 'xToY' ? permutation : inverseOf(permutation));
        const goal = scaledSplit(permuted, split);
        if (goal.onePoint) return 0; // all rows that differ are test rows: nothing could be learned of them
        return flipped(Math.sqrt(mean(await source.squaredErrors(goal))));
      },
    });
  }
  return measured;
}

function nameOf(metric: DirectedMetric, way: 'xToY' | 'yToX') {
  return `${metric}_${way === 'xToY' ? 'a_to_b' : 'b_to_a'}` as const;
}

function inverseOf(permutation: Int32Array): Int32Array {
  const inverse = new Int32Array(permutation.length);
  permutation.forEach((from, to) => (inverse[from] = to));
  return inverse;
}
