import { EXIT } from '../config/names.js';
import { openStore } from '../datasets/store/open.js';
import type { ObjectStore } from '../datasets/store/objectStore.js';
import { Refusal } from './refusal.js';

/** The store that a user names on the command line. @throws Refusal where it names none */
export function openDataset(dataset: string): ObjectStore {
  try {
    return openStore(dataset);
  } catch (error) {
    if (error instanceof RangeError) throw new Refusal(error.message, EXIT.usage, { cause: error });
    throw error;
  }
}
