import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Settings } from '../config/settings.js';
import { ModelRefused } from '../models/card.js';

/** Where a model of the user's store is made. */
export interface ModelPlace {
  /** Folder that becomes the model. */
  made: string;
  /** Its parent, a store that holds nothing else; for files that are needed meanwhile. */
  aside: string;
}

/**
 * Makes a model beside the user's store and moves it there in one rename, so that the store never holds half of one.
 * @param replace an older model of this id
 * @param make fills `made`; the model is left out when it says false
 * @returns folder of the model in the store
 * @throws ModelRefused if the id is taken and is not to be replaced
 */
export async function placeModel(
  settings: Settings,
  id: string,
  replace: boolean,
  make: (place: ModelPlace) => Promise<boolean>,
): Promise<string> {
  const folder = join(settings.modelsDir, id);
  if (existsSync(folder) && !replace)
    throw new ModelRefused(`${folder} is there already; add --replace to make it anew, or --id for another name`);
  const aside = join(settings.modelsDir, `.making-${randomUUID()}`);
  const made = join(aside, id);
  try {
    await mkdir(made, { recursive: true });
    if (await make({ made, aside })) {
      if (existsSync(folder)) await rename(folder, join(aside, 'replaced'));
      await rename(made, folder);
    }
    return folder;
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}
