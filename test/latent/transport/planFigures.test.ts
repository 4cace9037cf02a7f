import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { matrix } from '../../../latent/base/matrix.js';
import { solvePair } from '../../../latent/transport/solvePair.js';
import {
  alignmentRatio,
  barycentricMap,
  elementMatch,
  elementPlan,
  identityMass,
  placesOf,
} from '../../../latent/transport/planFigures.js';

// Two sources, three sinks: 0 -> 0 (1/3), 0 -> 2 (1/6), 1 -> 1 (1/3), 1 -> 2 (1/6)
const plan = {
  n: 2,
  m: 3,
  source: Int32Array.of(0, 0, 1, 1),
  sink: Int32Array.of(0, 2, 1, 2),
  mass: Float64Array.of(1 / 3, 1 / 6, 1 / 3, 1 / 6),
};
const source = { elements: Int32Array.of(26, 8) };
const sink = { elements: Int32Array.of(26, 8, 8) };

test('identity mass counts arcs from an atom to itself', () => {
  const square = { ...plan, n: 3 };
  expect(identityMass(square)).toBeCloseTo(2 / 3, 12);
  expect(() => identityMass(plan)).toThrow(/2 sources and 3 sinks/);
});

test('points have one place where they are equal to the last bit', () => {
  expect([...placesOf(matrix(Float64Array.of(1, 0, 1, -0, 1, 1e-300, 1, 0), 4, 2))]).toEqual([0, 0, 2, 0]);
  expect([...placesOf(matrix(Float32Array.of(0.1, 0.2, 0.1, 0.1), 4, 1))]).toEqual([0, 1, 0, 0]);
});

test('the element plan sums mass by pair of elements, sorted', () => {
  const { sourceElement, targetElement, mass } = elementPlan(plan, source, sink);
  expect([...sourceElement]).toEqual([8, 26, 26]);
  expect([...targetElement]).toEqual([8, 8, 26]);
  [1 / 2, 1 / 6, 1 / 3].forEach((value, at) => expect(mass[at]).toBeCloseTo(value, 12));
});

test('element match lies between what composition gives by chance and what it allows', () => {
  const { mass, chance, ceiling } = elementMatch(elementPlan(plan, source, sink), source, sink);
  expect(mass).toBeCloseTo(5 / 6, 12);
  expect(chance).toBeCloseTo(1 / 2, 12);
  expect(ceiling).toBeCloseTo(5 / 6, 12);
});

test('the barycentric map is the mean of the points a source is sent to', () => {
  const points = matrix(Float64Array.of(0, 0, 3, 0, 6, 3), 3, 2);
  const { map, unmapped } = barycentricMap(plan, points);
  [2, 1, 4, 1].forEach((value, at) => expect(map.data[at]).toBeCloseTo(value, 12));
  expect(unmapped).toEqual([]);
  expect(barycentricMap({ ...plan, n: 3 }, points).unmapped).toEqual([2]);
  const together = barycentricMap(plan, points, Int32Array.of(0, 0));
  [3, 1, 3, 1].forEach((value, at) => expect(together.map.data[at]).toBeCloseTo(value, 12));
});

test("the image of an exact plan is that of POT's domain adaptation", async () => {
  const fixture = JSON.parse(readFileSync(new URL('./fixtures/barycentric.json', import.meta.url), 'utf8')) as Record<
    'x' | 'y' | 'image',
    number[][]
  >;
  const [x, y, image] = [fixture.x, fixture.y, fixture.image].map((rows) =>
    matrix(Float64Array.from(rows.flat()), rows.length, 3),
  );
  const { barycentric } = await solvePair(x, y, {
    design: 'disjoint',
    sourceElements: new Int32Array(x.rows),
    sinkElements: new Int32Array(y.rows),
    barycentric: true,
  });
  barycentric!.map.data.forEach((value, at) => expect(Math.abs(value - image.data[at])).toBeLessThan(1e-12));
  barycentric!.residual.forEach((distance, i) =>
    expect(distance).toBeCloseTo(Math.hypot(...fixture.x[i].map((value, c) => value - fixture.image[i][c])), 12),
  );
});

test.each([
  [1, 1, 3, 0],
  [3, 1, 3, 1],
  [2, 1, 3, 0.5],
  [4, 1, 3, 1.5],
  [2, 2, 2, null],
  [0, 0, 0, null],
])('paired %d, optimal %d, random %d: alignment ratio %s', (paired, optimal, random, expected) => {
  expect(alignmentRatio(paired, optimal, random)).toBe(expected);
});

test('labels of the wrong number are refused', () => {
  expect(() => elementPlan(plan, { elements: Int32Array.of(1) }, sink)).toThrow(/1 source elements for a plan of 2/);
});

test.each([
  ['one vector for all', () => 0],
  ['one vector an element', (element: number) => element],
])('%s finds no atom again beyond chance, whatever the solver starts from', async (_, vectorOf) => {
  const elements = Int32Array.from({ length: 60 }, (__, i) => 1 + (i % 4));
  const cloud = matrix(Float64Array.from(elements, vectorOf), 60, 1);
  const spread = matrix(
    Float64Array.from(elements, (element, i) => vectorOf(element) + i / 1e4),
    60,
    1,
  );
  for (const [x, y] of [
    [cloud, cloud],
    [cloud, spread],
    [spread, cloud],
  ]) {
    const { summary } = await solvePair(x, y, { design: 'same', sourceElements: elements, sinkElements: elements });
    const places = new Set(cloud.data).size;
    expect(summary.identity_mass).toBeCloseTo(places / 60, 12);
    expect(summary.element_match_mass).toBeCloseTo(places === 1 ? summary.element_match_chance : 1, 12);
  }
});

test('figures do not depend on the order of points that coincide', async () => {
  const points = fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 3 })), {
    minLength: 2,
    maxLength: 24,
  });
  await fc.assert(
    fc.asyncProperty(points, fc.array(fc.nat(), { minLength: 24, maxLength: 24 }), async (pairs, keys) => {
      // Costs of points on a line are rarely unique, so the same plan is asked about rows in two orders instead of solving twice.
      const n = pairs.length;
      const x = matrix(
        Float64Array.from(pairs, ([at]) => at),
        n,
        1,
      );
      const elements = Int32Array.from(pairs, (_, i) => 1 + (i % 3));
      const { plan } = await solvePair(
        x,
        matrix(
          Float64Array.from(pairs, ([, at]) => at),
          n,
          1,
        ),
        {
          design: 'same',
          sourceElements: elements,
          sinkElements: elements,
        },
      );
      const places = placesOf(x);
      // Exchange sources that coincide.
      const order = Int32Array.from({ length: n }, (_, i) => i).sort(
        (a, b) => places[a] - places[b] || keys[a] - keys[b] || a - b,
      );
      const plain = Int32Array.from({ length: n }, (_, i) => i).sort((a, b) => places[a] - places[b] || a - b);
      const exchanged = new Int32Array(n);
      plain.forEach((row, at) => (exchanged[row] = order[at]));
      const other = { ...plan, source: plan.source.map((row) => exchanged[row]) };
      const sides = [{ elements, places }, { elements }] as const;
      expect(identityMass(other, places)).toBeCloseTo(identityMass(plan, places), 12);
      const [match, again] = [plan, other].map((one) => elementMatch(elementPlan(one, ...sides), ...sides).mass);
      expect(again).toBeCloseTo(match, 12);
      const y = matrix(
        Float64Array.from(pairs, ([, at]) => at),
        n,
        1,
      );
      const [map, mapAgain] = [plan, other].map((one) => barycentricMap(one, y, places).map.data);
      map.forEach((value, at) => expect(mapAgain[at]).toBeCloseTo(value, 12));
    }),
    { numRuns: 60 },
  );
});
