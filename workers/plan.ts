import { previewRun as preview, type RunPreview } from '../activities/plan/preview.js';
import type { RunSpec } from '../config/runSpec.js';
import type { Settings } from '../config/settings.js';
import { DryRunStore } from '../datasets/store/dryRun.js';
import { activityDependencies } from './dependencies.js';

/** What a run of this spec would do. Changes nothing: everything is written to memory over the output. */
export async function previewRun(settings: Settings, spec: RunSpec, replace = false): Promise<RunPreview> {
  const dependencies = activityDependencies(settings);
  const output = new DryRunStore(dependencies.openStore(spec.output));
  const openStore = (url: string) => (url === spec.output ? output : dependencies.openStore(url));
  try {
    const work = { signal: new AbortController().signal, cursor: undefined, beat: () => undefined };
    return await preview({ ...dependencies, openStore }, spec.output, spec, replace, work);
  } finally {
    await dependencies.close();
  }
}
