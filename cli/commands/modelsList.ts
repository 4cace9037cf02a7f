import { EXIT } from '../../config/names.js';
import { readModelCatalog, type CatalogEntry } from '../../models/catalog.js';
import type { ListedModel } from '../../models/store.js';
import { openModels } from '../../workers/dependencies.js';
import type { Context } from '../context.js';
import { formatTable } from '../format.js';
import { storesOf, type ModelsOptions } from './models.js';

/** What `koine models list` says about a model: from its card where it is in a store, else from the catalog. */
interface Listing {
  id: string;
  family: string;
  /** `in store`; `available`: koine models add makes it; `refused`: its card or file is wrong. */
  status: 'in store' | 'available' | 'refused';
  /** Store it lies in. */
  location: string | null;
  licence: string | null;
  commercial_use: boolean | null;
  /** One of the seven of Li & Walsh, arXiv 2512.05349. */
  paper: boolean;
  training_data: string | null;
  functional: string | null;
  dim: number | null;
  cutoff_angstrom: number | null;
  elements: number | null;
  parameters: number | null;
  lineage: string | null;
  control: string | null;
  onnx_sha256: string | null;
  /** Why it is refused. */
  message: string | null;
}

/** `koine models list`: the models of the stores, and those of the catalog that could be added. */
export async function list(context: Context, options: ModelsOptions): Promise<number> {
  const catalog = new Map(readModelCatalog().map((entry) => [entry.id, entry]));
  const models = await openModels(context.settings(), storesOf(context, options)).list();
  const stored = new Set(models.map(({ id }) => id));
  const listings = [
    ...models.map((model) => ofStore(model, catalog.get(model.id))),
    ...[...catalog.values()].filter(({ id }) => !stored.has(id)).map(ofCatalog),
  ];
  if (options.json) {
    context.console.answer(JSON.stringify(listings));
    return EXIT.done;
  }
  const lines = formatTable(
    ['model', 'family', 'status', 'commercial', 'licence'],
    listings.map(({ id, family, status, commercial_use, paper, licence }) => [
      paper ? `${id} *` : id,
      family,
      status,
      commercial_use === null ? '?' : commercial_use ? 'yes' : 'no',
      shortened(licence?.replace(/ \(.*/, '') ?? '', 14),
    ]),
  );
  for (const line of lines) context.console.answer(line);
  context.console.answer('* one of the seven of Li & Walsh, arXiv 2512.05349. --json has every column.');
  context.console.answer(
    'Add an available one with `koine models add ID`, your own with `koine models add FAMILY --checkpoint FILE`.',
  );
  for (const { message } of listings) if (message) context.console.say(`refused: ${message}`);
  return EXIT.done;
}

function ofStore(model: ListedModel, entry: CatalogEntry | undefined): Listing {
  const { id, location } = model;
  if ('refused' in model) {
    const known = entry ? ofCatalog(entry) : { ...NOTHING_KNOWN, id };
    return { ...known, status: 'refused', location, message: model.refused };
  }
  const { card } = model;
  return {
    id,
    family: card.family,
    status: 'in store',
    location,
    licence: card.licence,
    commercial_use: card.commercial_use ?? entry?.commercial_use ?? null,
    paper: entry?.paper ?? false,
    training_data: card.training_data,
    functional: card.functional,
    dim: card.embedding.dim,
    cutoff_angstrom: card.cutoff_angstrom,
    elements: card.elements.length,
    parameters: card.parameters,
    lineage: card.lineage,
    control: card.control,
    onnx_sha256: card.onnx_sha256,
    message: null,
  };
}

function ofCatalog(entry: CatalogEntry): Listing {
  const { id, family, licence, commercial_use, paper, training_data, functional, elements, lineage } = entry;
  const known = { id, family, licence, commercial_use, paper, training_data, functional, lineage };
  return { ...NOTHING_KNOWN, ...known, elements: elements.length, status: 'available' };
}

const NOTHING_KNOWN: Listing = {
  id: '',
  family: '',
  status: 'refused',
  location: null,
  licence: null,
  commercial_use: null,
  paper: false,
  training_data: null,
  functional: null,
  dim: null,
  cutoff_angstrom: null,
  elements: null,
  parameters: null,
  lineage: null,
  control: null,
  onnx_sha256: null,
  message: null,
};

function shortened(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
