import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCard, type InputName, type ModelCard } from '../../models/card.js';
import { groupStructures, type BatchBudget, type Crystal, type GraphBatch } from '../../models/graphBatch.js';
import { lineGraph } from '../../structures/lineGraph.js';
import { neighbourList } from '../../structures/neighbours.js';
import { builtGroups } from './builtGroups.js';
import { crystal, tinyCard, tinyNetwork } from './tinyNetwork.js';

const onnx = tinyNetwork();
const specs = {
  atomic_numbers: { type: 'int64', shape: ['n_atoms'] },
  edge_index: { type: 'int64', shape: [2, 'n_edges'] },
  edge_vectors: { type: 'float32', shape: ['n_edges', 3] },
  structure_index: { type: 'int64', shape: ['n_atoms'] },
  edge_to_bond: { type: 'int64', shape: ['n_edges'] },
  bond_to_edge: { type: 'int64', shape: ['n_bonds'] },
  angle_index: { type: 'int64', shape: [2, 'n_angles'] },
};
const everything = parseCard(tinyCard(onnx, { inputs: specs, angle_cutoff_angstrom: 3 }), 'test');
const careful = parseCard(tinyCard(onnx, { isolated_atoms: 'reject' }), 'test');
const capped = parseCard(tinyCard(onnx, { max_neighbours: 5 }), 'test');

const crystals = fc.array(
  fc
    .record({
      atoms: fc.array(
        fc.tuple(
          fc.integer({ min: 1, max: 40 }),
          ...[0, 1, 2].map(() => fc.double({ min: 0, max: 0.999, noNaN: true })),
        ),
        { minLength: 1, maxLength: 5 },
      ),
      edges: fc.tuple(...[0, 1, 2].map(() => fc.double({ min: 3, max: 7, noNaN: true }))),
      skew: fc.tuple(...[0, 1, 2].map(() => fc.double({ min: -1, max: 1, noNaN: true }))),
    })
    .map(({ atoms, edges, skew }): Crystal => ({
      atomicNumbers: Uint8Array.from(atoms, ([z]) => z),
      fractionalCoordinates: Float64Array.from(atoms.flatMap(([, ...position]) => position)),
      lattice: Float64Array.of(edges[0], 0, 0, skew[0], edges[1], 0, skew[1], skew[2], edges[2]),
    })),
  { minLength: 1, maxLength: 6 },
);

const batchesOf = (structures: Crystal[], card: ModelCard, budget: BatchBudget): GraphBatch[] =>
  [...builtGroups(structures, card, budget)].flatMap((group) => group.batches);
const numbers = (batch: GraphBatch, name: InputName) => Array.from(batch.inputs[name]!, Number);

describe('graph batches', () => {
  test('a batch of several structures is their graphs numbered on, with every edge, bond and angle in place', () => {
    fc.assert(
      fc.property(crystals, (structures) => {
        const [batch] = batchesOf(structures, everything, { atoms: Infinity, edges: Infinity });
        let atom = 0;
        let edge = 0;
        let bond = 0;
        const expected: Record<string, number[]> = {
          z: [],
          s: [],
          i: [],
          j: [],
          v: [],
          toBond: [],
          toEdge: [],
          first: [],
          second: [],
        };
        structures.forEach((structure, s) => {
          const list = neighbourList(structure, everything.cutoff_angstrom);
          const line = lineGraph(list, 3);
          const half = line.angleIndex.length / 2;
          expected.z.push(...structure.atomicNumbers);
          expected.s.push(...Array.from(structure.atomicNumbers, () => s));
          expected.i.push(...Array.from(list.centres, (i) => i + atom));
          expected.j.push(...Array.from(list.neighbours, (j) => j + atom));
          expected.v.push(...Array.from(list.vectors, Math.fround));
          expected.toBond.push(...Array.from(line.edgeToBond, (b) => b + bond));
          expected.toEdge.push(...Array.from(line.bondToEdge, (e) => e + edge));
          expected.first.push(...Array.from(line.angleIndex.subarray(0, half), (e) => e + edge));
          expected.second.push(...Array.from(line.angleIndex.subarray(half), (e) => e + edge));
          atom += structure.atomicNumbers.length;
          edge += list.count;
          bond += line.bondToEdge.length;
        });
        expect(batch.edges).toBe(edge);
        expect(numbers(batch, 'atomic_numbers')).toEqual(expected.z);
        expect(numbers(batch, 'structure_index')).toEqual(expected.s);
        expect(numbers(batch, 'edge_index')).toEqual([...expected.i, ...expected.j]);
        expect(numbers(batch, 'edge_vectors')).toEqual(expected.v);
        expect(numbers(batch, 'edge_to_bond')).toEqual(expected.toBond);
        expect(numbers(batch, 'bond_to_edge')).toEqual(expected.toEdge);
        expect(numbers(batch, 'angle_index')).toEqual([...expected.first, ...expected.second]);
      }),
      { numRuns: 50 },
    );
  });

  test('every structure is in exactly one batch, in order, and only a single structure passes the budget', () => {
    fc.assert(
      fc.property(
        crystals,
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 400 }),
        (structures, atoms, edges) => {
          const batches = batchesOf(structures, everything, { atoms, edges });
          expect(batches.flatMap((batch) => [...batch.indices])).toEqual(structures.map((_, index) => index));
          for (const batch of batches) {
            if (batch.indices.length === 1) continue;
            expect(batch.atomOffsets.at(-1)).toBeLessThanOrEqual(atoms);
            expect(batch.edges).toBeLessThanOrEqual(edges);
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  test('gives only what the card asks for, and no more neighbours than it allows', () => {
    const dense = crystal([11, 17], 3);
    const [batch] = batchesOf([dense], capped, { atoms: 10, edges: 1000 });
    expect(Object.keys(batch.inputs)).toEqual(['atomic_numbers', 'edge_index', 'edge_vectors']);
    expect(batch.edges).toBe(10);
  });
});

describe('structures a model cannot take', () => {
  const rejectionsOf = (structures: Crystal[], card: ModelCard) =>
    [...builtGroups(structures, card, { atoms: 64, edges: 4096 })].flatMap((group) => group.rejections);

  test('an element that the card does not list', () => {
    const structures = [crystal([1]), crystal([26, 92])];
    expect(groupStructures(structures, everything, { atoms: 9, edges: 9 }).groups).toEqual([[0]]);
    expect(rejectionsOf(structures, everything)).toEqual([
      { index: 1, code: 'unsupported_element', message: 'U at atom 1 is not among the 40 elements of tiny' },
    ]);
  });

  test('an atom without neighbours, where the card rejects them', () => {
    const dimer: Crystal = {
      ...crystal([1, 1, 8], 30),
      fractionalCoordinates: Float64Array.of(0, 0, 0, 0.03, 0, 0, 0.5, 0.5, 0.5),
    };
    expect(rejectionsOf([crystal([3]), dimer], careful)).toEqual([
      {
        index: 1,
        code: 'isolated_atom',
        message: 'atom 2 (O) has no neighbour; tiny needs each atom to have a neighbour within 4 Å',
      },
    ]);
    expect(rejectionsOf([dimer], everything)).toEqual([]);
  });

  test('no edge at all, where the card rejects isolated atoms', () => {
    expect(rejectionsOf([crystal([2], 20)], careful)).toMatchObject([{ index: 0, code: 'no_edges' }]);
    expect(rejectionsOf([crystal([2], 20)], everything)).toEqual([]);
  });

  test('a refused structure leaves the others of its batch in place', () => {
    const [batch] = batchesOf([crystal([3]), crystal([2], 20), crystal([5])], careful, { atoms: 64, edges: 4096 });
    expect([...batch.indices]).toEqual([0, 2]);
    expect(numbers(batch, 'atomic_numbers')).toEqual([3, 5]);
  });
});
