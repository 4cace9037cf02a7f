import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Settings } from '../config/settings.js';
import { ensureExporterPython } from '../infra/exporterPython.js';
import { parseCard, type ModelCard } from '../models/card.js';
import { ENVIRONMENT_OF, type CatalogEntry, type FamilyName } from '../models/catalog.js';
import { runExporter, type ExportRequest } from '../models/exporter.js';
import { paritySet } from '../models/paritySet.js';
import { extendedXyz } from '../structures/extendedXyz.js';
import { checkModel, type ModelCheck } from './modelCheck.js';
import { placeModel } from './modelPlacement.js';

/** A potential to be exported into the user's model store. */
export interface ModelAddition {
  id: string;
  family: FamilyName;
  weights: ExportRequest['weights'];
  layer?: string | undefined;
  settings: Readonly<Record<string, string>>;
  /** What is known about it; goes to the card before what the exporter knows. */
  facts: Partial<CatalogEntry>;
  /** Replace a model of this id. */
  replace: boolean;
  onProgress: (line: string) => void;
  signal?: AbortSignal;
}

/** An added model, or one that was left out because a check failed. */
export interface AddedModel {
  folder: string;
  card: ModelCard;
  check: ModelCheck;
  /** False: some check failed and nothing was added. */
  added: boolean;
}

/**
 * Exports a potential with its official package and puts it into the user's model store: environment, export, every check of
 * `models/verify.ts`, then one rename, so that the store never holds half a model or one that fails a check.
 * @throws ExportFailed, EnvironmentUnavailable, ModelRefused where the id is taken
 */
export async function addModel(settings: Settings, addition: ModelAddition): Promise<AddedModel> {
  const { id, family, onProgress, signal } = addition;
  let result: Pick<AddedModel, 'card' | 'check' | 'added'> | undefined;
  const folder = await placeModel(settings, id, addition.replace, async ({ made, aside }) => {
    const python = await ensureExporterPython(ENVIRONMENT_OF[family], onProgress);
    signal?.throwIfAborted();
    const structuresFile = join(aside, 'parity.extxyz');
    await writeFile(structuresFile, extendedXyz(paritySet()));
    const entryFile = join(aside, 'entry.json');
    await writeFile(entryFile, JSON.stringify(addition.facts));
    const { weights, layer, settings: familySettings } = addition;
    const request = { python, family, id, weights, layer, settings: familySettings, entryFile, structuresFile };
    await runExporter({ ...request, outputFolder: made, onProgress, signal });

    const card = await completeCard(made, addition);
    onProgress('checking the result');
    const check = await checkModel(settings, id, { stores: [aside], provider: 'cpu' });
    result = { card, check, added: check.checks.every(({ ok }) => ok) };
    return result.added;
  });
  if (!result) throw new Error(`models: '${id}' was neither made nor refused`);
  return { folder, ...result };
}

/** Brings the exporter's card to the present version and adds what only the caller knows. */
async function completeCard(folder: string, { facts }: ModelAddition): Promise<ModelCard> {
  const path = join(folder, 'card.json');
  const written = parseCard(JSON.parse(await readFile(path, 'utf8')), path);
  const card: ModelCard = {
    ...written,
    lineage: facts.lineage ?? written.lineage,
    energy_convention: written.outputs['node_energy'] ? (facts.energy_convention ?? written.energy_convention) : null,
  };
  await writeFile(path, `${JSON.stringify(card, null, 1)}\n`);
  return card;
}
