import fc from 'fast-check';
import { expect, test } from 'vitest';
import { indexOf, type DiagnosticIndex, type IndexParameters } from '../../activities/diagnostics/diagnosticIndex.js';
import { joinPieces, PoolPiece, type PackedPool } from '../../activities/diagnostics/pooling.js';
import type { SelectedStructure } from '../../activities/selection/select.js';
import { offsetsOfCounts, type StoredAtomVectors } from '../../datasets/tables/atomVectors.js';
import { seededRandom } from '../../latent/base/random.js';

/** Components of coordinates and embeddings. */
const [K, D] = [3, 2];

/** What a case says of a structure. */
interface Given {
  /** One an orbit of two atoms. */
  elements: number[];
  spaceGroup: number;
  /** It is in the index. */
  looked: boolean;
  refused: boolean;
}

/** A structure of the snapshot. */
type Case = SelectedStructure & Pick<Given, 'looked' | 'refused'>;

const parameters = (fields: Partial<IndexParameters> = {}): IndexParameters => ({
  ...{ seed: 1, structures: 100, sample: 12, reference: 7, reference_sources: [] },
  ...{ pairs_per_prototype: 4, pairs: 10, ...fields },
});

const structureArb: fc.Arbitrary<Given> = fc.record({
  elements: fc.array(fc.constantFrom(3, 8, 11), { minLength: 1, maxLength: 4 }),
  spaceGroup: fc.constantFrom(0, 62, 225),
  looked: fc.boolean(),
  refused: fc.boolean(),
});

/** Shards of a snapshot, the first shard of each page after the first, and whether the model gives energies. */
const snapshotArb = fc.record({
  shards: fc.array(fc.array(structureArb, { maxLength: 4 }), { minLength: 1, maxLength: 7 }),
  cuts: fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 3 }),
  energies: fc.boolean(),
});

function structuresOf(shards: readonly (readonly Given[])[]): Case[] {
  return shards.flatMap((givens, shard) =>
    givens.map(({ elements, spaceGroup, looked, refused }, i): Case => {
      const atomicNumbers = Uint8Array.from(elements.flatMap((element) => [element, element]));
      const orbits = Int32Array.from(atomicNumbers, (_, atom) => atom - (atom % 2));
      const materialId = `${shard}-${i}`;
      return { materialId, formula: 'X', shard, spaceGroup, atomicNumbers, orbits, source: 'a.cif', looked, refused };
    }),
  );
}

/** What a model has of one shard: random numbers that are the same for the same shard. */
function shardOf(structures: readonly Case[], shard: number) {
  const here = structures.filter((one) => one.shard === shard && !one.refused);
  const random = seededRandom(shard);
  const offsets = offsetsOfCounts(here.map(({ atomicNumbers }) => atomicNumbers.length));
  const atoms = offsets[here.length];
  const vectors = (dim: number): StoredAtomVectors => ({
    ...{ materialIds: here.map(({ materialId }) => materialId), offsets, dim, metadata: {} },
    atomicNumbers: Int32Array.from(here.flatMap(({ atomicNumbers }) => [...atomicNumbers])),
    // Far apart in size, so that the order of a sum shows in its last digits.
    vectors: Float32Array.from({ length: atoms * dim }, () => (random() - 0.5) * 2 ** Math.round(60 * random() - 30)),
  });
  return { coordinates: vectors(K), embeddings: vectors(D), energies: here.map(() => -random()) };
}

function pieceOf(
  index: DiagnosticIndex,
  structures: readonly Case[],
  page: { start: number; shards: number },
  energies = true,
): Uint8Array | null {
  const piece = new PoolPiece(index, page);
  for (const shard of piece.shards) {
    const model = shardOf(structures, shard);
    if (model.energies.length > 0)
      piece.add(shard, model.embeddings, model.coordinates, energies ? model.energies : null);
  }
  return piece.shards.size > 0 ? piece.encode() : null;
}

const indexed = (structures: readonly Case[], fields: Partial<IndexParameters> = {}) =>
  indexOf(
    structures.filter(({ looked }) => looked),
    parameters(fields),
  );

/** By element: atoms and sums. */
function totalsOf({ elements, elementCounts, elementCoordinates, elementEmbeddings }: PackedPool) {
  return new Map(
    Array.from(elements, (element, at) => [
      element,
      [
        elementCounts[at],
        ...elementCoordinates.subarray(at * K, (at + 1) * K),
        ...elementEmbeddings.subarray(at * D, (at + 1) * D),
      ],
    ]),
  );
}

test('pieces of pages join to what one piece of everything holds; their sums are added page after page', async () => {
  await fc.assert(
    fc.asyncProperty(snapshotArb, async ({ shards, cuts, energies }) => {
      const structures = structuresOf(shards);
      const index = indexed(structures);
      const starts = [0, ...new Set(cuts.filter((cut) => cut < shards.length).sort((a, b) => a - b))];
      const pages = starts.map((start, p) => ({ start, shards: (starts[p + 1] ?? shards.length) - start }));
      const pieces = pages.map((page) => pieceOf(index, structures, page, energies));
      const paged = await joinPieces(pieces);
      const whole = await joinPieces([pieceOf(index, structures, { start: 0, shards: shards.length }, energies)]);
      const sums = new Set(['symmetricSquares', 'elementCoordinates', 'elementEmbeddings']);
      for (const [name, list] of Object.entries(whole))
        if (!sums.has(name)) expect(paged[name as keyof PackedPool], name).toEqual(list);

      const expected = new Map<number, number[]>();
      let squares = 0;
      for (const piece of pieces) {
        const alone = await joinPieces([piece]);
        squares += alone.symmetricSquares[0];
        for (const [element, values] of totalsOf(alone)) {
          const known = expected.get(element);
          expected.set(element, known ? known.map((value, c) => value + values[c]) : values);
        }
      }
      expect(totalsOf(paged)).toEqual(expected);
      expect(paged.symmetricSquares[0]).toBe(squares);
      for (const [element, values] of totalsOf(whole))
        expected.get(element)!.forEach((value, c) => expect(Math.abs(value - values[c])).toBeLessThan(1e-4));
    }),
    { numRuns: 200 },
  );
});

test('a pool holds the vectors of the atoms it names, means of structures and energies per atom', async () => {
  await fc.assert(
    fc.asyncProperty(snapshotArb, async ({ shards }) => {
      const structures = structuresOf(shards);
      const index = indexed(structures);
      const pool = await joinPieces(shards.map((_, shard) => pieceOf(index, structures, { start: shard, shards: 1 })));
      const has = new Map(
        structures.flatMap(({ shard }) => {
          const { coordinates, embeddings, energies } = shardOf(structures, shard);
          return coordinates.materialIds.map((id, s) => {
            const vectorsOf = ({ vectors, dim, offsets }: StoredAtomVectors) =>
              Array.from({ length: offsets[s + 1] - offsets[s] }, (_, atom) =>
                Array.from(vectors.subarray((offsets[s] + atom) * dim, (offsets[s] + atom + 1) * dim)),
              );
            return [
              id,
              { coordinates: vectorsOf(coordinates), embeddings: vectorsOf(embeddings), energy: energies[s] },
            ];
          });
        }),
      );
      const embedded = [...index.structures.keys()].filter((at) => has.has(index.structures[at].materialId));
      expect([...pool.structures]).toEqual(embedded);
      const rows = (data: Float32Array | Float64Array, dim: number) =>
        Array.from({ length: data.length / dim }, (_, row) => Array.from(data.subarray(row * dim, (row + 1) * dim)));
      embedded.forEach((at, place) => {
        const { coordinates, embeddings, energy } = has.get(index.structures[at].materialId)!;
        const means = [rows(pool.coordinates, K)[place], rows(pool.embeddings, D)[place]];
        for (const [m, vectors] of [coordinates, embeddings].entries())
          means[m].forEach((value, c) => {
            const mean = vectors.reduce((sum, vector) => sum + vector[c], 0) / vectors.length;
            const size = vectors.reduce((sum, vector) => sum + Math.abs(vector[c]), 0);
            expect(Math.abs(value - mean)).toBeLessThanOrEqual(1e-6 * size);
          });
        expect(pool.energies[place]).toBe(energy / coordinates.length);
      });
      for (const name of ['rows', 'reference', 'grouped'] as const) {
        const list: readonly { structure: number; atomIndex: number }[] = index[name];
        const there = [...list.keys()].filter((row) => has.has(index.structures[list[row].structure].materialId));
        expect([...pool[name]], name).toEqual(there);
        const vectors = (space: 'coordinates' | 'embeddings') =>
          there.map((row) => has.get(index.structures[list[row].structure].materialId)![space][list[row].atomIndex]);
        const prefix = ({ rows: 'row', reference: 'reference', grouped: 'grouped' } as const)[name];
        expect(rows(pool[`${prefix}Coordinates`], K)).toEqual(vectors('coordinates'));
        if (prefix !== 'grouped') expect(rows(pool[`${prefix}Embeddings`], D)).toEqual(vectors('embeddings'));
      }
    }),
    { numRuns: 100 },
  );
});

test('a piece stays as it is, bytes and digest, when other pages gain structures', () => {
  const structure = { looked: true, refused: false, spaceGroup: 0, elements: [3, 8] };
  const all = { sample: 1000, reference: 1000 };
  const page = { start: 2, shards: 1 };
  const [few, more] = [1, 3].map((count) => {
    const structures = structuresOf([
      Array<typeof structure>(count).fill(structure),
      [structure],
      [structure, structure],
    ]);
    const index = indexed(structures, all);
    return { index, digest: new PoolPiece(index, page).digest, bytes: pieceOf(index, structures, page) };
  });
  expect(more.index.structures.length).toBe(few.index.structures.length + 2);
  expect(more.digest).toBe(few.digest);
  expect(more.bytes).toEqual(few.bytes);
  const fewer = structuresOf([[structure], [structure], [structure, { ...structure, looked: false }]]);
  expect(new PoolPiece(indexed(fewer, all), page).digest).not.toBe(few.digest);
});

test('of each space group the first 500 atoms are compared, of structures without symmetry none', () => {
  const large = (spaceGroup: number, atoms: number) => ({
    ...{ looked: true, refused: false, spaceGroup },
    elements: Array<number>(atoms / 2).fill(8),
  });
  const structures = structuresOf([
    [large(225, 300), large(0, 40)],
    [large(225, 300), large(62, 100), large(225, 20)],
  ]);
  const { grouped } = indexed(structures);
  const atoms = (structure: number) =>
    grouped.filter((atom) => atom.structure === structure).map((atom) => atom.atomIndex);
  expect([0, 1, 2, 3, 4].map((structure) => atoms(structure).length)).toEqual([300, 0, 200, 100, 0]);
  expect(atoms(2)).toEqual(Array.from({ length: 200 }, (_, atom) => atom));
});
