import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Settings } from '../config/settings.js';
import type { ModelCard } from '../models/card.js';
import { controlModel, type ControlOptions } from '../models/controls.js';
import { PARITY_GATES } from '../models/parity.js';
import { shuffledCard, shuffledNetwork } from '../models/shuffle.js';
import { openModels } from './dependencies.js';
import { checkModel } from './modelCheck.js';
import { placeModel } from './modelPlacement.js';

/** A control that was put into the user's model store. */
export interface AddedControl {
  folder: string;
  card: ModelCard;
}

/** A weight-shuffled copy to be made. */
export interface ShuffleRequest {
  stores: readonly string[];
  /** Model to copy. */
  model: string;
  /** Id of the copy. */
  id: string;
  seed: number;
  replace: boolean;
}

/**
 * Puts a weight-shuffled copy of a model into the user's store. Its card says how far it is from invariant, measured: weights
 * that were folded together with the geometry at export lose the symmetry when they are shuffled.
 * @throws ModelRefused for an unknown model, or one without large arrays
 */
export async function addShuffled(settings: Settings, request: ShuffleRequest): Promise<AddedControl> {
  const { stores, model: parent, id, seed, replace } = request;
  const model = await openModels(settings, stores).resolve(parent);
  const { onnx } = shuffledNetwork(await readFile(model.onnxPath), seed);
  let card = shuffledCard(model, id, onnx, seed);
  const folder = await placeModel(settings, id, replace, async ({ made, aside }) => {
    await writeModel(made, onnx, { ...card, embedding: { ...card.embedding, invariant: false } });
    const { checks } = await checkModel(settings, id, { stores: [aside], provider: 'cpu' });
    const figure = (name: string) => checks.find(({ check }) => check === name)?.figure ?? null;
    const rotation = figure('rotation');
    const invariant = card.embedding.invariant && rotation !== null && rotation <= PARITY_GATES.max;
    const invariance = { rotation: finite(rotation), inversion: finite(figure('inversion')) };
    card = { ...card, embedding: { ...card.embedding, invariant }, invariance };
    await writeModel(made, onnx, card);
    return true;
  });
  return { folder, card };
}

/** Puts a control that knows only elements into the user's store. */
export async function addControl(settings: Settings, options: ControlOptions, replace: boolean): Promise<AddedControl> {
  const { onnx, card } = controlModel(options);
  const folder = await placeModel(settings, options.id, replace, async ({ made }) => {
    await writeModel(made, onnx, card);
    return true;
  });
  return { folder, card };
}

/** JSON has no infinity: a change without bound is not stated. */
const finite = (value: number | null) => (value !== null && Number.isFinite(value) ? value : null);

async function writeModel(folder: string, onnx: Uint8Array, card: ModelCard): Promise<void> {
  await writeFile(join(folder, 'model.onnx'), onnx);
  await writeFile(join(folder, 'card.json'), `${JSON.stringify(card, null, 1)}\n`);
}
