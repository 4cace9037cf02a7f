import { existsSync } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import { glob, isDynamicPattern } from 'tinyglobby';
import { BUNDLED_CRYSTALS, type RunSpec } from '../config/runSpec.js';
import type { ModelStore } from '../models/store.js';
import { Refusal } from './refusal.js';

/**
 * What is wrong with a spec beyond its form, as far as this machine can tell in a moment: sources that are not there, models
 * that no store has, cards that are refused. Digests are checked when the run is planned.
 * @param local the work is done on this machine; else folders that are missing here may well be there for the workers
 * @throws Refusal with one line a problem
 */
export async function checkSpec(spec: RunSpec, models: ModelStore, where: string, local: boolean): Promise<void> {
  const checks = [
    ...(local ? spec.source.map(checkSource) : []),
    ...(local || spec.model_store?.every(isHere) ? [checkModels(spec, models)] : []),
  ];
  const problems = (await Promise.all(checks)).flat();
  if (problems.length > 0) throw new Refusal(`${where}: ${problems.length > 1 ? '\n  ' : ''}${problems.join('\n  ')}`);
}

const isRemote = (path: string) => /^[a-z][a-z0-9]*:\/\//i.test(path);
const isHere = (location: string) => isRemote(location) || existsSync(location);

async function checkSource({ path }: RunSpec['source'][number], index: number): Promise<string[]> {
  const field = `source[${index}].path`;
  if (isRemote(path) || path === BUNDLED_CRYSTALS) return [];
  try {
    await access(path, constants.R_OK);
    return [];
  } catch (error) {
    if (isDynamicPattern(path)) {
      const found = await glob(path, { absolute: true });
      return found.length > 0 ? [] : [`${field}: no file matches ${path}; mend the pattern or put the files there`];
    }
    const { code } = error as NodeJS.ErrnoException;
    return [`${field}: ${path} cannot be read (${code}); local paths count from the folder of the spec`];
  }
}

async function checkModels(spec: RunSpec, models: ModelStore): Promise<string[]> {
  const listed = new Map((await models.list()).map((model) => [model.id, model]));
  const stores = models.locationNames.join(', ');
  return spec.models.flatMap((id, index) => {
    const model = listed.get(id);
    if (!model) {
      const known = [...listed.keys()].sort();
      const has = known.length > 0 ? `there are ${known.join(', ')}` : 'there are no models at all';
      return [`models[${index}]: no model '${id}' in ${stores}; ${has}`];
    }
    return 'refused' in model ? [`models[${index}]: ${model.refused}`] : [];
  });
}
