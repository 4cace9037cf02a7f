import { clusterMeans } from '../statistics/clusterBootstrap.js';
import { numberGroups } from '../base/groups.js';
import { matrix, type Matrix } from '../base/matrix.js';
import { normalFrom, seededRandom } from '../base/random.js';
import type { Interval } from '../statistics/bootstrap.js';
import {
  compositionMean,
  compositionSpace,
  moved,
  offsetOf,
  scorePredictions,
  type ElementSpace,
  type Scores,
} from './predict.js';
import type { Substitution } from './substitutions.js';

/** Sums of a space as they travel to a thread; rows of `shares` are elements of single structures of pairs. */
export interface SpaceSums {
  means: Matrix;
  elements: Int32Array;
  counts: Float64Array;
  sums: Matrix;
  shares: { structure: Int32Array; element: Int32Array; count: Int32Array; sums: Matrix };
}

/** Components of the random vectors of the control. */
const RANDOM_COLUMNS = 100;

/** The space of a model. */
export function elementSpace(sums: SpaceSums, compositions: readonly ReadonlyMap<number, number>[]): ElementSpace {
  const row = (m: Matrix, at: number) => Float64Array.from(m.data.subarray(at * m.columns, (at + 1) * m.columns));
  const within = new Map<string, number>();
  sums.shares.structure.forEach((structure, at) => within.set(`${structure} ${sums.shares.element[at]}`, at));
  const { means } = sums;
  return {
    means: matrix(Float64Array.from(means.data), means.rows, means.columns),
    totals: new Map(
      Array.from(sums.elements, (element, at) => [element, { sum: row(sums.sums, at), count: sums.counts[at] }]),
    ),
    within: (structure, element) => {
      const at = within.get(`${structure} ${element}`);
      return at === undefined
        ? { sum: new Float64Array(means.columns), count: 0 }
        : { sum: row(sums.shares.sums, at), count: sums.shares.count[at] };
    },
    composition: (structure) => compositions[structure],
  };
}

/** Scores of one predictor. */
export interface Predicted extends Scores {
  predictor: 'offset' | 'no_change' | 'composition_mean' | 'one_hot' | 'random_elements';
}

/** The pairs whose elements also occur in other structures: only for them are there element vectors to predict with. */
export function predictablePairs(
  pairs: readonly Substitution[],
  compositions: readonly ReadonlyMap<number, number>[],
): Substitution[] {
  const holders = new Map<number, number>();
  for (const composition of compositions)
    for (const element of composition.keys()) holders.set(element, (holders.get(element) ?? 0) + 1);
  return pairs.filter(({ source, target, fromElement }) =>
    [fromElement, ...compositions[target].keys()].every((element) => {
      const own = [source, target].filter((structure) => compositions[structure].has(element)).length;
      return holders.get(element)! > own;
    }),
  );
}

/** What a model's space predicts by offsets, without any, and by composition alone. Pairs as `predictablePairs` gives them. */
export async function evaluateSpace(space: ElementSpace, pairs: readonly Substitution[]): Promise<Predicted[]> {
  const zero = new Float64Array(space.means.columns);
  const score = async (predictor: Predicted['predictor'], predict: (pair: Substitution) => Float64Array) => ({
    predictor,
    ...(await scorePredictions(space, pairs, pairs.map(predict))),
  });
  return [
    await score('offset', (pair) => moved(space, pair, offsetOf(space, pair)!)),
    await score('no_change', (pair) => moved(space, pair, zero)),
    await score('composition_mean', (pair) => compositionMean(space, pair)!),
  ];
}

/** The controls without a model: offsets of vectors that know the composition and nothing else. */
export async function evaluateControls(
  compositions: readonly ReadonlyMap<number, number>[],
  pairs: readonly Substitution[],
  seed: number,
): Promise<Predicted[]> {
  const elements = [...new Set(compositions.flatMap((composition) => [...composition.keys()]))].sort((a, b) => a - b);
  const oneHot = new Map(
    elements.map((element, at) => [element, Float64Array.from(elements, (_, c) => Number(c === at))]),
  );
  const normal = normalFrom(seededRandom(seed));
  const random = new Map(
    elements.map((element) => [element, Float64Array.from({ length: RANDOM_COLUMNS }, () => normal())]),
  );
  const score = async (predictor: Predicted['predictor'], vectors: Map<number, Float64Array>, columns: number) => {
    const space = compositionSpace(compositions, columns, (element) => vectors.get(element)!);
    const predictions = pairs.map((pair) => moved(space, pair, offsetOf(space, pair)!));
    return { predictor, ...(await scorePredictions(space, pairs, predictions)) };
  };
  return [await score('one_hot', oneHot, elements.length), await score('random_elements', random, RANDOM_COLUMNS)];
}

/** Offsets of one model's elements applied in another's space: the same pairs in the numbering of each. */
export async function evaluateTransfer(
  from: ElementSpace,
  to: ElementSpace,
  pairs: readonly { inFrom: Substitution; inTo: Substitution }[],
): Promise<Scores> {
  const inTo = pairs.map((pair) => pair.inTo);
  const predictions = pairs.map((pair) => moved(to, pair.inTo, offsetOf(from, pair.inFrom)!));
  return scorePredictions(to, inTo, predictions);
}

/** Means over pairs with intervals over prototypes. Pairs whose structures coincide have no relative error. */
export function summariseScores(
  { rank, relativeError }: Scores,
  pairs: readonly Substitution[],
  replicates: number,
  seed: number,
): { metric: 'hit_1' | 'hit_10' | 'mrr' | 'relative_error'; interval: Interval; pairs: number; prototypes: number }[] {
  if (pairs.length === 0) return [];
  const clusters = (chosen: readonly Substitution[]) => numberGroups(chosen.map(({ prototype }) => prototype));
  const all = clusters(pairs);
  const ranks = [rank.map((r) => Number(r <= 1)), rank.map((r) => Number(r <= 10)), rank.map((r) => 1 / r)];
  const names = ['hit_1', 'hit_10', 'mrr'] as const;
  const found: ReturnType<typeof summariseScores> = clusterMeans(ranks, all, replicates, seed).map((interval, at) => ({
    metric: names[at],
    interval,
    pairs: pairs.length,
    prototypes: all.count,
  }));
  const apart = pairs.filter((_, at) => !Number.isNaN(relativeError[at]));
  if (apart.length > 0) {
    const groups = clusters(apart);
    const errors = relativeError.filter((value) => !Number.isNaN(value));
    const [interval] = clusterMeans([errors], groups, replicates, seed);
    found.push({ metric: 'relative_error', interval, pairs: apart.length, prototypes: groups.count });
  }
  return found;
}
