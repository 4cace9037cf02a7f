import { elementSymbol } from '../structures/elements.js';
import type { Structure } from '../structures/structure.js';
import { ModelRefused, type InputName } from './card.js';
import { doubled, inverted, permuted, randomOrder, rotated, seededRandom } from './crystalVariants.js';
import { buildGroup, type Crystal, type GraphBatch } from './graphBatch.js';
import { structureEmbeddings, type InferencePool } from './inferencePool.js';
import { compareWithReference, embeddingError, PARITY_GATES, type NativeReference } from './parity.js';
import type { ResolvedModel } from './store.js';

/** Result of one check of {@link verifyModel}. */
export interface Check {
  check: string;
  ok: boolean;
  /** Largest deviation in units of the RMS of the embedding, where the check has one. */
  figure: number | null;
  detail: string;
}

/** Batches without limit: everything in one. */
const ONE_BATCH = { atoms: Infinity, edges: Infinity };

/**
 * Checks that a model is what its card says and that its network treats crystals as crystals: contract, parity with the
 * official code, order of atoms and edges, batches, repetition, rotation, inversion, supercells, isolated atoms, elements.
 * @param structures real structures to check on; a few dozen small ones suffice
 * @param reference what the official code gives for (some of) them, if known
 * @returns every check with its figure; a model that cannot be loaded gives one failed check
 * @throws RangeError if the model accepts none of the structures
 */
export async function verifyModel(
  pool: InferencePool,
  model: ResolvedModel,
  structures: readonly Structure[],
  reference?: NativeReference,
): Promise<Check[]> {
  const { card } = model;
  let first: Awaited<ReturnType<InferencePool['embed']>>;
  try {
    first = await pool.embed(model, structures);
  } catch (error) {
    if (!(error instanceof ModelRefused)) throw error;
    return [{ check: 'contract', ok: false, figure: null, detail: error.message }];
  }
  if (first.accepted.length === 0)
    throw new RangeError(`models/verify: '${card.id}' accepts none of the ${structures.length} structures`);
  const checks: Check[] = [
    { check: 'contract', ok: true, figure: null, detail: 'digest, opset, inputs and outputs are as the card says' },
  ];

  const accepted = first.accepted.map((index) => structures[index]);
  const wanted = structureEmbeddings(first, structures);
  if (reference) checks.push(parity(model, accepted, wanted, first.energies, reference));

  const random = seededRandom(0);
  const gate = card.max_neighbours === null ? PARITY_GATES.max : PARITY_GATES.maxCapped;
  /** Embeds a variant of every structure and compares what `back` makes of the result with the original. */
  const compare = async (
    variant: (crystal: Crystal) => Crystal,
    back: (embedding: Float32Array, position: number) => ArrayLike<number> = (embedding) => embedding,
  ): Promise<{ median: number; max: number; worst: string }> => {
    const variants = accepted.map(variant);
    const result = await pool.embed(model, variants);
    if (result.rejections.length > 0) {
      const [{ index, message }] = result.rejections;
      return { median: Infinity, max: Infinity, worst: `${accepted[index].materialId}: ${message}` };
    }
    const got = structureEmbeddings(result, variants).map(back);
    const { median, max, worst } = embeddingError(got, wanted);
    return { median, max, worst: accepted[worst].materialId };
  };
  const gated = (check: string, { median, max, worst }: { median: number; max: number; worst: string }, what: string) =>
    checks.push({
      check,
      ok: median <= PARITY_GATES.median && max <= gate,
      figure: max,
      detail: `${what}: median ${scientific(median)}, maximum ${scientific(max)} (${worst}); at most ${PARITY_GATES.median} and ${gate}`,
    });

  const orders = accepted.map((structure) => randomOrder(structure.atomicNumbers.length, random));
  let turn = 0;
  const shuffledAtoms = await compare(
    (crystal) => permuted(crystal, orders[turn++]),
    (embedding, position) => unpermute(embedding, orders[position], card.embedding.dim),
  );
  gated('atom order', shuffledAtoms, 'embeddings follow their atoms');

  gated(
    'edge order',
    await shuffleEdges(pool, model, accepted, wanted, random),
    'the order of edges and angles does not matter',
  );
  gated('batches', await embedAlone(pool, model, accepted, wanted), 'a structure alone equals itself in a batch');
  checks.push(await repeat(pool, model, accepted));

  const rotation = await compare((crystal) => rotated(crystal, random));
  checks.push(stated('rotation', rotation, card.invariance?.rotation ?? null, card.embedding.invariant ? gate : null));
  const inversion = await compare(inverted);
  checks.push(stated('inversion', inversion, card.invariance?.inversion ?? null, null));

  let axis = 0;
  const supercells = await compare(
    (crystal) => doubled(crystal, (axis++ % 3) as 0 | 1 | 2),
    (embedding, position) =>
      embedding.subarray((position % 2) * (embedding.length / 2)).subarray(0, embedding.length / 2),
  );
  gated('supercell', supercells, 'atoms of a doubled cell equal those of the cell');

  checks.push(await isolatedAtom(pool, model), await everyElement(pool, model));
  return checks;
}

function parity(
  model: ResolvedModel,
  accepted: readonly Structure[],
  embeddings: readonly Float32Array[],
  energies: Float64Array | null,
  reference: NativeReference,
): Check {
  const ids = accepted.map((structure) => structure.materialId);
  const { structures, float32, float64, energyMevPerAtom, ok } = compareWithReference(
    reference,
    model.card,
    ids,
    embeddings,
    energies,
  );
  const parts = [
    `${structures} structures: median ${scientific(float32.median)}, maximum ${scientific(float32.max)} against float32`,
  ];
  if (float64) parts.push(`maximum ${scientific(float64.max)} against float64`);
  if (energyMevPerAtom !== null) parts.push(`energy within ${scientific(energyMevPerAtom)} meV/atom`);
  return { check: 'parity', ok, figure: float32.max, detail: parts.join(', ') };
}

/** Every structure alone, its edges (with their bonds) and angles in random order. */
async function shuffleEdges(
  pool: InferencePool,
  model: ResolvedModel,
  accepted: readonly Structure[],
  wanted: readonly Float32Array[],
  random: () => number,
) {
  const got = await Promise.all(
    accepted.map(async (structure, index) => {
      const [batch] = buildGroup([structure], [index], model.card, ONE_BATCH).batches;
      return (await pool.runBatch(model, permuteEdges(batch, random))).embedding;
    }),
  );
  const { median, max, worst } = embeddingError(got, wanted);
  return { median, max, worst: accepted[worst].materialId };
}

async function embedAlone(
  pool: InferencePool,
  model: ResolvedModel,
  accepted: readonly Structure[],
  wanted: readonly Float32Array[],
) {
  const batches = await pool.embed(model, accepted, { budget: { atoms: 256, edges: Infinity } });
  const alone = await pool.embed(model, accepted, { budget: { atoms: 1, edges: 1 } });
  const [together, single] = [batches, alone].map((result) => structureEmbeddings(result, accepted));
  const apart = embeddingError(single, together);
  const first = embeddingError(wanted, together);
  const { median, max, worst } = apart.max >= first.max ? apart : first;
  return { median, max, worst: accepted[worst].materialId };
}

/** Bits, not tolerance: one batch with many scatter targets, again and again. */
async function repeat(pool: InferencePool, model: ResolvedModel, accepted: readonly Structure[]): Promise<Check> {
  const runs = 5;
  let differing = 0;
  let before: Buffer | undefined;
  for (let run = 0; run < runs; run++) {
    const { embedding } = await pool.embed(model, accepted, { budget: { atoms: 128, edges: Infinity } });
    const bytes = Buffer.from(embedding.buffer);
    if (before && !before.equals(bytes)) differing++;
    before = bytes;
  }
  return {
    check: 'repetition',
    ok: differing === 0,
    figure: null,
    detail: `${differing} of ${runs - 1} repetitions differ in some bit`,
  };
}

/** Compares a measured change with the card: not above twice what it states, or above the gate where it claims invariance. */
function stated(
  check: string,
  { median, max, worst }: { median: number; max: number; worst: string },
  onCard: number | null,
  gate: number | null,
): Check {
  const limit = gate ?? (onCard === null ? Infinity : Math.max(2 * onCard, PARITY_GATES.max));
  const claim =
    gate !== null
      ? `invariant (at most ${gate})`
      : onCard !== null
        ? `${scientific(onCard)} (at most twice that)`
        : 'nothing';
  const detail = `embeddings change by median ${scientific(median)}, maximum ${scientific(max)} (${worst}); the card claims ${claim}`;
  return { check, ok: max <= limit, figure: max, detail };
}

/** One atom in an empty box of 40 Å, alone and together with a copy, against what `isolated_atoms` promises. */
async function isolatedAtom(pool: InferencePool, model: ResolvedModel): Promise<Check> {
  const { card } = model;
  const box = cubic(card.elements[0], 40);
  const { accepted, rejections } = await pool.embed(model, [box, box]);
  const done = accepted.length === 2;
  const said = done ? 'embedded' : `rejected as ${rejections[0].code}`;
  const ok = card.isolated_atoms === 'accept' ? done : rejections.every(({ code }) => code === 'no_edges') && !done;
  return {
    check: 'isolated atoms',
    ok,
    figure: null,
    detail: `an atom without neighbours is ${said}; the card says '${card.isolated_atoms}'`,
  };
}

/** Each listed element as a simple cubic crystal of 3 Å: finite, non-zero embeddings. */
async function everyElement(pool: InferencePool, model: ResolvedModel): Promise<Check> {
  const { elements } = model.card;
  const { rejections } = await pool.embed(
    model,
    elements.map((z) => cubic(z, 3)),
  );
  const failed = rejections.map(({ index, code }) => `${elementSymbol(elements[index])} (${code})`);
  const detail =
    failed.length === 0
      ? `all ${elements.length} listed elements embed`
      : `${failed.join(', ')}: remove them from the card's elements`;
  return { check: 'elements', ok: failed.length === 0, figure: null, detail };
}

function cubic(atomicNumber: number, edge: number): Crystal {
  return {
    atomicNumbers: Uint8Array.of(atomicNumber),
    lattice: Float64Array.of(edge, 0, 0, 0, edge, 0, 0, 0, edge),
    fractionalCoordinates: new Float64Array(3),
  };
}

/** Rows back in source order: row k belongs to atom `order[k]`. */
function unpermute(embedding: Float32Array, order: Int32Array, dim: number): Float32Array {
  const rows = new Float32Array(embedding.length);
  for (const [k, atom] of order.entries()) rows.set(embedding.subarray(k * dim, (k + 1) * dim), atom * dim);
  return rows;
}

/** The same graph with edges and angles in random order; bonds keep their numbers. */
function permuteEdges(batch: GraphBatch, random: () => number): GraphBatch {
  const { edges, inputs } = batch;
  const order = randomOrder(edges, random);
  const newNumber = new BigInt64Array(edges);
  for (const [k, from] of order.entries()) newNumber[from] = BigInt(k);
  const renumber = (tensor: BigInt64Array<ArrayBuffer>) => tensor.map((edge) => newNumber[Number(edge)]);
  const columns = (tensor: BigInt64Array<ArrayBuffer>, columnOrder: Int32Array) =>
    tensor.map(
      (_, k) => tensor[Math.floor(k / columnOrder.length) * columnOrder.length + columnOrder[k % columnOrder.length]],
    );

  const permutedInputs: GraphBatch['inputs'] = { ...inputs };
  const vectors = inputs.edge_vectors as Float32Array<ArrayBuffer> | undefined;
  if (vectors) permutedInputs.edge_vectors = vectors.map((_, k) => vectors[3 * order[Math.floor(k / 3)] + (k % 3)]);
  const integer = (name: InputName) => inputs[name] as BigInt64Array<ArrayBuffer> | undefined;
  const index = integer('edge_index');
  if (index) permutedInputs.edge_index = columns(index, order);
  const toBond = integer('edge_to_bond');
  if (toBond) permutedInputs.edge_to_bond = columns(toBond, order);
  const toEdge = integer('bond_to_edge');
  if (toEdge) permutedInputs.bond_to_edge = renumber(toEdge);
  const angles = integer('angle_index');
  if (angles) permutedInputs.angle_index = columns(renumber(angles), randomOrder(angles.length / 2, random));
  return { ...batch, inputs: permutedInputs };
}

function scientific(value: number): string {
  return value.toExponential(1);
}
