import { matrix, type Matrix } from '../base/matrix.js';
import { euclideanCost } from './cost.js';
import { exactTransport } from './exact.js';
import { elementMatch, elementPlan, placesOf, type PlanSide } from './planFigures.js';
import type { SparsePlan } from './sparsePlan.js';

/** What element-match mass a model's own space allows, to hold that of a pair against. */
export interface ElementBounds {
  /** Of the plan to a representation that knows composition only: one vector an element, in the same basis. */
  floor: number;
  /** Of the plan between disjoint halves of the model's own atoms. */
  ceiling: number;
}

/**
 * Floor and ceiling of element-match mass for one model, from two disjoint samples of its coordinates.
 * @param x coordinates of the first sample [n, K], y of the second [m, K]
 * @param anchorElements atomic numbers of the K anchors
 * @param centred whether coordinates are about the mean of the anchors
 */
export async function elementBounds(
  x: Matrix,
  y: Matrix,
  sourceElements: Int32Array,
  sinkElements: Int32Array,
  anchorElements: Int32Array,
  centred: boolean,
): Promise<ElementBounds> {
  const source = { elements: sourceElements, places: placesOf(x) };
  const self = await exactTransport(await euclideanCost(x, y));
  // All atoms of an element are one point of the one-hot cloud: a sink with their number as its weight.
  const counts = new Map<number, number>();
  for (const element of sinkElements) counts.set(element, (counts.get(element) ?? 0) + x.rows);
  const elements = Int32Array.from(counts.keys()).sort();
  const oneHot = oneHotCoordinates(elements, anchorElements, centred);
  const weights = Float64Array.from(elements, (element) => counts.get(element)!);
  const composition = await exactTransport(await euclideanCost(x, oneHot), {
    sourceWeights: new Float64Array(x.rows).fill(y.rows),
    sinkWeights: weights,
  });
  const matched = (plan: SparsePlan, sink: PlanSide) =>
    Math.min(1, elementMatch(elementPlan(plan, source, sink), source, sink).mass); // masses round
  return {
    // Elements without an anchor are one point as well.
    floor: matched(composition, { elements, places: placesOf(oneHot), weights }),
    ceiling: matched(self, { elements: sinkElements, places: placesOf(y) }),
  };
}

/**
 * Coordinates [elements, K] of vectors that are 1 in the place of their element and 0 elsewhere: cosines to those of the anchors, about the anchors'
 * mean where `centred`. A vector that is the mean itself has coordinates 0.
 */
export function oneHotCoordinates(
  elements: ArrayLike<number>,
  anchorElements: Int32Array,
  centred: boolean,
): Matrix<Float64Array> {
  const k = anchorElements.length;
  const shares = new Map<number, number>();
  if (centred) for (const element of anchorElements) shares.set(element, (shares.get(element) ?? 0) + 1 / k);
  const share = (element: number) => shares.get(element) ?? 0;
  let norm = 0; // of the mean, squared
  for (const value of shares.values()) norm += value * value;
  const product = (e: number, a: number) => (e === a ? 1 : 0) - share(e) - share(a) + norm;
  const length = (e: number) => Math.sqrt(Math.max(0, product(e, e)));
  const values = new Float64Array(elements.length * k);
  for (let row = 0, at = 0; row < elements.length; row++)
    for (let anchor = 0; anchor < k; anchor++, at++) {
      const lengths = length(elements[row]) * length(anchorElements[anchor]);
      values[at] = lengths < 1e-12 ? 0 : product(elements[row], anchorElements[anchor]) / lengths;
    }
  return matrix(values, elements.length, k);
}
