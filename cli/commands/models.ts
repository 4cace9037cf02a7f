import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { EXIT } from '../../config/names.js';
import type { Provider } from '../../models/graphBatch.js';
import { checkModel, type ModelCheck } from '../../workers/modelCheck.js';
import { defaultStores } from '../../workers/dependencies.js';
import type { Context } from '../context.js';
import { formatTable } from '../format.js';
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

/** `koine models verify ID`: is the network what its card says, and does it treat crystals as crystals? */
export async function verify(context: Context, id: string, options: ModelsVerifyOptions): Promise<number> {
  const { console } = context;
  const report = await checkModel(context.settings(), id, {
    stores: storesOf(context, options),
    structures: options.structures,
    reference: options.reference,
    provider: options.provider,
  });
  const ok = report.checks.every((check) => check.ok);
  if (options.json) console.answer(JSON.stringify({ id, ok, ...report }));
  else showCheck(id, report, (line) => console.answer(line));
  return ok ? EXIT.done : EXIT.failed;
}

/** The checks of a model as a table. */
export function showCheck(
  id: string,
  { checks, structures, reference }: ModelCheck,
  show: (line: string) => void,
): void {
  const refused = structures.rejected > 0 ? ` (${structures.rejected} more cannot be read)` : '';
  show(`${id} on ${structures.count} structures of ${structures.path}${refused}`);
  show(reference ? `official values: ${reference}` : 'official values: none, so parity is not checked');
  for (const line of formatTable(
    ['', 'check', 'what was found'],
    checks.map(({ check, ok, detail }) => [ok ? 'ok' : 'FAILED', check, detail]),
  ))
    show(line);
  const failed = checks.filter(({ ok }) => !ok).length;
  show(failed === 0 ? `all ${checks.length} checks hold` : `${failed} of ${checks.length} checks failed`);
}

/** The stores to look into: those named, else the user's and the one that koine ships. */
export function storesOf(context: Context, { store }: ModelsOptions): string[] {
  if (!store || store.length === 0) return defaultStores(context.settings());
  const locations = store.map((location) => (location.includes('://') ? location : resolve(location)));
  for (const location of locations)
    if (!location.includes('://') && !existsSync(location))
      throw new Refusal(`--store ${location}: there is no such folder; give one that holds <id>/card.json`);
  return locations;
}
