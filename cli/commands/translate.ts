import { EXIT } from '../../config/names.js';
import { translate as carry, TranslationRefused } from '../../workers/translate.js';
import type { Context } from '../context.js';
import { openDataset } from '../dataset.js';
import { formatAmount } from '../format.js';
import { Refusal } from '../refusal.js';

/** Options of `koine translate`. */
export interface TranslateOptions {
  from: string;
  to: string;
  into: string;
  run?: string;
  json?: boolean;
}

/** `koine translate DATASET --from A --to B --into FOLDER`: embeddings of A in B's space, with their expected error. */
export async function translate(context: Context, dataset: string, options: TranslateOptions): Promise<number> {
  const { from, to, into, run } = options;
  try {
    const done = await carry(openDataset(dataset), openDataset(into), { from, to, run });
    if (options.json) context.console.answer(JSON.stringify({ ...done, into }));
    else {
      const percent = Math.round(100 * done.relativeError);
      context.console.answer(
        `${formatAmount(done.structures, 'structure')}, ${formatAmount(done.atoms, 'atom')} of ${from} carried into the space of ${to}: ${into}`,
      );
      context.console.answer(
        `expected error: ${percent} % of the spread of ${to} (0 exact, 100 no better than its mean), mean cosine ` +
          `${done.meanCosine.toFixed(3)}, on ${formatAmount(done.held_out, 'atom')} of structures that the map was not fitted on`,
      );
    }
    return EXIT.done;
  } catch (error) {
    if (error instanceof TranslationRefused) throw new Refusal(error.message, EXIT.usage, { cause: error });
    throw error;
  }
}
