import type { ModelCard } from '../../models/card.js';
import {
  buildGroup,
  groupStructures,
  type BatchBudget,
  type BuiltGroup,
  type Crystal,
} from '../../models/graphBatch.js';

/** All batches of a list of structures, group by group, on the calling thread. */
export function* builtGroups(
  structures: readonly Crystal[],
  card: ModelCard,
  budget: BatchBudget,
): Generator<BuiltGroup> {
  const { groups, rejections } = groupStructures(structures, card, budget);
  if (rejections.length > 0) yield { batches: [], rejections };
  for (const group of groups) {
    yield buildGroup(
      group.map((index) => structures[index]),
      group,
      card,
      budget,
    );
  }
}
