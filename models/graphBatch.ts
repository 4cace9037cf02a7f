import { elementSymbol } from '../structures/elements.js';
import { lineGraph, type LineGraph } from '../structures/lineGraph.js';
import { neighbourList, type NeighbourList } from '../structures/neighbours.js';
import type { Structure } from '../structures/structure.js';
import { LINE_GRAPH_INPUTS, type InputName, type ModelCard } from './card.js';

/** What a network needs of a structure; {@link Structure} without its id and source. */
export type Crystal = Pick<Structure, 'atomicNumbers' | 'lattice' | 'fractionalCoordinates'>;

/** Reason codes of the quarantine table that belong to a (structure, model) pair. */
export const MODEL_REJECTION_CODES = [
  'unsupported_element',
  'isolated_atom',
  'no_edges',
  'non_finite_embedding',
  'zero_norm_embedding',
] as const;
/** One of {@link MODEL_REJECTION_CODES}. */
export type ModelRejectionCode = (typeof MODEL_REJECTION_CODES)[number];

/** Why a model gives no embedding of one structure. */
export interface ModelRejection {
  /** Position in the list of structures given. */
  index: number;
  code: ModelRejectionCode;
  /** Names the value and what is needed. */
  message: string;
}

/** Largest batch: closed before the structure that would pass either number. A single larger structure is its own batch. */
export interface BatchBudget {
  atoms: number;
  edges: number;
}

/** ONNX Runtime execution providers that koine configures. */
export const PROVIDERS = ['cpu', 'cuda', 'webgpu'] as const;
/** One of {@link PROVIDERS}. */
export type Provider = (typeof PROVIDERS)[number];

/**
 * Budgets that are good for each provider; part of the cache key of every embedding, so a change recomputes embeddings. On a
 * CPU small batches win (tensors stay in cache, padded neighbour tables stay narrow); a GPU wants work for thousands of lanes.
 */
export const DEFAULT_BUDGETS: Readonly<Record<Provider, BatchBudget>> = {
  cpu: { atoms: 48, edges: 4096 },
  cuda: { atoms: 4096, edges: 262_144 },
  webgpu: { atoms: 1024, edges: 65_536 },
};

/** Disjoint graphs of several structures as the flat tensors of the model contract (shapes: `INPUT_TENSORS`). */
export interface GraphBatch {
  /** [n] positions of the structures in the list given, ascending. */
  indices: Int32Array;
  /** [n + 1] first atom of each structure, then the total. */
  atomOffsets: Int32Array;
  /** Directed edges in all. */
  edges: number;
  /** The tensors the card asks for; nothing else. */
  inputs: Partial<Record<InputName, BigInt64Array<ArrayBuffer> | Float32Array<ArrayBuffer>>>;
}

/** The batches of one group of structures, and the structures that got no place in them. */
export interface BuiltGroup {
  batches: GraphBatch[];
  rejections: ModelRejection[];
}

/**
 * Cuts structures, in order, into groups of at most `budget.atoms` atoms. Needs no neighbour list, so groups can be built
 * by several threads; which structures share a batch depends on the structures, the card and the budget only.
 * @returns groups of indices, and a rejection for each structure with an element that the card does not list
 */
export function groupStructures(
  structures: readonly Crystal[],
  card: ModelCard,
  budget: BatchBudget,
): { groups: number[][]; rejections: ModelRejection[] } {
  const supported = new Set(card.elements);
  const groups: number[][] = [];
  const rejections: ModelRejection[] = [];
  let atoms = 0;
  for (const [index, { atomicNumbers }] of structures.entries()) {
    const foreign = atomicNumbers.findIndex((z) => !supported.has(z));
    if (foreign >= 0) {
      rejections.push({
        index,
        code: 'unsupported_element',
        message: unsupportedElement(atomicNumbers, foreign, card),
      });
      continue;
    }
    atoms += atomicNumbers.length;
    if (groups.length === 0 || atoms > budget.atoms) {
      groups.push([]);
      atoms = atomicNumbers.length;
    }
    groups.at(-1)!.push(index);
  }
  return { groups, rejections };
}

/**
 * Builds neighbour lists (and line graphs, if the card asks for them) of one group and packs them into batches of at most
 * `budget.edges` edges, in order.
 * @param structures those of the group
 * @param indices their positions in the caller's list, as long as `structures`
 */
export function buildGroup(
  structures: readonly Crystal[],
  indices: readonly number[],
  card: ModelCard,
  budget: BatchBudget,
): BuiltGroup {
  const withLineGraph = LINE_GRAPH_INPUTS.some((name) => name in card.inputs);
  const batches: GraphBatch[] = [];
  const rejections: ModelRejection[] = [];
  let open: Graph[] = [];
  let edges = 0;
  for (const [position, crystal] of structures.entries()) {
    const index = indices[position];
    const list = neighbourList(crystal, card.cutoff_angstrom, card.max_neighbours ?? undefined);
    const refused = card.isolated_atoms === 'reject' ? refuseIsolated(index, crystal, list, card) : undefined;
    if (refused) {
      rejections.push(refused);
      continue;
    }
    if (open.length > 0 && edges + list.count > budget.edges) {
      batches.push(pack(open, card));
      open = [];
      edges = 0;
    }
    const line = withLineGraph ? lineGraph(list, card.angle_cutoff_angstrom!) : undefined;
    open.push({ index, crystal, list, line });
    edges += list.count;
  }
  if (open.length > 0) batches.push(pack(open, card));
  return { batches, rejections };
}

/** The buffers of a batch, for transfer to another thread. */
export function batchBuffers(batch: GraphBatch): ArrayBuffer[] {
  return Object.values(batch.inputs).map((tensor) => tensor.buffer);
}

interface Graph {
  index: number;
  crystal: Crystal;
  list: NeighbourList;
  line: LineGraph | undefined;
}

/** Numbers atoms, edges and bonds of the structures consecutively over the batch and writes the tensors asked for. */
function pack(graphs: readonly Graph[], card: ModelCard): GraphBatch {
  const atomOffsets = new Int32Array(graphs.length + 1);
  const edgeOffsets = new Int32Array(graphs.length + 1);
  const bondOffsets = new Int32Array(graphs.length + 1);
  const angleOffsets = new Int32Array(graphs.length + 1);
  for (const [s, { crystal, list, line }] of graphs.entries()) {
    atomOffsets[s + 1] = atomOffsets[s] + crystal.atomicNumbers.length;
    edgeOffsets[s + 1] = edgeOffsets[s] + list.count;
    bondOffsets[s + 1] = bondOffsets[s] + (line?.bondToEdge.length ?? 0);
    angleOffsets[s + 1] = angleOffsets[s] + (line ? line.angleIndex.length / 2 : 0);
  }
  const atoms = atomOffsets.at(-1)!;
  const edges = edgeOffsets.at(-1)!;
  const bonds = bondOffsets.at(-1)!;
  const angles = angleOffsets.at(-1)!;

  const write: Record<InputName, () => BigInt64Array<ArrayBuffer> | Float32Array<ArrayBuffer>> = {
    atomic_numbers: () =>
      int64(atoms, (set) => {
        for (const [s, { crystal }] of graphs.entries()) set(atomOffsets[s], crystal.atomicNumbers, 0);
      }),
    structure_index: () =>
      int64(atoms, (set) => {
        for (const [s, { crystal }] of graphs.entries())
          set(atomOffsets[s], new Uint8Array(crystal.atomicNumbers.length), s);
      }),
    edge_index: () =>
      int64(2 * edges, (set) => {
        for (const [s, { list }] of graphs.entries()) {
          set(edgeOffsets[s], list.centres, atomOffsets[s]);
          set(edges + edgeOffsets[s], list.neighbours, atomOffsets[s]);
        }
      }),
    edge_vectors: () => {
      const vectors = new Float32Array(3 * edges);
      for (const [s, { list }] of graphs.entries()) vectors.set(list.vectors, 3 * edgeOffsets[s]);
      return vectors;
    },
    edge_to_bond: () =>
      int64(edges, (set) => {
        for (const [s, { line }] of graphs.entries()) set(edgeOffsets[s], line!.edgeToBond, bondOffsets[s]);
      }),
    bond_to_edge: () =>
      int64(bonds, (set) => {
        for (const [s, { line }] of graphs.entries()) set(bondOffsets[s], line!.bondToEdge, edgeOffsets[s]);
      }),
    angle_index: () =>
      int64(2 * angles, (set) => {
        for (const [s, { line }] of graphs.entries()) {
          const half = line!.angleIndex.length / 2;
          set(angleOffsets[s], line!.angleIndex.subarray(0, half), edgeOffsets[s]);
          set(angles + angleOffsets[s], line!.angleIndex.subarray(half), edgeOffsets[s]);
        }
      }),
  };
  const inputs: GraphBatch['inputs'] = {};
  for (const name of Object.keys(card.inputs) as InputName[]) inputs[name] = write[name]();
  return { indices: Int32Array.from(graphs, ({ index }) => index), atomOffsets, edges, inputs };
}

/**
 * An int64 tensor of small non-negative integers, written as 32-bit low words: `BigInt()` for each would be 20 times slower.
 * Every platform of ONNX Runtime is little-endian.
 */
function int64(
  length: number,
  fill: (set: (at: number, values: ArrayLike<number>, offset: number) => void) => void,
): BigInt64Array<ArrayBuffer> {
  const tensor = new BigInt64Array(length);
  const words = new Int32Array(tensor.buffer);
  fill((at, values, offset) => {
    for (let k = 0; k < values.length; k++) words[2 * (at + k)] = values[k] + offset;
  });
  return tensor;
}

function refuseIsolated(
  index: number,
  crystal: Crystal,
  list: NeighbourList,
  card: ModelCard,
): ModelRejection | undefined {
  const needs = `${card.id} needs each atom to have a neighbour within ${card.cutoff_angstrom} Å`;
  if (list.count === 0) {
    return { index, code: 'no_edges', message: `no atom has a neighbour within ${card.cutoff_angstrom} Å; ${needs}` };
  }
  const hasNeighbour = new Uint8Array(crystal.atomicNumbers.length);
  for (const centre of list.centres) hasNeighbour[centre] = 1;
  const alone = hasNeighbour.indexOf(0);
  if (alone < 0) return undefined;
  return {
    index,
    code: 'isolated_atom',
    message: `atom ${alone} (${elementSymbol(crystal.atomicNumbers[alone])}) has no neighbour; ${needs}`,
  };
}

function unsupportedElement(atomicNumbers: Uint8Array, atom: number, card: ModelCard): string {
  return `${elementSymbol(atomicNumbers[atom])} at atom ${atom} is not among the ${card.elements.length} elements of ${card.id}`;
}
