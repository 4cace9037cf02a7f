import { EXIT } from '../../config/names.js';
import type { ControlKind } from '../../models/controls.js';
import { shuffledId } from '../../models/shuffle.js';
import { addControl, addShuffled, type AddedControl } from '../../workers/modelControls.js';
import type { Context } from '../context.js';
import { storesOf, type ModelsOptions } from './models.js';

/** Options that both commands have. */
export interface ControlOptions extends ModelsOptions {
  id?: string;
  seed: number;
  replace?: boolean;
}

/** `koine models shuffle ID`: a copy with shuffled weights, what agreement by architecture alone looks like. */
export async function shuffle(context: Context, model: string, options: ControlOptions): Promise<number> {
  const { seed, replace = false, id = shuffledId(model, seed) } = options;
  const stores = storesOf(context, options);
  return show(context, await addShuffled(context.settings(), { stores, model, id, seed, replace }), options);
}

/** `koine models control KIND`: a model that knows elements only, what agreement by composition alone looks like. */
export async function control(
  context: Context,
  kind: ControlKind,
  options: ControlOptions & { dim: number },
): Promise<number> {
  const { seed, dim, replace = false } = options;
  const id = options.id ?? (kind === 'one-hot' ? 'control-one-hot' : `control-random-element-${seed}`);
  return show(context, await addControl(context.settings(), { kind, id, seed, dim }, replace), options);
}

function show({ console }: Context, { folder, card }: AddedControl, { json }: ModelsOptions): number {
  if (json) console.answer(JSON.stringify({ id: card.id, folder, card }));
  else console.answer(`${card.id} is in ${folder}: ${card.name}`);
  return EXIT.done;
}
