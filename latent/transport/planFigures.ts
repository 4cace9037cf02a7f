import { countUp } from '../base/integers.js';
import { matrix, type Matrix } from '../base/matrix.js';
import type { SparsePlan } from './sparsePlan.js';

/**
 * What a plan says beyond its cost. Works on exact and entropic plans alike: any sparse plan whose masses sum to at most 1.
 *
 * Points that coincide can be exchanged at no cost, and which of them a solver picks is an accident (the exact one starts from the diagonal, so
 * that one vector an element would find every atom again). So figures are means over all exchanges of points that coincide: what a
 * plan cannot tell apart counts as chance.
 */

/** What is known of the points of one side. */
export interface PlanSide {
  /** [n] Z */
  elements: Int32Array;
  /** [n] numbers of {@link placesOf}; no two points coincide by default. */
  places?: Int32Array;
  /** [n], uniform by default. */
  weights?: Float64Array;
}

/** Mass that moves between elements; rows sorted by (source element, target element). */
export interface ElementPlan {
  sourceElement: Int32Array;
  targetElement: Int32Array;
  mass: Float64Array;
}

/** Numbers the places of points x [n, p]: rows that are equal to the last bit have one number, the row of the first of them. */
export function placesOf({ data, rows, columns }: Matrix): Int32Array {
  const first = new Map<string, number>();
  return Int32Array.from({ length: rows }, (_, row) => {
    // Adding 0 makes -0 the 0 that it equals.
    const point = data.slice(row * columns, (row + 1) * columns).map((value) => value + 0);
    const name = Buffer.from(point.buffer, point.byteOffset, point.byteLength).toString('latin1');
    const known = first.get(name);
    if (known !== undefined) return known;
    first.set(name, row);
    return row;
  });
}

/** Mass that stays on its own atom, row i of either side being one atom; places as of {@link placesOf}. Chance is 1/n. */
export function identityMass(plan: SparsePlan, sourcePlaces?: Int32Array, sinkPlaces?: Int32Array): number {
  const { n, m, source, sink, mass } = plan;
  if (n !== m) throw new RangeError(`latent/transport: ${n} sources and ${m} sinks are not the same atoms`);
  const [from, to] = [sourcePlaces ?? countUp(n), sinkPlaces ?? countUp(n)];
  const [atSource, atSink] = [countsOf(from), countsOf(to)];
  const atBoth = new Map<number, number>(); // atoms at a place of either side
  for (let i = 0; i < n; i++) atBoth.set(from[i] * n + to[i], (atBoth.get(from[i] * n + to[i]) ?? 0) + 1);
  let stays = 0;
  for (let arc = 0; arc < mass.length; arc++) {
    const [place, other] = [from[source[arc]], to[sink[arc]]];
    const pairs = atSource[place] * atSink[other];
    const same = pairs === 1 ? (source[arc] === sink[arc] ? 1 : 0) : (atBoth.get(place * n + other) ?? 0);
    stays += (mass[arc] * same) / pairs;
  }
  return stays;
}

/** Mass between atoms of each pair of elements, T[e, f], without the pairs that exchange none. */
export function elementPlan(plan: SparsePlan, source: PlanSide, sink: PlanSide): ElementPlan {
  checkLength('source elements', source.elements.length, plan.n);
  checkLength('sink elements', sink.elements.length, plan.m);
  const masses = new Map<number, number>();
  const [sources, sinks] = [sharesByPlace(source), sharesByPlace(sink)];
  for (let arc = 0; arc < plan.mass.length; arc++)
    for (const [from, share] of sources[plan.source[arc]])
      for (const [to, other] of sinks[plan.sink[arc]]) {
        const key = from * 1024 + to;
        masses.set(key, (masses.get(key) ?? 0) + plan.mass[arc] * share * other);
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

/** Mass between atoms of the same element, from the element plan of the same sides, with chance and ceiling. */
export function elementMatch(moved: ElementPlan, source: PlanSide, sink: PlanSide): ElementMatch {
  const mass = moved.mass.reduce(
    (sum, value, at) => sum + (moved.sourceElement[at] === moved.targetElement[at] ? value : 0),
    0,
  );
  const sinkShares = elementShares(sink);
  let chance = 0;
  let ceiling = 0;
  for (const [element, share] of elementShares(source)) {
    const other = sinkShares.get(element) ?? 0;
    chance += share * other;
    ceiling += Math.min(share, other);
  }
  return { mass, chance, ceiling };
}

/**
 * How far the given pairing is from optimal, on the scale of a random one: (paired - optimal) / (random - optimal). 0: no plan beats the
 * pairing; 1: the pairing is no better than chance; above 1 it is worse.
 * @returns null where random pairing is optimal too: all plans cost the same, which says nothing
 */
export function alignmentRatio(paired: number, optimal: number, random: number): number | null {
  const range = random - optimal;
  if (range <= 1e-12 * Math.abs(random)) return null;
  return Math.max(0, (paired - optimal) / range);
}

/** The image of a plan's sources, see {@link barycentricMap}. */
export interface BarycentricMap {
  /** [n, q] */
  map: Matrix<Float64Array>;
  /** Sources without mass, ascending: they have no image, their rows of `map` are 0. */
  unmapped: number[];
}

/**
 * The barycentric map of a plan: for every source the mean of the points [m, q] it is sent to, weighted by mass. Sources that coincide have one image.
 * @param places of the sources, as of {@link placesOf}
 */
export function barycentricMap(plan: SparsePlan, points: Matrix, places = countUp(plan.n)): BarycentricMap {
  const { n, m, source, sink, mass } = plan;
  checkLength('target points', points.rows, m);
  const q = points.columns;
  const sums = new Float64Array(n * q); // by place
  const total = new Float64Array(n);
  for (let arc = 0; arc < mass.length; arc++) {
    const place = places[source[arc]];
    total[place] += mass[arc];
    for (let c = 0, at = sink[arc] * q; c < q; c++) sums[place * q + c] += mass[arc] * points.data[at++];
  }
  const map = new Float64Array(n * q);
  const unmapped: number[] = [];
  for (let i = 0; i < n; i++) {
    const place = places[i];
    if (total[place] === 0) unmapped.push(i);
    else for (let c = 0; c < q; c++) map[i * q + c] = sums[place * q + c] / total[place];
  }
  return { map: matrix(map, n, q), unmapped };
}

/** Points at each place. */
function countsOf(places: Int32Array): Int32Array {
  const counts = new Int32Array(places.length);
  for (const place of places) counts[place]++;
  return counts;
}

/** For every point the elements at its place, with their shares of its weight. */
function sharesByPlace({ elements, places = countUp(elements.length), weights }: PlanSide): [number, number][][] {
  const held = new Map<number, Map<number, number>>();
  const totals = new Float64Array(elements.length);
  places.forEach((place, i) => {
    const weight = weights?.[i] ?? 1;
    const shares = held.get(place) ?? new Map<number, number>();
    held.set(place, shares.set(elements[i], (shares.get(elements[i]) ?? 0) + weight));
    totals[place] += weight;
  });
  const shares = new Map(
    [...held].map(([place, sums]) => [
      place,
      [...sums].map(([element, weight]): [number, number] => [element, weight / totals[place]]),
    ]),
  );
  return Array.from(places, (place) => shares.get(place)!);
}

function elementShares({ elements, weights }: PlanSide): Map<number, number> {
  const total = weights ? weights.reduce((sum, weight) => sum + weight, 0) : elements.length;
  const shares = new Map<number, number>();
  elements.forEach((element, i) => shares.set(element, (shares.get(element) ?? 0) + (weights?.[i] ?? 1) / total));
  return shares;
}

function checkLength(what: string, length: number, expected: number): void {
  if (length !== expected) throw new RangeError(`latent/transport: ${length} ${what} for a plan of ${expected} points`);
}
