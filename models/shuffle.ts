import { ModelRefused, type ModelCard } from './card.js';
import { randomOrder, seededRandom } from './crystalVariants.js';
import { floatArrays } from '../onnx/reader.js';
import { sha256Hex, type ResolvedModel } from './store.js';

/** Arrays of fewer entries (scales, biases, basis parameters, energies of the elements) stay as they are. */
const LARGE = 256;

/**
 * Share of different values above which an array counts as learned. Constants of the architecture (Wigner 3j symbols,
 * selection matrices) hold few values many times; permuting those would break symmetries, which is not what a control is for.
 */
const LEARNED = 0.5;

/** A shuffled network and how much of it was moved. */
export interface ShuffledNetwork {
  onnx: Uint8Array<ArrayBuffer>;
  /** Arrays permuted, and entries in them. */
  arrays: number;
  entries: number;
}

/**
 * The network with the entries of every large learned array in random order, NaN apart: the same architecture with the same distribution
 * of weights, and nothing of what they learned. Arrays are permuted in file order from one stream of random numbers.
 * @param onnx bytes of the whole file; not changed
 * @throws ModelRefused if no array is large enough
 */
export function shuffledNetwork(onnx: Uint8Array, seed: number): ShuffledNetwork {
  const shuffled = Uint8Array.from(onnx);
  const random = seededRandom(seed);
  let arrays = 0;
  let entries = 0;
  for (const { start, count, width } of floatArrays(onnx)) {
    if (count < LARGE) continue;
    const values = valuesOf(onnx, start, count, width);
    if (new Set(values).size < LEARNED * count) continue;
    // NaN marks what a network does not know, e.g. the vectors of elements it was not trained on; spread about, it would fill everything.
    const known = Array.from(values.keys()).filter((k) => Number.isFinite(values[k]));
    for (const [to, from] of randomOrder(known.length, random).entries()) {
      const at = start + known[from] * width;
      shuffled.set(onnx.subarray(at, at + width), start + known[to] * width);
    }
    arrays++;
    entries += known.length;
  }
  if (arrays === 0) throw new ModelRefused(`models/shuffle: the network holds no array of ${LARGE} weights or more`);
  return { onnx: shuffled, arrays, entries };
}

/** Id of a shuffled copy unless another is given. */
export function shuffledId(id: string, seed: number): string {
  return `${id}-shuffled-${seed}`;
}

/** The card of a shuffled copy: a control of its own lineage, its parity and symmetries unknown until measured. */
export function shuffledCard(
  { card, onnxSha256 }: ResolvedModel,
  id: string,
  onnx: Uint8Array,
  seed: number,
): ModelCard {
  return {
    ...card,
    id,
    name: `${card.name}, weights shuffled (seed ${seed}; a control, not a potential)`,
    weights_file: null,
    weights_sha256: null,
    random_weights: true,
    onnx_sha256: sha256Hex(onnx),
    onnx_bytes: onnx.length,
    parity: { max_relative_embedding_error: 0, n_structures: 0 },
    invariance: null,
    lineage: id,
    derived_from: { parent: card.id, parent_onnx_sha256: onnxSha256, operation: 'weight-shuffle', seed },
    control: 'shuffled',
    training: null,
  };
}

function valuesOf(onnx: Uint8Array, start: number, count: number, width: number): Float64Array {
  const view = new DataView(onnx.buffer, onnx.byteOffset + start, count * width);
  return Float64Array.from({ length: count }, (_, k) =>
    width === 4 ? view.getFloat32(4 * k, true) : view.getFloat64(8 * k, true),
  );
}
