import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { EXIT } from '../../config/names.js';
import { packageRoot } from '../../infra/toolchain.js';
import type { Provider } from '../../models/graphBatch.js';
import { checkModel } from '../../workers/modelCheck.js';
import { openModels } from '../../workers/dependencies.js';
import type { Context } from '../context.js';
import { formatCount, formatTable } from '../format.js';
import { Refusal } from '../refusal.js';

/** Options of every `koine models` command. */
export interface ModelsOptions {
  store?: string[];
  json?: boolean;
}

/** Options of `koine models verify`. */
export interface ModelsVerifyOptions extends ModelsOptions {
  structures?: string;
  reference?: string;
  provider: Provider;
}

/** `koine models list`: every model of the stores, from its card. */
export async function list(context: Context, options: ModelsOptions): Promise<number> {
  const stores = storesOf(options);
  const models = await openModels(context.settings(), stores).list();
  if (options.json) {
    const shown = models.map((model) =>
      'refused' in model
        ? model
        : {
            id: model.id,
            location: model.location,
            family: model.card.family,
            dim: model.card.embedding.dim,
            cutoff_angstrom: model.card.cutoff_angstrom,
            elements: model.card.elements.length,
            parameters: model.card.parameters,
            licence: model.card.licence,
            training_data: model.card.training_data,
            onnx_sha256: model.card.onnx_sha256,
          },
    );
    context.console.answer(JSON.stringify(shown));
    return EXIT.done;
  }
  if (models.length === 0)
    throw new Refusal(`no models in ${stores.join(', ')}; name a folder or s3:// prefix with --store`);
  const cards = models.flatMap((model) => ('card' in model ? [model] : []));
  const lines = formatTable(
    ['model', 'family', '>d', '>cutoff', '>elements', '>parameters', 'training data', 'licence', 'store'],
    cards.map(({ id, location, card }) => [
      id,
      card.family,
      String(card.embedding.dim),
      `${card.cutoff_angstrom} Å`,
      String(card.elements.length),
      card.parameters === null ? '' : formatCount(card.parameters),
      card.random_weights ? 'none (random weights)' : (card.training_data ?? ''),
      card.licence,
      location,
    ]),
  );
  for (const line of lines) context.console.answer(line);
  for (const model of models) if ('refused' in model) context.console.say(`refused: ${model.refused}`);
  return EXIT.done;
}

/** `koine models verify ID`: is the network what its card says, and does it treat crystals as crystals? */
export async function verify(context: Context, id: string, options: ModelsVerifyOptions): Promise<number> {
  const { console } = context;
  const report = await checkModel(context.settings(), id, {
    stores: storesOf(options),
    structures: options.structures,
    reference: options.reference,
    provider: options.provider,
  });
  const failed = report.checks.filter(({ ok }) => !ok);
  if (options.json) {
    console.answer(JSON.stringify({ id, ok: failed.length === 0, ...report }));
  } else {
    const { structures, reference, checks } = report;
    const refused = structures.rejected > 0 ? ` (${structures.rejected} more cannot be read)` : '';
    console.answer(`${id} on ${structures.count} structures of ${structures.path}${refused}`);
    console.answer(reference ? `official values: ${reference}` : 'official values: none, so parity is not checked');
    for (const line of formatTable(
      ['', 'check', 'what was found'],
      checks.map(({ check, ok, detail }) => [ok ? 'ok' : 'FAILED', check, detail]),
    ))
      console.answer(line);
    console.answer(
      failed.length === 0 ? `all ${checks.length} checks hold` : `${failed.length} of ${checks.length} checks failed`,
    );
  }
  return failed.length === 0 ? EXIT.done : EXIT.failed;
}

/** The stores to look into: those named, else the one koine ships. */
export function storesOf({ store }: ModelsOptions): string[] {
  if (store && store.length > 0) {
    const locations = store.map((location) => (location.includes('://') ? location : resolve(location)));
    for (const location of locations)
      if (!location.includes('://') && !existsSync(location))
        throw new Refusal(`--store ${location}: there is no such folder; give one that holds <id>/card.json`);
    return locations;
  }
  const shipped = join(packageRoot(), 'models/reference');
  if (existsSync(shipped)) return [shipped];
  throw new Refusal(
    'name a model store with --store: a folder or s3:// prefix that holds <id>/model.onnx and <id>/card.json',
  );
}
