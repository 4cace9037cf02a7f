import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { ModelRefused } from './card.js';
import { closestFirst } from '../text/editDistance.js';

/** Families that the exporters know: modules of `models/export/koine_export/families/`. */
export const FAMILIES = ['mace', 'sevennet', 'orb', 'chgnet', 'tensornet', 'nequix', 'mattersim'] as const;
/** One of {@link FAMILIES}. */
export type FamilyName = (typeof FAMILIES)[number];

/** Python environments of the exporters: `models/export/environments/<name>.lock`. */
export const ENVIRONMENTS = ['torch', 'sevennet', 'chgnet', 'matgl', 'nequix', 'mattersim'] as const;
/** One of {@link ENVIRONMENTS}. */
export type EnvironmentName = (typeof ENVIRONMENTS)[number];

/** The environment in which each family's official package lives. */
export const ENVIRONMENT_OF: Readonly<Record<FamilyName, EnvironmentName>> = {
  mace: 'torch',
  orb: 'torch',
  sevennet: 'sevennet',
  chgnet: 'chgnet',
  tensornet: 'matgl',
  nequix: 'nequix',
  mattersim: 'mattersim',
};

/** Atomic numbers as ranges, e.g. `1-83,89-94`. */
const elementRanges = z
  .string()
  .regex(/^\d+(-\d+)?(,\d+(-\d+)?)*$/, 'ranges of atomic numbers, e.g. "1-83,89-94"')
  .transform((text) =>
    text.split(',').flatMap((range) => {
      const [first, last = first] = range.split('-').map(Number) as [number, number?];
      return Array.from({ length: last - first + 1 }, (_, k) => first + k);
    }),
  )
  .refine(
    (elements) => elements.length > 0 && elements.every((z, k) => z >= 1 && z <= 118 && z > (elements[k - 1] ?? 0)),
    {
      message: 'must ascend within 1 to 118',
    },
  );

const entrySchema = z
  .strictObject({
    /** Id of the koine model that `koine models add` makes. */
    id: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,99}$/),
    family: z.enum(FAMILIES),
    name: z.string().min(1),
    /** One of the seven of Li & Walsh, arXiv 2512.05349. */
    paper: z.boolean(),
    /** Name under which the official loader knows the weights. */
    official: z.string().min(1),
    /** Where the official loader takes them from; a page of PyPI where they come inside the package. */
    location: z.url(),
    /** Name of the file there. */
    weights_file: z.string().min(1).nullable(),
    /** SHA-256 of that file, where it has been seen; null otherwise. */
    weights_sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .nullable(),
    environment: z.enum(ENVIRONMENTS),
    /** Layer of the embedding unless the user chooses another, in the family's words; its exporter's default. */
    layer: z.string().min(1),
    /** Further settings of the exporter, e.g. the modality of a multi-fidelity network. */
    settings: z.record(z.string(), z.string()),
    licence: z.string().min(1),
    commercial_use: z.boolean(),
    /** Whether the user must agree to the licence before anything is fetched. */
    needs_acceptance: z.boolean(),
    training_data: z.string().min(1),
    functional: z.string().min(1),
    energy_convention: z.string().min(1).nullable(),
    equivariant: z.boolean(),
    conservative: z.boolean(),
    elements: elementRanges,
    /** Models that share it share weights. */
    lineage: z.string().min(1),
    citation: z.string().min(1),
  })
  .refine((entry) => entry.environment === ENVIRONMENT_OF[entry.family], {
    path: ['environment'],
    message: "must be its family's",
  })
  .refine((entry) => entry.commercial_use || entry.needs_acceptance, {
    path: ['needs_acceptance'],
    message: 'must be true where the licence forbids commercial use',
  });

/** What is known about a published potential before it is exported. */
export type CatalogEntry = z.output<typeof entrySchema>;

/** Schema of `models/catalog.json`. */
export const catalogSchema = z.array(entrySchema).superRefine((entries, context) => {
  const ids = entries.map(({ id }) => id);
  for (const [index, id] of ids.entries())
    if (ids.indexOf(id) !== index)
      context.addIssue({ code: 'custom', path: [index, 'id'], message: `'${id}' is there twice` });
});

/** Path of `models/catalog.json`. */
export const CATALOG_FILE = join(modelsFolder(), 'catalog.json');

/** The potentials that `koine models add` knows by name. */
export function readModelCatalog(): CatalogEntry[] {
  return catalogSchema.parse(JSON.parse(readFileSync(CATALOG_FILE, 'utf8')));
}

/** @throws ModelRefused with the nearest ids */
export function catalogEntry(id: string, catalog: readonly CatalogEntry[] = readModelCatalog()): CatalogEntry {
  const entry = catalog.find((candidate) => candidate.id === id);
  if (entry) return entry;
  const near = closestFirst(
    id,
    catalog.map((candidate) => candidate.id),
  ).slice(0, 5);
  throw new ModelRefused(
    `models/catalog: there is no '${id}' in the catalog; nearest are ${near.join(', ')}. \`koine models list\` shows all; ` +
      'for a checkpoint of your own give its family and --checkpoint FILE',
  );
}

/** `models/` of the package, from the sources or from `dist/`: JSON and Python are not compiled. */
export function modelsFolder(): string {
  const here = fileURLToPath(new URL('.', import.meta.url));
  return here.replace(/[/\\]dist[/\\]models[/\\]$/, '/models/');
}
