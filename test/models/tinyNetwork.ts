import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeOnnxModel, type OnnxNode } from '../../onnx/writer.js';
import type { Crystal } from '../../models/graphBatch.js';
import { neighbourList } from '../../structures/neighbours.js';

/** Width of the tiny network's embedding. */
export const TINY_DIM = 4;
/** Å */
export const TINY_CUTOFF = 4;
/** Neon's embedding is zero. */
export const ZERO_ELEMENT = 10;
/** Fluorine's embedding is NaN. */
export const NAN_ELEMENT = 9;

const BASE = [0.01, -0.02, 0.03, 0.005];
const DECAY = [0.5, 1, 1.5, 2];

/**
 * A message-passing network small enough to recompute by hand: for atom i of element Z with edges of length r,
 * h_k = (BASE_k Z + sum exp(-DECAY_k r)) (Z - 10) + 0 / (Z - 9); energy = sum_k h_k.
 * @param tilted takes x for the length, so that rotations show
 * @param leaky adds zero times the mean over the batch: harmless until a NaN, as a padded neighbour table is
 */
export function tinyNetwork(leaky = false, tilted = false): Uint8Array {
  const nodes: OnnxNode[] = [
    { op: 'Cast', inputs: ['atomic_numbers'], outputs: ['z'], attributes: { to: { int: 1 } } },
    { op: 'Unsqueeze', inputs: ['z', 'one'], outputs: ['zColumn'] },
    { op: 'Mul', inputs: ['zColumn', 'base'], outputs: ['node'] },
    tilted
      ? { op: 'Gather', inputs: ['edge_vectors', 'axis'], outputs: ['r'], attributes: { axis: { int: 1 } } }
      : {
          op: 'ReduceL2',
          inputs: ['edge_vectors'],
          outputs: ['r'],
          attributes: { axes: { ints: [1] }, keepdims: { int: 1 } },
        },
    { op: 'Mul', inputs: ['r', 'decay'], outputs: ['exponent'] },
    { op: 'Exp', inputs: ['exponent'], outputs: ['message'] },
    { op: 'Gather', inputs: ['edge_index', 'zero'], outputs: ['centre'], attributes: { axis: { int: 0 } } },
    { op: 'Unsqueeze', inputs: ['centre', 'one'], outputs: ['rows'] },
    {
      op: 'ScatterND',
      inputs: ['node', 'rows', 'message'],
      outputs: ['summed'],
      attributes: { reduction: { string: 'add' } },
    },
    { op: 'Sub', inputs: ['zColumn', 'ten'], outputs: ['gate'] },
    { op: 'Mul', inputs: ['summed', 'gate'], outputs: ['gated'] },
    { op: 'Sub', inputs: ['zColumn', 'nine'], outputs: ['fromNine'] },
    { op: 'Div', inputs: ['nothing', 'fromNine'], outputs: ['poison'] },
    { op: 'Add', inputs: ['gated', 'poison'], outputs: [leaky ? 'h' : 'node_embedding'] },
    ...(leaky
      ? [
          {
            op: 'ReduceMean',
            inputs: ['h'],
            outputs: ['mean'],
            attributes: { axes: { ints: [0] }, keepdims: { int: 1 } },
          },
          { op: 'Mul', inputs: ['mean', 'nothing'], outputs: ['leak'] },
          { op: 'Add', inputs: ['h', 'leak'], outputs: ['node_embedding'] },
        ]
      : []),
    {
      op: 'ReduceSum',
      inputs: ['node_embedding', 'one'],
      outputs: ['node_energy'],
      attributes: { keepdims: { int: 0 } },
    },
  ];
  return encodeOnnxModel({
    name: 'tiny',
    inputs: {
      atomic_numbers: { type: 'int64', shape: ['n_atoms'] },
      edge_index: { type: 'int64', shape: [2, 'n_edges'] },
      edge_vectors: { type: 'float32', shape: ['n_edges', 3] },
    },
    outputs: {
      node_embedding: { type: 'float32', shape: ['n_atoms', TINY_DIM] },
      node_energy: { type: 'float32', shape: ['n_atoms'] },
    },
    constants: {
      zero: { shape: [], data: BigInt64Array.of(0n) },
      axis: { shape: [1], data: BigInt64Array.of(0n) },
      one: { shape: [1], data: BigInt64Array.of(1n) },
      base: { shape: [1, TINY_DIM], data: Float32Array.from(BASE) },
      decay: { shape: [1, TINY_DIM], data: Float32Array.from(DECAY, (x) => -x) },
      ten: { shape: [1, 1], data: Float32Array.of(ZERO_ELEMENT) },
      nine: { shape: [1, 1], data: Float32Array.of(NAN_ELEMENT) },
      nothing: { shape: [1, 1], data: Float32Array.of(0) },
    },
    nodes,
  });
}

/** What the tiny network must give for a crystal, in float64. */
export function tinyEmbedding(crystal: Crystal): number[] {
  const { count, centres, distances } = neighbourList(crystal, TINY_CUTOFF);
  const h = Array.from(crystal.atomicNumbers, (z) => BASE.map((b) => b * z));
  for (let e = 0; e < count; e++) DECAY.forEach((decay, k) => (h[centres[e]][k] += Math.exp(-decay * distances[e])));
  return h.flatMap((row, atom) => row.map((value) => value * (crystal.atomicNumbers[atom] - ZERO_ELEMENT)));
}

/** The card of an ONNX file with the tiny network's inputs and outputs, as JSON. */
export function tinyCard(onnx: Uint8Array, overrides: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: 'tiny',
    family: 'Tiny',
    name: 'Tiny test network',
    package: null,
    package_version: null,
    weights_file: null,
    weights_sha256: null,
    licence: 'made for this test',
    training_data: null,
    functional: null,
    equivariant: false,
    conservative: true,
    parameters: null,
    random_weights: true,
    cutoff_angstrom: TINY_CUTOFF,
    max_neighbours: null,
    angle_cutoff_angstrom: null,
    elements: Array.from({ length: 40 }, (_, k) => k + 1),
    isolated_atoms: 'accept',
    embedding: { layer: 'the only one', dim: TINY_DIM, invariant: true },
    inputs: {
      atomic_numbers: { type: 'int64', shape: ['n_atoms'] },
      edge_index: { type: 'int64', shape: [2, 'n_edges'] },
      edge_vectors: { type: 'float32', shape: ['n_edges', 3] },
    },
    outputs: {
      node_embedding: { type: 'float32', shape: ['n_atoms', TINY_DIM] },
      node_energy: { type: 'float32', shape: ['n_atoms'] },
    },
    opset: 17,
    onnx_sha256: createHash('sha256').update(onnx).digest('hex'),
    onnx_bytes: onnx.length,
    onnx_nodes: null,
    intra_op_threads: 1,
    parity: { max_relative_embedding_error: 0, n_structures: 0 },
    ...overrides,
  };
}

/** Writes `<folder>/<id>/{model.onnx,card.json}`. */
export async function writeModel(folder: string, onnx: Uint8Array, card: Record<string, unknown>): Promise<void> {
  const at = join(folder, String(card['id']));
  await mkdir(at, { recursive: true });
  await writeFile(join(at, 'model.onnx'), onnx);
  await writeFile(join(at, 'card.json'), JSON.stringify(card));
}

/** A cubic crystal with its atoms on a line. */
export function crystal(atomicNumbers: number[], edge = 4): Crystal {
  const fractionalCoordinates = new Float64Array(3 * atomicNumbers.length);
  atomicNumbers.forEach((_, k) => fractionalCoordinates.fill(k / atomicNumbers.length, 3 * k, 3 * k + 3));
  return {
    atomicNumbers: Uint8Array.from(atomicNumbers),
    lattice: Float64Array.of(edge, 0, 0, 0, edge, 0, 0, 0, edge),
    fractionalCoordinates,
  };
}
