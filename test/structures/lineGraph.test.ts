import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lineGraph } from '../../structures/lineGraph.js';
import { neighbourList, type NeighbourList } from '../../structures/neighbours.js';
import { anyCrystal, crystal } from './crystals.js';

/** Bonds and angles straight from their definitions, by comparing all edges with all edges. */
function byDefinition({ count, centres, neighbours, shifts, distances }: NeighbourList, angleCutoff: number) {
  const shift = (e: number) => [...shifts.subarray(3 * e, 3 * e + 3)];
  const bonds = new Set<string>();
  const angles = new Set<string>();
  for (let e = 0; e < count; e++) {
    for (let f = 0; f < count; f++) {
      if (e === f) continue;
      const opposite = shift(e).every((s, k) => s === 0 - shift(f)[k]);
      if (centres[e] === neighbours[f] && neighbours[e] === centres[f] && opposite) {
        bonds.add([Math.min(e, f), Math.max(e, f)].join());
      }
      if (centres[e] === centres[f] && distances[e] < angleCutoff && distances[f] < angleCutoff)
        angles.add(`${e},${f}`);
    }
  }
  return { bonds, angles };
}

describe('lineGraph', () => {
  test('has the bonds and angles of the definition, in any cell', () => {
    fc.assert(
      fc.property(anyCrystal(5), fc.integer({ min: 2, max: 5 }), (structure, angleCutoff) => {
        const list = neighbourList(structure, 4);
        fc.pre(list.count < 500);
        const graph = lineGraph(list, angleCutoff);
        const { bonds, angles } = byDefinition(list, angleCutoff);

        const members = new Map<number, number[]>();
        graph.edgeToBond.forEach((bond, edge) => members.set(bond, [...(members.get(bond) ?? []), edge]));
        expect(graph.bonds).toBe(bonds.size);
        expect(new Set([...members.values()].map((pair) => pair.join()))).toEqual(bonds);
        expect([...graph.bondToEdge]).toEqual([...Array(graph.bonds).keys()].map((bond) => members.get(bond)![0]));

        expect(graph.angles).toBe(angles.size);
        const found = Array.from({ length: graph.angles }, (_, k) =>
          [graph.angleIndex[k], graph.angleIndex[graph.angles + k]].join(),
        );
        expect(new Set(found)).toEqual(angles);
      }),
      { numRuns: 60 },
    );
  });

  test('an atom and its own images: bonds pair S with -S, and the two edges of a bond form angles', () => {
    const list = neighbourList(crystal([2.5, 0, 0, 0, 9, 0, 0, 0, 9], [0, 0, 0]), 6);
    const graph = lineGraph(list, 3);
    expect([...list.shifts].filter((_, k) => k % 3 === 0)).toEqual([-2, -1, 1, 2]);
    expect([...graph.edgeToBond]).toEqual([0, 1, 1, 0]);
    expect([...graph.bondToEdge]).toEqual([0, 1]);
    expect([...graph.angleIndex]).toEqual([1, 2, 2, 1]); // rows [1, 2] and [2, 1]: edges of 2.5 Å only
  });

  test('an edge exactly as long as the angle cutoff forms no angle', () => {
    const list = neighbourList(crystal([3, 0, 0, 0, 9, 0, 0, 0, 9], [0, 0, 0]), 5);
    expect(lineGraph(list, 3).angles).toBe(0);
    expect(lineGraph(list, 3.001).angles).toBe(2);
  });

  test('no edges give no bonds and no angles', () => {
    const list = neighbourList(crystal([9, 0, 0, 0, 9, 0, 0, 0, 9], [0, 0, 0]), 5);
    expect(lineGraph(list, 3)).toEqual({
      bonds: 0,
      angles: 0,
      edgeToBond: new Int32Array(0),
      bondToEdge: new Int32Array(0),
      angleIndex: new Int32Array(0),
    });
  });

  test('refuses a list whose edges lack their reverse', () => {
    const chain = crystal([20, 0, 0, 0, 20, 0, 0, 0, 20], [0, 0, 0, 0.1, 0, 0, 0.15, 0, 0]);
    const truncated = neighbourList(chain, 5, 1); // 0 -> 1, 1 -> 2, 2 -> 1
    expect(truncated.count).toBe(3);
    expect(() => lineGraph(truncated, 3)).toThrow('edge 0 -> 1 with shift (0,0,0) has no reverse edge');
    const one = { ...truncated, count: 1, centres: Int32Array.of(1), neighbours: Int32Array.of(0) };
    expect(() => lineGraph(one, 3)).toThrow('edge 1 -> 0 has no reverse edge');
  });
});
