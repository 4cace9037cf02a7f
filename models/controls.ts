import { encodeOnnxModel } from '../onnx/writer.js';
import { opsetOf } from '../onnx/reader.js';
import { INPUT_TENSORS, type ModelCard } from './card.js';
import { normalDeviate, seededRandom } from './crystalVariants.js';
import { sha256Hex } from './store.js';

/** Controls that are made from nothing. */
export const CONTROL_KINDS = ['one-hot', 'random-element'] as const;
/** One of {@link CONTROL_KINDS}. */
export type ControlKind = (typeof CONTROL_KINDS)[number];

/** What a control is made of. */
export interface ControlOptions {
  kind: ControlKind;
  id: string;
  /** Of the random vectors. */
  seed: number;
  /** Width of the random vectors; one-hot has one entry an element. */
  dim: number;
}

const ELEMENTS = 118;

/**
 * A model that knows nothing but an atom's element: `one-hot` gives each element its own axis, `random-element` a random
 * direction (standard normal entries). What two potentials share beyond such a control is chemistry beyond composition.
 */
export function controlModel({ kind, id, seed, dim: wanted }: ControlOptions): { onnx: Uint8Array; card: ModelCard } {
  const dim = kind === 'one-hot' ? ELEMENTS : wanted;
  const table = new Float32Array((ELEMENTS + 1) * dim); // row 0 is no element
  if (kind === 'one-hot') for (let z = 1; z <= ELEMENTS; z++) table[z * dim + z - 1] = 1;
  else {
    const random = seededRandom(seed);
    for (let k = dim; k < table.length; k++) table[k] = normalDeviate(random);
  }
  const input = <T extends string>({ type, shape }: { type: T; shape: readonly (number | string)[] }) => ({
    type,
    shape: [...shape],
  });
  const inputs = { atomic_numbers: input(INPUT_TENSORS.atomic_numbers), edge_index: input(INPUT_TENSORS.edge_index) };
  const outputs = { node_embedding: { type: 'float32' as const, shape: ['n_atoms', dim] } };
  const onnx = encodeOnnxModel({
    name: id,
    inputs,
    outputs,
    constants: { table: { shape: [ELEMENTS + 1, dim], data: table } },
    nodes: [{ op: 'Gather', inputs: ['table', 'atomic_numbers'], outputs: ['node_embedding'] }],
  });
  const describe = {
    'one-hot': 'one axis for each element',
    'random-element': `a random vector for each element (seed ${seed})`,
  };
  return {
    onnx,
    card: {
      schema_version: 2,
      id,
      family: 'control',
      name: `${describe[kind]}: a control, not a potential`,
      package: null,
      package_version: null,
      weights_file: null,
      weights_sha256: null,
      licence: 'CC0-1.0',
      training_data: null,
      functional: null,
      equivariant: false,
      conservative: false,
      parameters: null,
      random_weights: kind === 'random-element',
      cutoff_angstrom: CONTROL_CUTOFF,
      max_neighbours: null,
      angle_cutoff_angstrom: null,
      elements: [1, ...Array.from({ length: ELEMENTS - 1 }, (_, k) => k + 2)],
      isolated_atoms: 'accept',
      embedding: { layer: describe[kind], dim, invariant: true },
      inputs,
      outputs,
      opset: opsetOf(onnx)!,
      onnx_sha256: sha256Hex(onnx),
      onnx_bytes: onnx.length,
      onnx_nodes: 1,
      intra_op_threads: 1,
      parity: { max_relative_embedding_error: 0, n_structures: 0 },
      energy_convention: null,
      invariance: { rotation: 0, inversion: 0 },
      lineage: id,
      derived_from: null,
      control: kind,
      training: null,
      citation: null,
      commercial_use: true,
    },
  };
}

/** Å; a control looks at no neighbour, and so short a cutoff finds none. */
const CONTROL_CUTOFF = 0.5;
