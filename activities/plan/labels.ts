import { LabelsRefused, readLabels } from '../../structures/labels.js';
import { SourceMissing } from '../../structures/sources.js';
import { canonicalJsonBytes } from '../../datasets/canonicalJson.js';
import { sha256Hex } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import type { PlanDocument } from '../run/documents.js';
import { invalidInput } from '../engine/failures.js';
import type { RequestedRun } from '../run/openRun.js';

/**
 * Reads the labels that a spec names into documents of the run, so that every worker sees the same numbers and keys follow from content.
 * @throws a final failure for a file that cannot be used
 */
export async function storeLabels({ spec, store, work }: RequestedRun): Promise<PlanDocument['labels']> {
  const stored: PlanDocument['labels'] = [];
  for (const { name, path, column } of spec.diagnostics.stitching.labels) {
    try {
      const bytes = canonicalJsonBytes(Object.fromEntries(await readLabels(path, column)));
      const document = keys.labels(sha256Hex(bytes));
      await store.putIfAbsent(document, bytes, work);
      stored.push({ name, document });
    } catch (error) {
      if (error instanceof LabelsRefused || error instanceof SourceMissing)
        throw invalidInput(`diagnostics.stitching.labels '${name}': ${error.message}`);
      throw error;
    }
  }
  return stored;
}
