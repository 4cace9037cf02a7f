import type { PlannedRun } from '../run/openRun.js';
import { diagnosticIndex } from './diagnosticIndex.js';

/** A label of the run: per atom, by position of the structure in the index. */
export interface IndexedLabel {
  name: string;
  values: ReadonlyMap<number, number>;
}

/** The labels of the structures that diagnostics look at; read once a process, since a label may tell of the whole database. */
export function labelsOf(run: PlannedRun): Promise<IndexedLabel[]> {
  return run.once('labels', async () => {
    const { structures } = await diagnosticIndex(run);
    return Promise.all(
      run.plan.labels.map(async ({ name, document }) => {
        const known = JSON.parse(Buffer.from(await run.get(document)).toString('utf8')) as Record<string, number>;
        const { per } = run.spec.diagnostics.stitching.labels.find((label) => label.name === name)!;
        const values = new Map<number, number>();
        structures.forEach(({ materialId, atomicNumbers }, position) => {
          if (Object.hasOwn(known, materialId))
            values.set(position, known[materialId] / (per === 'structure' ? atomicNumbers.length : 1));
        });
        return { name, values };
      }),
    );
  });
}
