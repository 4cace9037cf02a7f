import { expect, test } from 'vitest';
import {
  alignmentRatio,
  barycentricMap,
  elementMatch,
  elementPlan,
  identityMass,
} from '../../../latent/transport/planFigures.js';

// Two sources, three sinks: 0 -> 0 (1/3), 0 -> 2 (1/6), 1 -> 1 (1/3), 1 -> 2 (1/6)
const plan = {
  n: 2,
  m: 3,
  source: Int32Array.of(0, 0, 1, 1),
  sink: Int32Array.of(0, 2, 1, 2),
  mass: Float64Array.of(1 / 3, 1 / 6, 1 / 3, 1 / 6),
};

test('identity mass counts arcs between equal keys', () => {
  expect(identityMass(plan, ['mp-1:0', 'mp-2:0'], ['mp-1:0', 'mp-3:0', 'mp-2:0'])).toBeCloseTo(1 / 2, 12);
});

test('the element plan sums mass by pair of elements, sorted', () => {
  const { sourceElement, targetElement, mass } = elementPlan(plan, Int32Array.of(26, 8), Int32Array.of(26, 8, 8));
  expect([...sourceElement]).toEqual([8, 26, 26]);
  expect([...targetElement]).toEqual([8, 8, 26]);
  [1 / 2, 1 / 6, 1 / 3].forEach((value, at) => expect(mass[at]).toBeCloseTo(value, 12));
});

test('element match lies between what composition gives by chance and what it allows', () => {
  const { mass, chance, ceiling } = elementMatch(plan, Int32Array.of(26, 8), Int32Array.of(26, 8, 8));
  expect(mass).toBeCloseTo(5 / 6, 12);
  expect(chance).toBeCloseTo(1 / 2, 12);
  expect(ceiling).toBeCloseTo(5 / 6, 12);
});

test('the barycentric map is the mean of the points a source is sent to', () => {
  const { map, unmapped } = barycentricMap(plan, Float64Array.of(0, 0, 3, 0, 6, 3));
  [2, 1, 4, 1].forEach((value, at) => expect(map[at]).toBeCloseTo(value, 12));
  expect(unmapped).toEqual([]);
  expect(barycentricMap({ ...plan, n: 3 }, new Float64Array(6)).unmapped).toEqual([2]);
});

test.each([
  [1, 1, 3, 0],
  [3, 1, 3, 1],
  [2, 1, 3, 0.5],
  [4, 1, 3, 1.5],
  [2, 2, 2, 0],
  [0, 0, 0, 0],
])('paired %d, optimal %d, random %d: alignment ratio %d', (paired, optimal, random, expected) => {
  expect(alignmentRatio(paired, optimal, random)).toBe(expected);
});

test('labels of the wrong number are refused', () => {
  expect(() => elementPlan(plan, Int32Array.of(1), Int32Array.of(1, 2, 3))).toThrow(
    /1 source elements for a plan of 2/,
  );
});
