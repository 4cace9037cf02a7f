import { addTally, emptyTally } from '../config/tally.js';
import { basisStage } from './basis/basis.js';
import { embedStage } from './embed/embed.js';
import { diagnosticStages } from './diagnostics/diagnostics.js';
import type { RangeTask, Tally } from './run/documents.js';
import { asFailure } from './engine/failures.js';
import { withHeartbeat, type Work } from './engine/heartbeat.js';
import { planStage } from './plan/plan.js';
import { projectStage } from './project/project.js';
import { publishStage } from './publish/publish.js';
import { Runs, type ActivityDependencies } from './run/runs.js';
import { Samples } from './pairs/samples.js';
import { similarityStage } from './pairs/similarity.js';
import { snapshotStage } from './snapshot/snapshot.js';
import { statisticsStage } from './basis/statistics.js';
import { transportStage } from './pairs/transport.js';

export type * from './run/documents.js';

/** Receipts looked up at the same time: hides the latency of S3. */
const LOOKUPS_AT_ONCE = 16;

/** A stage's function as an activity: the engine supplies the work (signal, cursor, heartbeat). */
type Activity<F> = F extends (...args: [...infer A, Work]) => Promise<infer R> ? (...args: A) => Promise<R> : never;
type AsActivities<Stage> = { [Name in keyof Stage]: Activity<Stage[Name]> };

/** All stages over one memory of documents: plain functions that need no engine. */
export function createStages(dependencies: ActivityDependencies) {
  const runs = new Runs(dependencies);
  const samples = new Samples(runs);
  const stages = {
    ...snapshotStage(runs),
    ...planStage(runs),
    ...embedStage(runs),
    ...statisticsStage(runs),
    ...basisStage(runs),
    ...projectStage(runs),
    ...similarityStage(runs, samples),
    ...transportStage(runs, samples),
    ...diagnosticStages(runs),
    ...publishStage(runs),
  };
  return {
    ...stages,

    /** Looks up all items of a range: what is there already, and which items are still to do. */
    async reuse({ stage, start, end, ...task }: RangeTask, work: Work): Promise<{ tally: Tally; missing: number[] }> {
      const lookup = { ...work, lookupOnly: true };
      const tally = emptyTally();
      const missing: number[] = [];
      for (let from = start; from < end; from += LOOKUPS_AT_ONCE) {
        const items = Array.from({ length: Math.min(LOOKUPS_AT_ONCE, end - from) }, (_, i) => from + i);
        const found = await Promise.all(items.map((item) => stages[stage]({ ...task, item }, lookup)));
        found.forEach((one, i) => {
          if (one.done === 0) missing.push(items[i]);
          addTally(tally, one);
        });
        work.beat({ item: from });
      }
      return { tally, missing };
    },
  };
}

type Stages = ReturnType<typeof createStages>;

/** The activities as workflows see them. */
export type Activities = AsActivities<Stages>;

/** The activities of a worker: every stage function with heartbeat, cancellation and errors in the engine's terms. */
export function createActivities(dependencies: ActivityDependencies): Activities {
  const activities = Object.entries(createStages(dependencies)).map(([name, stage]) => [
    name,
    async (...args: unknown[]) => {
      try {
        return await withHeartbeat((work) => (stage as (...args: unknown[]) => Promise<unknown>)(...args, work));
      } catch (error) {
        throw asFailure(error);
      }
    },
  ]);
  return Object.fromEntries(activities) as Activities;
}
