import { z } from 'zod';

/** A model folder that cannot be used: its card is malformed, or the card and the ONNX file disagree. Retrying does not help. */
export class ModelRefused extends Error {
  override readonly name = 'ModelRefused';
}

/** Every tensor koine can give to a network, with its type and shape (MODELS contract; see `graphBatch.ts` for the meaning). */
export const INPUT_TENSORS = {
  atomic_numbers: { type: 'int64', shape: ['n_atoms'] },
  edge_index: { type: 'int64', shape: [2, 'n_edges'] },
  edge_vectors: { type: 'float32', shape: ['n_edges', 3] },
  structure_index: { type: 'int64', shape: ['n_atoms'] },
  edge_to_bond: { type: 'int64', shape: ['n_edges'] },
  bond_to_edge: { type: 'int64', shape: ['n_bonds'] },
  angle_index: { type: 'int64', shape: [2, 'n_angles'] },
} as const satisfies Record<string, TensorSpec>;

/** One of the keys of {@link INPUT_TENSORS}. */
export type InputName = keyof typeof INPUT_TENSORS;

/** Inputs that only a network with a line graph (bonds and angles) asks for. */
export const LINE_GRAPH_INPUTS: readonly InputName[] = ['edge_to_bond', 'bond_to_edge', 'angle_index'];

/**
 * Opsets of the default operator domain that koine accepts: `ScatterND(reduction=add)`, which every message-passing export
 * needs, exists from 16 on; 17 and 18 are run by the tests, the others are what ONNX Runtime 1.30 declares.
 */
export const SUPPORTED_OPSETS = { lowest: 16, highest: 23 } as const;

const tensorSpec = z.strictObject({
  type: z.enum(['int64', 'float32', 'float64']),
  shape: z.array(z.union([z.int().nonnegative(), z.string()])),
});
/** Element type and symbolic shape of a tensor, as the card states it. */
export type TensorSpec = z.infer<typeof tensorSpec>;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'give the SHA-256 as 64 lower-case hexadecimal digits');
const relativeError = z.number().nonnegative();

/** Mean absolute errors on a test part; baselines: linear in the composition, zero force. */
const testErrors = {
  structures: z.int().positive(),
  test_energy_mae_mev_per_atom: z.number().nonnegative().nullable(),
  baseline_energy_mae_mev_per_atom: z.number().nonnegative().nullable(),
  test_force_mae_ev_per_angstrom: z.number().nonnegative().nullable(),
  baseline_force_mae_ev_per_angstrom: z.number().nonnegative().nullable(),
};

/**
 * Models that are nulls: `one-hot` knows the element and nothing else; `random-element` a random vector an element; `shuffled`
 * has the weights of a potential in random order; `random-weights` is a potential's architecture, untrained.
 */
export const CONTROLS = ['one-hot', 'random-element', 'shuffled', 'random-weights'] as const;

const inputName = z.enum(Object.keys(INPUT_TENSORS) as [InputName, ...InputName[]]);

const fields = z.strictObject({
  /** 2, or less for a card that {@link migrated} brings up to it; the fields after `parity` came later and have defaults. */
  schema_version: z.literal(2, 'this koine reads cards of versions 1 and 2').default(2),
  id: z
    .string()
    .regex(
      /^[a-z0-9][a-z0-9._-]{0,99}$/,
      'use lower-case letters, digits, dots, dashes: it names folders and partitions',
    ),
  family: z.string().min(1, 'name the architecture, e.g. "MACE"'),
  name: z.string().min(1, 'give a human-readable name'),
  package: z.string().nullable(),
  package_version: z.string().nullable(),
  weights_file: z.string().nullable(),
  weights_sha256: sha256.nullable(),
  licence: z.string().min(1, 'state the licence of the weights, e.g. "MIT"'),
  training_data: z.string().nullable(),
  functional: z.string().nullable(),
  /** Whether hidden features transform under rotation (a fact about the architecture). */
  equivariant: z.boolean(),
  /** Whether forces are gradients of an energy. */
  conservative: z.boolean(),
  parameters: z.int().positive().nullable(),
  random_weights: z.boolean(),
  /** Å; every directed edge with 0 < |v| <= cutoff is given. */
  cutoff_angstrom: z
    .number()
    .positive('give the neighbour cutoff in Å, e.g. 6.0')
    .max(20, 'koine builds neighbour lists up to 20 Å'),
  /** Keep only this many nearest neighbours of each atom (Orb); null keeps all. */
  max_neighbours: z.int().positive('a positive whole number, or null for all neighbours').nullable(),
  /** Å; edges shorter than this form angles. Needed exactly when the network takes line-graph inputs. */
  angle_cutoff_angstrom: z.number().positive('give the angle cutoff in Å, or null without a line graph').nullable(),
  /** Atomic numbers the network was built for; all others are quarantined before the network sees them. */
  elements: z
    .array(z.int('atomic numbers are whole').min(1, 'atomic numbers start at 1').max(118, 'atomic numbers end at 118'))
    .nonempty('list the atomic numbers the network knows'),
  /** `reject`: an atom without neighbours quarantines its structure (CHGNet). */
  isolated_atoms: z.enum(['accept', 'reject'], 'say "accept" or "reject"'),
  embedding: z.strictObject({
    layer: z.string().min(1, 'say which features of which layer these are'),
    dim: z.int('a whole number').positive('the width of node_embedding').max(65_536),
    /** Whether the embedding itself is meant to be invariant under rotation. */
    invariant: z.boolean(),
  }),
  inputs: z.partialRecord(inputName, tensorSpec),
  outputs: z.record(z.string(), tensorSpec),
  opset: z
    .int()
    .min(
      SUPPORTED_OPSETS.lowest,
      `export with opset ${SUPPORTED_OPSETS.lowest} to ${SUPPORTED_OPSETS.highest}, preferably 18`,
    )
    .max(
      SUPPORTED_OPSETS.highest,
      `export with opset ${SUPPORTED_OPSETS.lowest} to ${SUPPORTED_OPSETS.highest}, preferably 18`,
    ),
  onnx_sha256: sha256,
  onnx_bytes: z.int().positive(),
  onnx_nodes: z.int().positive().nullable(),
  intra_op_threads: z.literal(1, 'koine runs every session with one thread: ScatterND(add) is a data race with more'),
  /** What the exporter measured against the official code; errors are in units of the RMS of the reference embedding. */
  parity: z.strictObject({
    max_relative_embedding_error: relativeError,
    n_structures: z.int().nonnegative(),
    max_energy_error_mev_per_atom: z.number().nonnegative().optional(),
    max_relative_embedding_error_vs_native_float64: relativeError.optional(),
    rms_relative_embedding_error_vs_native_float64: relativeError.optional(),
    native_float32_vs_float64_relative: relativeError.optional(),
    /**
     * Largest error accepted when parity is checked again, for networks whose official graph cannot be reproduced edge for
     * edge. Default: `PARITY_GATES`.
     */
    tolerance: z.number().positive().optional(),
  }),
  /** What the sum of `node_energy` over a structure is, e.g. "total energy, eV, atomic offsets included"; null without energy. */
  energy_convention: z.string().min(1).nullable().default(null),
  /** Measured: largest change of an embedding, in RMS, when the crystal is rotated and when it is inverted. */
  invariance: z
    .strictObject({ rotation: relativeError.nullable(), inversion: relativeError.nullable() })
    .nullable()
    .default(null),
  /** Models that share it share weights (fine-tunes of one another), so that their agreement is no evidence; the id by default. */
  lineage: z.string().min(1).nullable().default(null),
  /** The model this one was made from, for weights that did not come straight from their authors. */
  derived_from: z
    .strictObject({
      /** id and ONNX digest of that model. */
      parent: z.string(),
      parent_onnx_sha256: sha256,
      operation: z.enum(['weight-shuffle', 'fine-tune', 'random-initialisation']),
      seed: z.int().nonnegative().nullable(),
    })
    .nullable()
    .default(null),
  /** What a comparison with this model is a null for; null for a potential proper. */
  control: z
    .enum(CONTROLS, `one of ${CONTROLS.join(', ')}, or null`)
    .nullable()
    .default(null),
  /** How it was trained, for potentials that koine's own scripts trained. */
  training: z
    .strictObject({
      script: z.string(),
      data: z.string(),
      data_licence: z.string(),
      steps: z.int().nonnegative(),
      seed: z.int().nonnegative(),
      ...testErrors,
      /** The same for parts of the test set, by name. */
      subsets: z.record(z.string(), z.strictObject(testErrors)).optional(),
    })
    .nullable()
    .default(null),
  citation: z.string().nullable().default(null),
  commercial_use: z.boolean().nullable().default(null),
});

/**
 * The card beside every ONNX file. Unknown fields are refused: a field this koine does not know could change what the
 * network must be given.
 */
export const ModelCard = fields.superRefine((card, context) => {
  const complain = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });

  for (const [name, spec] of Object.entries(card.inputs) as [InputName, TensorSpec][]) {
    const expected = INPUT_TENSORS[name];
    if (!sameTensor(spec, expected)) complain(['inputs', name], `koine gives ${describeTensor(expected)}`);
  }
  for (const needed of ['atomic_numbers', 'edge_index'] as const) {
    if (!(needed in card.inputs))
      complain(['inputs', needed], `a network over crystals takes ${describeTensor(INPUT_TENSORS[needed])}`);
  }
  const lineGraph = LINE_GRAPH_INPUTS.filter((name) => name in card.inputs);
  if (lineGraph.length > 0 && card.angle_cutoff_angstrom === null) {
    complain(['angle_cutoff_angstrom'], `give it in Å: the network takes ${lineGraph.join(', ')}`);
  }
  if (lineGraph.length > 0 && card.max_neighbours !== null) {
    complain(['max_neighbours'], 'must be null: a line graph needs every edge together with its reverse');
  }

  const embedding = card.outputs['node_embedding'];
  const expected: TensorSpec = { type: 'float32', shape: ['n_atoms', card.embedding.dim] };
  if (!embedding || !sameTensor(embedding, expected)) {
    complain(['outputs', 'node_embedding'], `must be ${describeTensor(expected)}, as embedding.dim says`);
  }
  const energy = card.outputs['node_energy'];
  if (energy && !sameTensor(energy, { type: 'float32', shape: ['n_atoms'] })) {
    complain(['outputs', 'node_energy'], 'must be float32 [n_atoms]');
  }
  if (new Set(card.elements).size !== card.elements.length) complain(['elements'], 'list each atomic number once');
  if (!card.random_weights && (card.control === 'shuffled' || card.control === 'random-weights')) {
    complain(['random_weights'], `must be true where control is '${card.control}'`);
  }
});
/** A parsed card, defaults filled in. */
export type ModelCard = Omit<z.infer<typeof ModelCard>, 'lineage'> & { lineage: string };

/**
 * Parses a card.
 * @param json the decoded `card.json`
 * @param where shown in errors, e.g. the file's path
 * @throws ModelRefused naming every wrong field, its value and what would be right
 */
export function parseCard(json: unknown, where: string): ModelCard {
  const parsed = ModelCard.safeParse(migrated(json));
  if (parsed.success) {
    const card = parsed.data;
    return {
      ...card,
      lineage: card.lineage ?? card.id,
      control: card.control ?? (card.random_weights ? 'random-weights' : null),
    };
  }
  const complaints = parsed.error.issues.map((issue) => {
    if (issue.code === 'unrecognized_keys') {
      const remedy =
        issue.path[0] === 'inputs'
          ? `koine can give a network only ${Object.keys(INPUT_TENSORS).join(', ')}; export it with these inputs`
          : 'unknown field; remove it or upgrade koine';
      return `${[...issue.path, issue.keys.join(', ')].join('.')}: ${remedy}`;
    }
    const value = valueAt(json, issue.path);
    const shown = value === undefined ? 'is missing' : `is ${abbreviate(value)}`;
    return `${issue.path.join('.') || 'the card'} ${shown}: ${issue.message}`;
  });
  throw new ModelRefused(`models/card: ${where}: ${complaints.join('; ')}`);
}

/** A card of an older version in the form of this one: version 1 had records for `energy_convention` and `lineage`. */
function migrated(json: unknown): unknown {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return json;
  const card: Record<string, unknown> = { ...json };
  if (card['schema_version'] === 1) card['schema_version'] = 2;
  const { energy_convention: energy, lineage } = card;
  if (isRecord(energy)) {
    const offsets = energy['atomic_offsets_included'] === true ? 'included' : 'left out';
    card['energy_convention'] = `${String(energy['quantity'])} energy, eV, atomic offsets ${offsets}`;
  }
  if (isRecord(lineage)) {
    card['derived_from'] = lineage;
    // A fine-tune keeps its parent's lineage; shuffled and re-initialised weights have nothing of it.
    card['lineage'] = lineage['operation'] === 'fine-tune' ? lineage['parent'] : null;
  }
  return card;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** e.g. `int64 [2, n_edges]`. */
export function describeTensor(spec: { type: string; shape: readonly (number | string)[] }): string {
  return `${spec.type} [${spec.shape.join(', ')}]`;
}

/** Equal type, rank and fixed sizes; symbolic sizes match any symbol. */
export function sameTensor(
  a: { type: string; shape: readonly (number | string)[] },
  b: { type: string; shape: readonly (number | string)[] },
): boolean {
  return (
    a.type === b.type &&
    a.shape.length === b.shape.length &&
    a.shape.every((size, axis) => {
      const other = b.shape[axis];
      return typeof size === 'number' || typeof other === 'number' ? size === other : true;
    })
  );
}

function valueAt(json: unknown, path: readonly PropertyKey[]): unknown {
  let value = json;
  for (const key of path) value = (value as Record<PropertyKey, unknown> | null | undefined)?.[key];
  return value;
}

function abbreviate(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** What a card decides about the numbers beside the network itself: part of the cache key of every embedding. */
export function encodingContract(card: ModelCard) {
  const {
    cutoff_angstrom,
    max_neighbours,
    angle_cutoff_angstrom,
    elements,
    isolated_atoms,
    inputs,
    outputs,
    embedding,
  } = card;
  return {
    cutoff_angstrom,
    max_neighbours: max_neighbours ?? null,
    angle_cutoff_angstrom: angle_cutoff_angstrom ?? null,
    elements: [...elements].sort((a, b) => a - b),
    isolated_atoms,
    inputs: Object.keys(inputs).sort(),
    outputs: Object.keys(outputs).sort(),
    dim: embedding.dim,
  };
}
