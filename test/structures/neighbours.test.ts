import fc from 'fast-check';
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { neighbourList, type NeighbourList } from '../../structures/neighbours.js';
import type { Structure } from '../../structures/structure.js';
import { describeShared } from '../support/shared.js';
import { anyCrystal, anyRotation, crystal, permuted, rotated, volume } from './crystals.js';
import { runReference } from './reference/run.js';

type Edge = { i: number; j: number; shift: number[]; vector: number[]; distance: number };

function edges(list: NeighbourList): Edge[] {
  return Array.from({ length: list.count }, (_, e) => ({
    i: list.centres[e],
    j: list.neighbours[e],
    shift: [...list.shifts.subarray(3 * e, 3 * e + 3)],
    vector: [...list.vectors.subarray(3 * e, 3 * e + 3)],
    distance: list.distances[e],
  }));
}

/** Every image within generous bounds, tried one by one, in the list's order. */
function everyImage({ lattice, fractionalCoordinates: f }: Structure, cutoff: number): Edge[] {
  const [ax, ay, az, bx, by, bz, cx, cy, cz] = lattice;
  const most = [
    [by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx],
    [cy * az - cz * ay, cz * ax - cx * az, cx * ay - cy * ax],
    [ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx],
  ].map((normal) => Math.ceil((cutoff * Math.hypot(...normal)) / volume(lattice)) + 1);
  const n = f.length / 3;
  const position = (i: number) =>
    [0, 1, 2].map((k) => f[3 * i] * lattice[k] + f[3 * i + 1] * lattice[3 + k] + f[3 * i + 2] * lattice[6 + k]);
  const found: Edge[] = [];
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      const [from, to] = [position(i), position(j)];
      for (let a = -most[0]; a <= most[0]; a++) {
        for (let b = -most[1]; b <= most[1]; b++) {
          for (let c = -most[2]; c <= most[2]; c++) {
            const vector = [0, 1, 2].map(
              (k) => to[k] - from[k] + (a * lattice[k] + b * lattice[3 + k] + c * lattice[6 + k]),
            );
            const distance = Math.sqrt(vector[0] ** 2 + vector[1] ** 2 + vector[2] ** 2);
            if (distance > 0 && distance <= cutoff) found.push({ i, j, shift: [a, b, c], vector, distance });
          }
        }
      }
    }
  }
  return found;
}

const names = (list: Edge[]) => list.map(({ i, j, shift }) => `${i} ${j} ${shift.join(' ')}`);
/** Distances from one centre, ascending. */
const shells = (list: NeighbourList, centre: number) =>
  edges(list)
    .filter((edge) => edge.i === centre)
    .map((edge) => edge.distance)
    .sort((a, b) => a - b);
/** Equal up to rounding, which also decides about distances at the very cutoff. */
const expectShells = (actual: number[], expected: number[], cutoff: number) => {
  const [shorter, longer] = actual.length < expected.length ? [actual, expected] : [expected, actual];
  longer.forEach((value, k) => expect(Math.abs(value - (shorter[k] ?? cutoff))).toBeLessThan(1e-9));
};
/** No distance lies so near the cutoff that rounding could decide. */
const clearOf = (list: NeighbourList, cutoff: number) => list.distances.every((d) => Math.abs(d - cutoff) > 1e-6);

describe('neighbourList', () => {
  test('equals trying every image of every pair, in any cell', () => {
    fc.assert(
      fc.property(anyCrystal(6), fc.double({ min: 1, max: 6, noNaN: true }), (structure, cutoff) => {
        const list = neighbourList(structure, cutoff);
        const expected = everyImage(structure, cutoff);
        fc.pre([...expected].every(({ distance }) => Math.abs(distance - cutoff) > 1e-9));
        expect(names(edges(list))).toEqual(names(expected));
        edges(list).forEach((edge, k) => {
          edge.vector.forEach((x, axis) => expect(Math.abs(x - expected[k].vector[axis])).toBeLessThan(1e-12));
          expect(edge.distance).toBe(Math.sqrt(edge.vector[0] ** 2 + edge.vector[1] ** 2 + edge.vector[2] ** 2));
        });
      }),
      { numRuns: 150 },
    );
  });

  test('equals trying every image where bins select the pairs', () => {
    const size = [3, 14, 25, 40];
    fc.assert(
      fc.property(
        fc.constantFrom(...size),
        fc.constantFrom(...size),
        fc.constantFrom(...size),
        fc.array(fc.double({ min: 0, max: 0.9999, noNaN: true }), { minLength: 60, maxLength: 180 }),
        (a, b, c, numbers) => {
          const structure = crystal(
            [a, 0.3 * a, 0, -0.2 * b, b, 0.4 * b, 0, 0.1 * c, c],
            numbers.slice(0, numbers.length - (numbers.length % 3)),
          );
          expect(names(edges(neighbourList(structure, 3)))).toEqual(names(everyImage(structure, 3)));
        },
      ),
      { numRuns: 40 },
    );
  });

  test('every edge has its exact reverse, and edges are sorted', () => {
    fc.assert(
      fc.property(anyCrystal(8), (structure) => {
        const list = edges(neighbourList(structure, 5));
        const byName = new Map(list.map((edge) => [`${edge.i} ${edge.j} ${edge.shift.join(' ')}`, edge]));
        expect(byName.size).toBe(list.length);
        for (const { i, j, shift, vector, distance } of list) {
          const reverse = byName.get(`${j} ${i} ${shift.map((s) => 0 - s).join(' ')}`)!;
          expect(reverse.vector).toEqual(vector.map((x) => 0 - x));
          expect(reverse.distance).toBe(distance);
        }
        const sorted = [...list].sort(
          (x, y) =>
            x.i - y.i || x.j - y.j || x.shift[0] - y.shift[0] || x.shift[1] - y.shift[1] || x.shift[2] - y.shift[2],
        );
        expect(names(list)).toEqual(names(sorted));
      }),
    );
  });

  test('rotation turns the vectors and changes nothing else', () => {
    fc.assert(
      fc.property(anyCrystal(5), anyRotation, (structure, matrix) => {
        const list = neighbourList(structure, 5);
        fc.pre(clearOf(neighbourList(structure, 5.1), 5));
        const turned = neighbourList(rotated(structure, matrix), 5);
        expect(turned.shifts).toEqual(list.shifts);
        expect(turned.neighbours).toEqual(list.neighbours);
        for (let e = 0; e < list.count; e++) {
          for (let axis = 0; axis < 3; axis++) {
            let x = 0;
            for (let k = 0; k < 3; k++) x += matrix[3 * axis + k] * list.vectors[3 * e + k];
            expect(Math.abs(turned.vectors[3 * e + axis] - x)).toBeLessThan(1e-9);
          }
        }
      }),
      { numRuns: 50 },
    );
  });

  test('translation, with its re-wrapping, keeps the shells of every atom', () => {
    fc.assert(
      fc.property(anyCrystal(5), fc.tuple(fc.double(), fc.double(), fc.double()), (structure, raw) => {
        const t = raw.map((x) => (Number.isFinite(x) ? x % 1 : 0.5));
        const moved = crystal(
          [...structure.lattice],
          Array.from(structure.fractionalCoordinates, (x, k) => x + t[k % 3]),
        );
        const [list, other] = [neighbourList(structure, 5), neighbourList(moved, 5)];
        for (let i = 0; i < structure.atomicNumbers.length; i++) {
          expectShells(shells(other, i), shells(list, i), 5);
        }
      }),
      { numRuns: 50 },
    );
  });

  test('permuting the atoms renames the edges', () => {
    fc.assert(
      fc.property(anyCrystal(6), fc.infiniteStream(fc.nat()), (structure, random) => {
        const order = Array.from(structure.atomicNumbers, (_, k) => k);
        for (let k = order.length - 1; k > 0; k--) {
          const other = (random.next().value as number) % (k + 1);
          [order[k], order[other]] = [order[other], order[k]];
        }
        const renamed = edges(neighbourList(permuted(structure, order), 5)).map(
          ({ i, j, shift }) => `${order[i]} ${order[j]} ${shift.join(' ')}`,
        );
        expect(renamed.sort()).toEqual(names(edges(neighbourList(structure, 5))).sort());
      }),
      { numRuns: 50 },
    );
  });

  test('a supercell has the same shells around every copy of an atom', () => {
    fc.assert(
      fc.property(anyCrystal(3), (structure) => {
        const [p, q, r] = [2, 1, 3];
        const lattice = Array.from(structure.lattice, (x, k) => x * [p, q, r][Math.floor(k / 3)]);
        const f = structure.fractionalCoordinates;
        const fractional: number[] = [];
        const original: number[] = [];
        for (let i = 0; i < f.length / 3; i++) {
          for (let a = 0; a < p; a++) {
            for (let c = 0; c < r; c++) {
              fractional.push((f[3 * i] + a) / p, f[3 * i + 1] / q, (f[3 * i + 2] + c) / r);
              original.push(i);
            }
          }
        }
        const small = neighbourList(structure, 5);
        const large = neighbourList(crystal(lattice, fractional), 5);
        original.forEach((i, copy) => expectShells(shells(large, copy), shells(small, i), 5));
      }),
      { numRuns: 50 },
    );
  });

  test('an image at exactly the cutoff is an edge', () => {
    const cubic = crystal([5, 0, 0, 0, 5, 0, 0, 0, 5], [0, 0, 0]);
    expect(neighbourList(cubic, 5).count).toBe(6);
    expect(neighbourList(cubic, 5 - 1e-12).count).toBe(0);
  });

  test('coincident atoms are not neighbours, their images are', () => {
    const twins = crystal([3, 0, 0, 0, 3, 0, 0, 0, 3], [0.25, 0.5, 0, 0.25, 0.5, 0]);
    const list = neighbourList(twins, 3.5);
    expect(list.count).toBe(24);
    expect(list.distances.every((d) => d === 3)).toBe(true);
  });

  test('an atom alone in a vast cell has no edges', () => {
    const list = neighbourList(crystal([1e6, 0, 0, 0, 1e6, 0, 0, 0, 1e6], [0.5, 0.5, 0.5]), 6);
    expect(list).toMatchObject({ count: 0, centres: new Int32Array(0), vectors: new Float64Array(0) });
  });

  test('rock salt has shells of 6, 12, 8 and 6', () => {
    const a = 5.64;
    const list = neighbourList(
      crystal([0, a / 2, a / 2, a / 2, 0, a / 2, a / 2, a / 2, 0], [0, 0, 0, 0.5, 0.5, 0.5]),
      6,
    );
    const found = shells(list, 0);
    expectShells(found.slice(0, 6), Array<number>(6).fill(a / 2), 6);
    expectShells(found.slice(6, 18), Array<number>(12).fill(a / Math.SQRT2), 6);
    expectShells(found.slice(18, 26), Array<number>(8).fill((a * Math.sqrt(3)) / 2), 6);
    expectShells(found.slice(26), Array<number>(6).fill(a), 6);
  });

  test('results do not depend on earlier calls', () => {
    const small = crystal([3, 0, 0, 0, 3, 0, 0, 0, 3], [0, 0, 0]);
    const before = neighbourList(small, 6);
    neighbourList(small, 40); // makes the shared buffers grow
    expect(neighbourList(small, 6)).toEqual(before);
  });

  test.each([
    [0, 'cutoff 0 Å must be positive and finite'],
    [Number.NaN, 'cutoff NaN Å must be positive and finite'],
    [Number.POSITIVE_INFINITY, 'cutoff Infinity Å must be positive and finite'],
  ])('refuses a cutoff of %d', (cutoff, message) => {
    expect(() => neighbourList(crystal([1, 0, 0, 0, 1, 0, 0, 0, 1], [0, 0, 0]), cutoff)).toThrow(message);
  });

  test('refuses a flat cell and a limit below one', () => {
    expect(() => neighbourList(crystal([1, 0, 0, 2, 0, 0, 0, 0, 1], [0, 0, 0]), 5)).toThrow(
      "the cell's volume is 0 Å^3",
    );
    expect(() => neighbourList(crystal([1, 0, 0, 0, 1, 0, 0, 0, 1], [0, 0, 0]), 5, 0)).toThrow('maxNeighbours 0');
  });
});

describe('neighbourList with maxNeighbours', () => {
  test('keeps the nearest of each centre, whatever the structure', () => {
    fc.assert(
      fc.property(anyCrystal(5), fc.integer({ min: 1, max: 60 }), (structure, limit) => {
        const all = edges(neighbourList(structure, 5));
        const kept = edges(neighbourList(structure, 5, limit));
        const keptNames = new Set(names(kept));
        for (let i = 0; i < structure.atomicNumbers.length; i++) {
          const mine = all.filter((edge) => edge.i === i);
          const stay = mine.filter((edge) => keptNames.has(names([edge])[0]));
          const leave = mine.filter((edge) => !keptNames.has(names([edge])[0]));
          expect(stay.length).toBe(Math.min(limit, mine.length));
          const farthest = Math.max(0, ...stay.map((edge) => edge.distance));
          for (const { distance } of leave) expect(distance).toBeGreaterThanOrEqual(farthest - 5e-6 * mine.length);
        }
        expect(names(kept)).toEqual(names(all).filter((name) => keptNames.has(name)));
      }),
    );
  });

  test('of a shell that the limit cuts through, the first by neighbour and shift stay', () => {
    const a = 4;
    const cubic = crystal([a, 0, 0, 0, a, 0, 0, 0, a], [0, 0, 0]);
    expect(edges(neighbourList(cubic, 7, 8)).map(({ shift }) => shift)).toEqual([
      [-1, -1, 0], // two of the twelve at a√2
      [-1, 0, -1],
      [-1, 0, 0], // all six at a
      [0, -1, 0],
      [0, 0, -1],
      [0, 0, 1],
      [0, 1, 0],
      [1, 0, 0],
    ]);
  });

  test('rotation and noise of the last digits do not change the choice', () => {
    const fcc = crystal([0, 1.8, 1.8, 1.8, 0, 1.8, 1.8, 1.8, 0], [0, 0, 0]);
    const chosen = neighbourList(fcc, 6, 50).shifts;
    expect(chosen.length).toBe(150);
    fc.assert(
      fc.property(
        anyRotation,
        fc.array(fc.double({ min: -1e-7, max: 1e-7, noNaN: true }), { minLength: 9, maxLength: 9 }),
        (matrix, noise) => {
          const turned = rotated(fcc, matrix);
          const noisy = { ...turned, lattice: turned.lattice.map((x, k) => x + noise[k]) };
          expect(neighbourList(noisy, 6, 50).shifts).toEqual(chosen);
        },
      ),
    );
  });

  test('a limit nothing reaches changes nothing', () => {
    const cubic = crystal([4, 0, 0, 0, 4, 0, 0, 0, 4], [0, 0, 0]);
    expect(neighbourList(cubic, 6, 120)).toEqual(neighbourList(cubic, 6));
  });
});

describeShared('neighbourList on real structures', () => {
  test('has the edges of ASE, images included', async () => {
    let structures = 0;
    let edgeCount = 0;
    const differing: string[] = [];
    type Reference = { id: string; lattice: number[]; fractional: number[]; count: number; digest: string };
    for await (const reference of runReference<Reference>('aseEdges.py', ['5.0'])) {
      const { centres, neighbours, shifts, count } = neighbourList(crystal(reference.lattice, reference.fractional), 5);
      const rows = new Int32Array(5 * count);
      for (let e = 0; e < count; e++) {
        rows.set([centres[e], neighbours[e], shifts[3 * e], shifts[3 * e + 1], shifts[3 * e + 2]], 5 * e);
      }
      const digest = createHash('sha256').update(new Uint8Array(rows.buffer)).digest('hex');
      if (digest !== reference.digest) differing.push(`${reference.id}: ${count} edges, ASE has ${reference.count}`);
      structures++;
      edgeCount += count;
    }
    expect(differing).toEqual([]);
    expect(structures).toBeGreaterThanOrEqual(1000);
    expect(edgeCount).toBeGreaterThan(400_000);
  });
});
