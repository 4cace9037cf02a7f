import { countUp } from '../base/integers.js';
import { clusterMeans } from '../statistics/clusterBootstrap.js';
import { matrix, takeRows, type Matrix } from '../base/matrix.js';
import { hashUnit, seededRandom, shuffle } from '../base/random.js';
import { ANCHOR_MAPS, applyMap, inverseProjection, type AnchorMapName } from './anchorMaps.js';
import { HEADS, standardised, type HeadName } from './heads.js';

/** One model's side: mean vectors of the same structures [S, ...], and its anchors. */
export interface StitchedModel {
  coordinates: Matrix;
  embeddings: Matrix;
  /** Means of embeddings of length 1. */
  directions: Matrix;
  /** [K, d] */
  anchors: Float32Array;
}

/** What is stitched. */
export interface StitchingTask {
  /** The model whose vectors heads are fitted on, and the one whose vectors are put in. */
  head: StitchedModel;
  input: StitchedModel;
  /** [S] shares of elements. */
  compositions: readonly ReadonlyMap<number, number>[];
  /** [S] names of the structures: their hashes decide which are held out. */
  ids: readonly string[];
  /** Numbers to predict [S], NaN where a structure has none. */
  targets: readonly { name: string; values: Float64Array }[];
  /** Coordinates are cosines about the anchors' mean: they do not give embeddings back. */
  centred: boolean;
  replicates: number;
  seed: number;
}

/** Ways to put one model's vectors into another's head. */
export type StitchingMethod = 'relative' | AnchorMapName | 'inverse_projection';

/** Errors of one method, head and target: mean absolute, over the structures held out. */
export interface StitchingFigures {
  method: StitchingMethod;
  head: HeadName;
  target: string;
  error: number;
  low: number;
  high: number;
  gap: number | null;
  native_error: number;
  mean_error: number;
  composition_error: number;
  shuffled_error: number;
  train: number;
  test: number;
}

/** Structures a head is fitted on, and held out, at most: more would not change a figure beyond its interval. */
const MOST_TRAIN = 2000;
const MOST_TEST = 1000;
/** Structures that must be on either side for a target to be in the table. */
const LEAST = 5;

/** Stitching, with all that bounds it (docs/method.md, Maps). Targets that fewer than 5 structures on either side have are left out. */
export async function stitch(task: StitchingTask): Promise<StitchingFigures[]> {
  const { head, input, compositions, seed } = task;
  const order = (length: number) => shuffle(countUp(length), seededRandom(seed));
  const found: StitchingFigures[] = [];
  const methods = inputsOf(task, order);
  const composition = shareMatrix(compositions);
  for (const { name, values } of task.targets) {
    const { train, test } = split(task.ids, values, seed);
    if (train.length < LEAST || test.length < LEAST) continue;
    const fitOn = async (headName: HeadName, x: Matrix) =>
      HEADS[headName](
        standardised(takeRows(x, train), takeRows(x, train)),
        Float64Array.from(train, (s) => values[s]),
      );
    /** Absolute errors of a head on the vectors put in, standardised by their own statistics. */
    const errors = async (predict: Awaited<ReturnType<typeof fitOn>>, x: Matrix) => {
      const predicted = await predict(standardised(takeRows(x, test), takeRows(x, train)));
      return predicted.map((value, at) => Math.abs(value - values[test[at]]));
    };
    const average = (list: Float64Array) => list.reduce((sum, value) => sum + value, 0) / list.length;
    const mean = train.reduce((sum, s) => sum + values[s], 0) / train.length;
    const meanError = average(Float64Array.from(test, (s) => Math.abs(values[s] - mean)));
    const compositionError = average(await errors(await fitOn('ridge', composition), composition));
    for (const headName of Object.keys(HEADS) as HeadName[]) {
      const native = new Map<Matrix, number>();
      const fitted = new Map<Matrix, Awaited<ReturnType<typeof fitOn>>>();
      for (const { method, source, put, shuffled, own } of methods) {
        const predict = fitted.get(source) ?? (await fitOn(headName, source));
        fitted.set(source, predict);
        const nativeError = native.get(own) ?? average(await errors(await fitOn(headName, own), own));
        native.set(own, nativeError);
        const absolute = await errors(predict, put);
        const groups = { groups: Int32Array.from(test.keys()), count: test.length };
        const [{ value, low, high }] = clusterMeans([absolute], groups, task.replicates, seed);
        found.push({
          method,
          head: headName,
          target: name,
          error: value,
          low,
          high,
          gap: meanError === nativeError ? null : (value - nativeError) / (meanError - nativeError),
          native_error: nativeError,
          mean_error: meanError,
          composition_error: compositionError,
          shuffled_error: average(await errors(predict, shuffled)),
          train: train.length,
          test: test.length,
        });
      }
    }
  }
  return found;

  function inputsOf({ centred }: StitchingTask, orderOf: (length: number) => Int32Array) {
    const [d, e] = [head.embeddings.columns, input.embeddings.columns];
    const k = head.coordinates.columns;
    const anchors = matrix(head.anchors, k, d);
    const theirs = matrix(input.anchors, k, e);
    const anyOrder = orderOf(k);
    const shuffledCoordinates = takeColumns(input.coordinates, anyOrder);
    const list: { method: StitchingMethod; source: Matrix; put: Matrix; shuffled: Matrix; own: Matrix }[] = [
      {
        method: 'relative',
        source: head.coordinates,
        put: input.coordinates,
        shuffled: shuffledCoordinates,
        own: input.coordinates,
      },
    ];
    for (const [method, fit] of Object.entries(ANCHOR_MAPS))
      list.push({
        method: method as AnchorMapName,
        source: head.embeddings,
        put: applyMap(fit(theirs, anchors), input.embeddings),
        shuffled: applyMap(fit(takeRows(theirs, anyOrder), anchors), input.embeddings),
        own: input.embeddings,
      });
    if (!centred) {
      const back = inverseProjection(anchors);
      list.push({
        method: 'inverse_projection',
        source: head.directions,
        put: applyMap(back, input.coordinates),
        shuffled: applyMap(back, shuffledCoordinates),
        own: input.coordinates,
      });
    }
    return list;
  }
}

/** Half of the structures that have a number, by the hash of their names, and the other half; the lowest hashes where there are too many. */
function split(ids: readonly string[], values: Float64Array, seed: number) {
  const ranked = ids
    .map((id, structure) => ({ structure, rank: hashUnit(seed, 'stitching', id) }))
    .filter(({ structure }) => Number.isFinite(values[structure]))
    .sort((a, b) => a.rank - b.rank);
  const train: number[] = [];
  const test: number[] = [];
  for (const { structure } of ranked.filter(({ rank }) => rank < 0.5).slice(0, MOST_TRAIN)) train.push(structure);
  for (const { structure } of ranked.filter(({ rank }) => rank >= 0.5).slice(0, MOST_TEST)) test.push(structure);
  return { train, test };
}

function shareMatrix(compositions: readonly ReadonlyMap<number, number>[]): Matrix<Float64Array> {
  const elements = [...new Set(compositions.flatMap((composition) => [...composition.keys()]))].sort((a, b) => a - b);
  const shares = matrix(new Float64Array(compositions.length * elements.length), compositions.length, elements.length);
  compositions.forEach((composition, s) =>
    elements.forEach((element, c) => (shares.data[s * elements.length + c] = composition.get(element) ?? 0)),
  );
  return shares;
}

function takeColumns(x: Matrix, order: Int32Array): Matrix<Float64Array> {
  const data = new Float64Array(x.data.length);
  for (let first = 0; first < data.length; first += x.columns)
    for (let c = 0; c < x.columns; c++) data[first + c] = x.data[first + order[c]];
  return { data, rows: x.rows, columns: x.columns };
}
