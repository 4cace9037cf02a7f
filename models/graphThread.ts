import { serve, withTransfer } from '../threads/serve.js';
import { batchBuffers, buildGroup, type BatchBudget, type BuiltGroup, type Crystal } from './graphBatch.js';
import type { ModelCard } from './card.js';

/** Argument of `build`: one group of `groupStructures`. */
export interface BuildCall {
  structures: Crystal[];
  indices: number[];
  card: ModelCard;
  budget: BatchBudget;
}

const tasks = {
  build({ structures, indices, card, budget }: BuildCall): BuiltGroup {
    const group = buildGroup(structures, indices, card, budget);
    return withTransfer(group, group.batches.flatMap(batchBuffers));
  },
};
/** Tasks of a thread that builds neighbour lists while the inference threads run. */
export type GraphTasks = typeof tasks;

serve(tasks);
