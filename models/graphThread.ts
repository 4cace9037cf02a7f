import { serve, withTransfer } from '../threads/serve.js';
import { batchBuffers, buildGroup, type BatchBudget, type BuiltGroup, type Crystal } from './graphBatch.js';
import type { ModelCard } from './card.js';

/** Argument of `build`: some groups of `groupStructures`. */
export interface BuildCall {
  groups: { structures: Crystal[]; indices: number[] }[];
  card: ModelCard;
  budget: BatchBudget;
}

const tasks = {
  build({ groups, card, budget }: BuildCall): BuiltGroup {
    const built = groups.map(({ structures, indices }) => buildGroup(structures, indices, card, budget));
    const batches = built.flatMap((group) => group.batches);
    const rejections = built.flatMap((group) => group.rejections);
    return withTransfer({ batches, rejections }, batches.flatMap(batchBuffers));
  },
};
/** Tasks of a thread that builds neighbour lists while the inference threads run. */
export type GraphTasks = typeof tasks;

serve(tasks);
