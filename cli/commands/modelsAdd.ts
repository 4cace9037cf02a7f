import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { EXIT } from '../../config/names.js';
import { EnvironmentUnavailable } from '../../infra/exporterPython.js';
import { catalogEntry, FAMILIES, readModelCatalog, type CatalogEntry, type FamilyName } from '../../models/catalog.js';
import { ExportFailed } from '../../models/exporter.js';
import { addModel, type ModelAddition } from '../../workers/modelAddition.js';
import type { Context } from '../context.js';
import { formatSeconds } from '../format.js';
import { interruptible } from '../interrupt.js';
import { Refusal } from '../refusal.js';
import { showCheck } from './models.js';

/** Options of `koine models add`. */
export interface ModelsAddOptions {
  checkpoint?: string;
  id?: string;
  layer?: string;
  set?: Record<string, string>;
  licence?: string;
  lineage?: string;
  acceptLicence?: boolean;
  replace?: boolean;
  json?: boolean;
}

/** What `koine models add` is about to do: everything but how it is shown. */
export type PlannedAddition = Omit<ModelAddition, 'onProgress' | 'signal'>;

/**
 * `koine models add WHAT`: exports a potential into the user's model store. WHAT is an id of the catalog, or a family together
 * with a checkpoint.
 */
export async function add(context: Context, what: string, options: ModelsAddOptions): Promise<number> {
  const { console } = context;
  const planned = planAddition(what, options);
  const startedAt = Date.now();
  const interrupt = new AbortController();
  const result = await interruptible(
    () => interrupt.abort(new Refusal(`adding ${planned.id} was cancelled; nothing was added`, EXIT.cancelled)),
    EXIT.cancelled,
    () =>
      addModel(context.settings(), {
        ...planned,
        signal: interrupt.signal,
        onProgress: (line) => console.say(`${planned.id}: ${line}`),
      }),
  ).catch((error: unknown) => {
    if (error instanceof ExportFailed) throw new Refusal(describeFailure(error, what, planned), EXIT.failed);
    if (error instanceof EnvironmentUnavailable) throw new Refusal(error.message, EXIT.failed, { cause: error });
    throw error;
  });
  const { added, folder, card, check } = result;
  if (options.json) {
    console.answer(JSON.stringify({ id: planned.id, added, folder, card, ...check }));
    return added ? EXIT.done : EXIT.failed;
  }
  showCheck(planned.id, check, (line) => console.answer(line));
  console.answer(
    added
      ? `${planned.id} is in ${folder} (${formatSeconds((Date.now() - startedAt) / 1000)}); name it under \`models\` of a spec`
      : `${planned.id} was not added: the export does not do what a koine model must; \`koine models add --help\` shows other layers`,
  );
  return added ? EXIT.done : EXIT.failed;
}

/**
 * @throws Refusal for what is neither in the catalog nor a family, a checkpoint that is not there, a licence not accepted
 * @throws ModelRefused for an unknown id, with the nearest
 */
export function planAddition(what: string, options: ModelsAddOptions): PlannedAddition {
  const { checkpoint, id, layer, set = {}, licence, lineage, replace = false } = options;
  const file = checkpoint === undefined ? undefined : resolve(checkpoint);
  if (file !== undefined && !existsSync(file))
    throw new Refusal(`--checkpoint ${checkpoint}: there is no such file; give a checkpoint in the official format`);
  const stated = { ...(licence === undefined ? {} : { licence }), ...(lineage === undefined ? {} : { lineage }) };

  const family = FAMILIES.find((name) => name === what);
  if (family) {
    if (file === undefined)
      throw new Refusal(
        `'${family}' is a family: give --checkpoint FILE, or one of its ids: ${idsOfFamily(family).join(', ')}`,
      );
    const name = id ?? idOf(family, file);
    const facts = { name, licence: 'not stated (a checkpoint of your own)', lineage: name, ...stated };
    return { id: name, family, weights: { checkpoint: file }, layer, settings: set, facts, replace };
  }

  const entry = catalogEntry(what);
  if (entry.needs_acceptance && !options.acceptLicence)
    throw new Refusal(
      `${entry.id} is under the ${entry.licence}, which ${entry.commercial_use ? 'must be accepted' : 'forbids commercial use'}: read it ` +
        `at its source, ${entry.location}, and add --accept-licence if you agree`,
    );
  return {
    id: id ?? entry.id,
    family: entry.family,
    weights: file === undefined ? { official: entry.official } : { checkpoint: file },
    layer,
    settings: { ...entry.settings, ...set },
    facts: { ...entry, ...stated },
    replace,
  };
}

function idsOfFamily(family: FamilyName): string[] {
  return readModelCatalog().flatMap((entry) => (entry.family === family ? [entry.id] : []));
}

/** `mace` and `runs/My Fine-tune.model` give `mace-my-fine-tune`. */
function idOf(family: FamilyName, file: string): string {
  const stem = basename(file)
    .replace(/\.[^.]*$/, '')
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-');
  return `${family}-${stem}`.slice(0, 100);
}

function describeFailure(error: ExportFailed, what: string, { weights, facts }: PlannedAddition): string {
  const lines = [`${what} could not be exported (${error.code}): ${error.message}`, `  mend: ${error.remedy}`];
  if (error.code === 'weights_unavailable' && 'official' in weights) {
    const { location, weights_file } = facts as CatalogEntry;
    lines.push(`  tried: the official loader, '${weights.official}', which takes it from ${location}`);
    lines.push(
      `  by hand: bring ${weights_file ?? 'the file'} here and give it: koine models add ${what} --checkpoint FILE`,
    );
  }
  return lines.join('\n');
}
