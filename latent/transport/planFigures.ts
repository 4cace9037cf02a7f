/** What a plan says beyond its cost. Works on exact and entropic plans alike: any sparse plan whose masses sum to at most 1. */

/** A plan as parallel arrays of arcs: source and sink are row numbers. */
export interface SparsePlan {
  n: number;
  m: number;
  source: Int32Array;
  sink: Int32Array;
  mass: Float64Array;
}

/** Mass that moves between elements; rows sorted by (source element, target element). */
export interface ElementPlan {
  sourceElement: Int32Array;
  targetElement: Int32Array;
  mass: Float64Array;
}

/** Mass between points with the same key: an atom and itself in the other model. Chance is 1/n for the same n atoms on both sides. */
export function identityMass(plan: SparsePlan, sourceKeys: ArrayLike<unknown>, sinkKeys: ArrayLike<unknown>): number {
  checkLength('source keys', sourceKeys.length, plan.n);
  checkLength('sink keys', sinkKeys.length, plan.m);
  let mass = 0;
  for (let at = 0; at < plan.mass.length; at++)
    if (sourceKeys[plan.source[at]] === sinkKeys[plan.sink[at]]) mass += plan.mass[at];
  return mass;
}

/** Mass between atoms of each pair of elements, T[e, f], without the pairs that exchange none. */
export function elementPlan(plan: SparsePlan, sourceElements: Int32Array, sinkElements: Int32Array): ElementPlan {
  checkLength('source elements', sourceElements.length, plan.n);
  checkLength('sink elements', sinkElements.length, plan.m);
  const masses = new Map<number, number>();
  for (let at = 0; at < plan.mass.length; at++) {
    const key = sourceElements[plan.source[at]] * 1024 + sinkElements[plan.sink[at]];
    masses.set(key, (masses.get(key) ?? 0) + plan.mass[at]);
  }
  const keys = [...masses.keys()].sort((a, b) => a - b);
  return {
    sourceElement: Int32Array.from(keys, (key) => Math.floor(key / 1024)),
    targetElement: Int32Array.from(keys, (key) => key % 1024),
    mass: Float64Array.from(keys, (key) => masses.get(key) as number),
  };
}

/** Element-match mass and what bounds it. */
export interface ElementMatch {
  /** Mass that stays within an element. */
  mass: number;
  /** Expected under the independent coupling: sum over elements of the product of shares. */
  chance: number;
  /** The most that any plan can reach: sum over elements of the smaller share. One-hot coordinates and a model against itself reach it. */
  ceiling: number;
}

/** Mass between atoms of the same element, with chance and ceiling for uniform weights. */
export function elementMatch(plan: SparsePlan, sourceElements: Int32Array, sinkElements: Int32Array): ElementMatch {
  checkLength('source elements', sourceElements.length, plan.n);
  checkLength('sink elements', sinkElements.length, plan.m);
  let mass = 0;
  for (let at = 0; at < plan.mass.length; at++)
    if (sourceElements[plan.source[at]] === sinkElements[plan.sink[at]]) mass += plan.mass[at];
  const sinkShares = shares(sinkElements);
  let chance = 0;
  let ceiling = 0;
  for (const [element, share] of shares(sourceElements)) {
    const other = sinkShares.get(element) ?? 0;
    chance += share * other;
    ceiling += Math.min(share, other);
  }
  return { mass, chance, ceiling };
}

/**
 * How far the given pairing is from optimal, on the scale of a random one: (paired - optimal) / (random - optimal). 0: no plan beats the
 * pairing; 1: the pairing is no better than chance; above 1 it is worse. When random pairing is optimal too, all plans cost the
 * same and the ratio is 0.
 */
export function alignmentRatio(paired: number, optimal: number, random: number): number {
  const range = random - optimal;
  if (range <= 1e-12 * Math.abs(random)) return 0;
  return Math.max(0, (paired - optimal) / range);
}

/**
 * The barycentric map of a plan: for every source the mean of the points it is sent to, weighted by mass; [n, q] for points [m, q].
 * @returns the map, NaN-free: a source without mass has no image and is listed in `unmapped`
 */
export function barycentricMap(
  plan: SparsePlan,
  points: Float32Array | Float64Array,
): { map: Float64Array; unmapped: number[] } {
  const q = points.length / plan.m;
  if (!Number.isInteger(q))
    throw new RangeError(`latent/transport: ${points.length} values do not make ${plan.m} target points`);
  const map = new Float64Array(plan.n * q);
  const mass = new Float64Array(plan.n);
  for (let at = 0; at < plan.mass.length; at++) {
    const i = plan.source[at];
    mass[i] += plan.mass[at];
    for (let c = 0; c < q; c++) map[i * q + c] += plan.mass[at] * points[plan.sink[at] * q + c];
  }
  const unmapped: number[] = [];
  for (let i = 0; i < plan.n; i++) {
    if (mass[i] === 0) unmapped.push(i);
    else for (let c = 0; c < q; c++) map[i * q + c] /= mass[i];
  }
  return { map, unmapped };
}

function shares(elements: Int32Array): Map<number, number> {
  const counts = new Map<number, number>();
  for (const element of elements) counts.set(element, (counts.get(element) ?? 0) + 1 / elements.length);
  return counts;
}

function checkLength(what: string, length: number, expected: number): void {
  if (length !== expected) throw new RangeError(`latent/transport: ${length} ${what} for a plan of ${expected} points`);
}
