import { digestJson } from '../../datasets/digest.js';
import type { StoredAtomVectors } from '../../datasets/tables/atomVectors.js';
import { matrix, type Matrix } from '../../latent/base/matrix.js';
import { orbitSpreads } from '../../latent/diagnostics/orbitSpreads.js';
import { SPACES, type Space } from '../../config/names.js';
import type { PageEntry } from '../run/documents.js';
import { decodeArrays, encodeArrays } from '../run/typedArrays.js';
import type { DiagnosticIndex, IndexedAtom } from './diagnosticIndex.js';

/** Raise it when the same vectors may be pooled to other numbers. */
export const POOL_VERSION = 2;
/** Spaces that are pooled. */
export const POOLED_SPACES = SPACES;

const ARRAYS = { int32: Int32Array, float32: Float32Array, float64: Float64Array } as const;
interface ArrayTypes {
  int32: Int32Array<ArrayBuffer>;
  float32: Float32Array<ArrayBuffer>;
  float64: Float64Array<ArrayBuffer>;
}

/** What is listed structure by structure, atom by atom: `PooledModel` says what it means. */
const LISTS = {
  structures: 'int32',
  coordinates: 'float32',
  embeddings: 'float32',
  directions: 'float32',
  /** Empty where the model gives none. */
  energies: 'float64',
  rows: 'int32',
  rowCoordinates: 'float32',
  rowEmbeddings: 'float32',
  reference: 'int32',
  referenceCoordinates: 'float32',
  referenceEmbeddings: 'float32',
  grouped: 'int32',
  groupedCoordinates: 'float32',
  spreadCoordinates: 'float64',
  spreadEmbeddings: 'float64',
  shareStructure: 'int32',
  shareElement: 'int32',
  shareCount: 'int32',
  shareCoordinates: 'float32',
  shareEmbeddings: 'float32',
} as const;
type ListName = keyof typeof LISTS;
type Listed = { [Name in ListName]: ArrayTypes[(typeof LISTS)[Name]] };

/** What diagnostics look at of a model, as it is stored. */
export type PackedPool = Listed & {
  /** [1] */
  symmetricSquares: ArrayTypes['float64'];
  elements: ArrayTypes['int32'];
  elementCounts: ArrayTypes['float64'];
  elementCoordinates: ArrayTypes['float64'];
  elementEmbeddings: ArrayTypes['float64'];
};

/** What is pooled of one page. Positions are counted from its first ones, so that it stays as it is when other pages change. */
type PackedPiece = PackedPool & {
  /** [4] structures, rows, reference and grouped atoms of the index that lie in the page, whether the model has them or not. */
  indexed: ArrayTypes['int32'];
};

/** Items of a list of the index: [first, end). */
type Range = readonly [first: number, end: number];

/** Pools one page of a model: give it those of the shards it asks for that the model has, in ascending order. */
export class PoolPiece {
  /** Numbers of the shards of the page that hold structures of the index. */
  readonly shards: ReadonlySet<number>;
  /** Digest of what is looked at in the page: with the content of the page it decides the piece. */
  readonly digest: string;

  private readonly ranges: Record<'structures' | 'rows' | 'reference' | 'grouped', Range>;
  /** Positions of structures that are in a substitution. */
  private readonly paired: ReadonlySet<number>;
  private readonly lists = Object.fromEntries(Object.keys(LISTS).map((name) => [name, new List()])) as Record<
    ListName,
    List
  >;
  private readonly totals = new ElementTotals();
  private symmetricSquares = 0;

  constructor(
    private readonly index: DiagnosticIndex,
    { start, shards }: Pick<PageEntry, 'start' | 'shards'>,
  ) {
    const structures = this.structuresIn(start, start + shards);
    const atomsOf = (list: readonly IndexedAtom[]) => rangeOf(list, ({ structure }) => structure, structures);
    const { rows, reference, grouped, substitutions } = index;
    this.ranges = { structures, rows: atomsOf(rows), reference: atomsOf(reference), grouped: atomsOf(grouped) };
    const [first, end] = structures;
    const here = index.structures.slice(first, end);
    const paired = substitutions.flatMap(({ source, target }) => [source, target]);
    this.shards = new Set(here.map(({ shard }) => shard));
    this.paired = new Set(paired.filter((position) => first <= position && position < end).sort((a, b) => a - b));
    this.digest = digestJson({
      version: POOL_VERSION,
      structures: here.map(({ materialId, spaceGroup, orbits }) => [materialId, spaceGroup > 0, [...orbits]]),
      paired: Array.from(this.paired, (position) => position - first),
      atoms: (['rows', 'reference', 'grouped'] as const).map((name) =>
        index[name].slice(...this.ranges[name]).map(({ structure, atomIndex }) => [structure - first, atomIndex]),
      ),
    });
  }

  /**
   * Takes what is looked at in one shard.
   * @param energies total energy of each structure of the shard in eV; null where the model gives none
   */
  add(shard: number, raw: StoredAtomVectors, coordinates: StoredAtomVectors, energies: readonly number[] | null): void {
    const at = new Map(raw.materialIds.map((id, s) => [id, s]));
    const [first, end] = this.structuresIn(shard, shard + 1);
    for (let position = first; position < end; position++) {
      const s = at.get(this.index.structures[position].materialId);
      if (s === undefined) continue; // the model refused it
      const x = { coordinates: atomsOf(coordinates, s), embeddings: atomsOf(raw, s) };
      this.lists.structures.push(position - this.ranges.structures[0]);
      if (energies) this.lists.energies.push(energies[s] / x.embeddings.rows);
      this.addSums(position, x, raw.atomicNumbers.subarray(raw.offsets[s], raw.offsets[s + 1]));
      this.addSpreads(position, x);
      for (const atom of this.take('rows', position)) {
        this.lists.rowCoordinates.append(rowOf(x.coordinates, atom));
        this.lists.rowEmbeddings.append(rowOf(x.embeddings, atom));
      }
      for (const atom of this.take('reference', position)) {
        this.lists.referenceCoordinates.append(rowOf(x.coordinates, atom));
        this.lists.referenceEmbeddings.append(rowOf(x.embeddings, atom));
      }
      for (const atom of this.take('grouped', position))
        this.lists.groupedCoordinates.append(rowOf(x.coordinates, atom));
    }
  }

  /** The piece as bytes, for {@link joinPieces}. */
  encode(): Uint8Array {
    const { structures, rows, reference, grouped } = this.ranges;
    return encodeArrays({
      indexed: Int32Array.from([structures, rows, reference, grouped], ([first, end]) => end - first),
      ...everyList((name) => this.lists[name].packed(LISTS[name])),
      symmetricSquares: Float64Array.of(this.symmetricSquares),
      ...this.totals.packed(),
    });
  }

  /** Means of a structure, its sums by element if it is in a substitution, and what it adds to the totals of the page. */
  private addSums(position: number, x: Record<Space, Matrix>, atomicNumbers: Int32Array): void {
    const { rows: atoms, columns } = x.embeddings;
    const byElement = new ElementTotals();
    const directions = new Float64Array(columns);
    for (let atom = 0; atom < atoms; atom++) {
      const embedding = rowOf(x.embeddings, atom);
      byElement.add(atomicNumbers[atom], 1, { coordinates: rowOf(x.coordinates, atom), embeddings: embedding });
      let square = 0;
      for (const value of embedding) square += value ** 2;
      const norm = Math.sqrt(square);
      for (let c = 0; c < columns; c++) directions[c] += embedding[c] / norm;
    }
    for (const space of POOLED_SPACES) {
      const mean = new Float64Array(x[space].columns);
      for (const [, sums] of byElement.sums) add(mean, sums[space]);
      this.lists[space].append(mean.map((value) => value / atoms));
    }
    this.lists.directions.append(directions.map((value) => value / atoms));
    for (const [element, { count, ...sums }] of byElement.sums) {
      this.totals.add(element, count, sums);
      if (!this.paired.has(position)) continue;
      this.lists.shareStructure.push(position - this.ranges.structures[0]);
      this.lists.shareElement.push(element);
      this.lists.shareCount.push(count);
      this.lists.shareCoordinates.append(sums.coordinates);
      this.lists.shareEmbeddings.append(sums.embeddings);
    }
  }

  /** Distances within orbits of a structure, which has some only with a symmetry. */
  private addSpreads(position: number, x: Record<Space, Matrix>): void {
    const { spaceGroup, orbits } = this.index.structures[position];
    if (spaceGroup === 0) return;
    this.lists.spreadCoordinates.append(orbitSpreads(x.coordinates, orbits));
    this.lists.spreadEmbeddings.append(orbitSpreads(x.embeddings, orbits));
    for (const value of x.embeddings.data) this.symmetricSquares += value * value;
  }

  /** Notes which atoms of a structure a list of the index holds. @returns their indices in the structure */
  private take(name: 'rows' | 'reference' | 'grouped', position: number): number[] {
    const list: readonly IndexedAtom[] = this.index[name];
    const [first, end] = rangeOf(list, ({ structure }) => structure, [position, position + 1]);
    for (let row = first; row < end; row++) this.lists[name].push(row - this.ranges[name][0]);
    return list.slice(first, end).map(({ atomIndex }) => atomIndex);
  }

  private structuresIn(fromShard: number, toShard: number): Range {
    return rangeOf(this.index.structures, ({ shard }) => shard, [fromShard, toShard]);
  }
}

/**
 * The pieces of all pages in order as one: their lists one after the other, their sums added page after page in float64.
 * @param pieces null for a page in which nothing is looked at
 */
export async function joinPieces(
  pieces: AsyncIterable<Uint8Array | null> | Iterable<Uint8Array | null>,
): Promise<PackedPool> {
  const decoded: PackedPiece[] = [];
  const totals = new ElementTotals();
  let symmetricSquares = 0;
  let [structures, rows, reference, grouped] = [0, 0, 0, 0]; // of the index, in the pages before
  for await (const bytes of pieces) {
    if (!bytes) continue;
    const piece = decodeArrays<PackedPiece>(bytes);
    decoded.push({
      ...piece,
      structures: piece.structures.map((position) => position + structures),
      shareStructure: piece.shareStructure.map((position) => position + structures),
      rows: piece.rows.map((row) => row + rows),
      reference: piece.reference.map((row) => row + reference),
      grouped: piece.grouped.map((row) => row + grouped),
    });
    totals.addAll(piece);
    symmetricSquares += piece.symmetricSquares[0];
    structures += piece.indexed[0];
    rows += piece.indexed[1];
    reference += piece.indexed[2];
    grouped += piece.indexed[3];
  }
  return {
    ...everyList((name) => {
      const lists = decoded.map((piece) => piece[name]);
      const joined = new ARRAYS[LISTS[name]](lists.reduce((sum, { length }) => sum + length, 0));
      let at = 0;
      for (const list of lists) {
        joined.set(list, at);
        at += list.length;
      }
      return joined;
    }),
    symmetricSquares: Float64Array.of(symmetricSquares),
    ...totals.packed(),
  };
}

/** Sums over the atoms of each element, in the order in which the elements came. */
class ElementTotals {
  readonly sums = new Map<number, { count: number } & Record<Space, Float64Array>>();

  add(element: number, count: number, vectors: Record<Space, Float32Array | Float64Array>): void {
    const { coordinates, embeddings } = vectors;
    const sums = this.sums.get(element) ?? {
      count: 0,
      coordinates: new Float64Array(coordinates.length),
      embeddings: new Float64Array(embeddings.length),
    };
    this.sums.set(element, sums);
    sums.count += count;
    add(sums.coordinates, coordinates);
    add(sums.embeddings, embeddings);
  }

  addAll({ elements, elementCounts, elementCoordinates, elementEmbeddings }: PackedPool): void {
    const [coordinates, embeddings] = [elementCoordinates, elementEmbeddings].map((data) =>
      matrix(data, elements.length, data.length / Math.max(1, elements.length)),
    );
    elements.forEach((element, at) =>
      this.add(element, elementCounts[at], { coordinates: rowOf(coordinates, at), embeddings: rowOf(embeddings, at) }),
    );
  }

  /** By atomic number. */
  packed() {
    const sorted = [...this.sums].sort(([a], [b]) => a - b);
    const joined = (space: Space) => Float64Array.from(sorted.flatMap(([, sums]) => [...sums[space]]));
    return {
      elements: Int32Array.from(sorted, ([element]) => element),
      elementCounts: Float64Array.from(sorted, ([, { count }]) => count),
      elementCoordinates: joined('coordinates'),
      elementEmbeddings: joined('embeddings'),
    };
  }
}

/** A growing list of numbers, doubled when it is full. */
class List {
  private values = new Float64Array(64);
  private length = 0;

  push(value: number): void {
    this.reserve(1);
    this.values[this.length++] = value;
  }

  append(values: Float32Array | Float64Array): void {
    this.reserve(values.length);
    this.values.set(values, this.length);
    this.length += values.length;
  }

  packed(type: keyof typeof ARRAYS) {
    return ARRAYS[type].from(this.values.subarray(0, this.length));
  }

  private reserve(more: number): void {
    if (this.length + more <= this.values.length) return;
    const larger = new Float64Array(2 * (this.length + more));
    larger.set(this.values);
    this.values = larger;
  }
}

function everyList(make: (name: ListName) => Listed[ListName]): Listed {
  return Object.fromEntries((Object.keys(LISTS) as ListName[]).map((name) => [name, make(name)])) as Listed;
}

/** Items of a list whose number lies in [from, to); the list ascends by that number. */
function rangeOf<Item>(
  list: readonly Item[],
  numberOf: (item: Item) => number,
  [from, to]: readonly [from: number, to: number],
): Range {
  const before = (number: number) => {
    let [low, high] = [0, list.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (numberOf(list[middle]) < number) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return [before(from), before(to)];
}

/** Vectors of the atoms of structure `s`. */
function atomsOf({ vectors, dim, offsets }: StoredAtomVectors, s: number): Matrix<Float32Array> {
  const [from, to] = [offsets[s], offsets[s + 1]];
  return matrix(vectors.subarray(from * dim, to * dim), to - from, dim);
}

function rowOf<T extends Float32Array | Float64Array>({ data, columns }: Matrix<T>, row: number): T {
  return data.subarray(row * columns, (row + 1) * columns) as T;
}

function add(total: Float64Array, part: Float32Array | Float64Array): void {
  for (let c = 0; c < total.length; c++) total[c] += part[c];
}
