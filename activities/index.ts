import { addTally, emptyTally, type StoreRequests } from '../config/tally.js';
import { countRequests } from '../datasets/store/requestCounts.js';
import { basisStage, nominateStage, summariseStage } from './basis/basis.js';
import { rankAtomsStage } from './basis/policies.js';
import { statisticsStage } from './basis/statistics.js';
import { diagnosticStages } from './diagnostics/diagnostics.js';
import { scoredStage } from './diagnostics/scored.js';
import { embeddedStage } from './embed/embedded.js';
import { embedStage } from './embed/embed.js';
import { asFailure } from './engine/failures.js';
import { withHeartbeat, type Work } from './engine/heartbeat.js';
import { gatherStage } from './selection/gather.js';
import { selectStage } from './selection/select.js';
import { similarityStage } from './pairs/similarity.js';
import { transportStage } from './pairs/transport.js';
import { planStage } from './plan/plan.js';
import { anchorVectorsStage } from './project/anchorVectors.js';
import { projectStage } from './project/project.js';
import { projectedStage } from './project/projected.js';
import { publishStage } from './publish/publish.js';
import { runRecordStage } from './publish/runRecord.js';
import type { FanOutStage, ItemTask, RangeTask, Tally } from './run/documents.js';
import { itemRunner, type StageRunner } from './run/itemStage.js';
import { RunMemory, type ActivityDependencies } from './run/openRun.js';
import { mergeStage } from './snapshot/merging.js';
import { placeStage } from './snapshot/placing.js';
import { readStage } from './snapshot/reading.js';
import { scanStage } from './snapshot/scanning.js';
import { snapshotStage } from './snapshot/snapshot.js';
import { mapWindow, REQUESTS_AT_ONCE } from '../datasets/store/window.js';

export type * from './run/documents.js';

/** What an activity asked of stores, beside its result. */
export interface Counted {
  requests: StoreRequests;
}

/** A stage's function as an activity: the engine supplies the work (signal, cursor, heartbeat) and counts what it asks of stores. */
type Activity<F> = F extends (...args: [...infer A, Work]) => Promise<infer R>
  ? (...args: A) => Promise<R extends object ? R & Counted : Counted>
  : never;
type AsActivities<Stage> = { [Name in keyof Stage]: Activity<Stage[Name]> };

/** Every stage that has items. */
function stageRunners(memory: RunMemory): { [S in FanOutStage]: StageRunner<S> } {
  return {
    scan: scanStage(memory),
    read: readStage(memory),
    merge: itemRunner(memory, mergeStage),
    place: itemRunner(memory, placeStage),
    embed: itemRunner(memory, embedStage),
    embedded: itemRunner(memory, embeddedStage),
    statistics: itemRunner(memory, statisticsStage),
    rankAtoms: itemRunner(memory, rankAtomsStage),
    summarise: itemRunner(memory, summariseStage),
    nominate: itemRunner(memory, nominateStage),
    project: itemRunner(memory, projectStage),
    projected: itemRunner(memory, projectedStage),
    select: itemRunner(memory, selectStage),
    gather: itemRunner(memory, gatherStage),
    similarity: itemRunner(memory, similarityStage),
    transport: itemRunner(memory, transportStage),
    ...diagnosticStages(memory),
    scored: itemRunner(memory, scoredStage),
  };
}

/** All stages over one memory of documents: plain functions that need no engine. */
export function createStages(dependencies: ActivityDependencies) {
  const memory = new RunMemory(dependencies);
  const runners = stageRunners(memory);
  const items = Object.fromEntries(Object.entries(runners).map(([stage, { run }]) => [stage, run])) as {
    [S in FanOutStage]: (task: ItemTask<S>, work: Work) => Promise<Tally>;
  };
  return {
    ...items,
    ...snapshotStage(memory),
    ...planStage(memory),
    ...basisStage(memory),
    ...anchorVectorsStage(memory),
    ...publishStage(memory),
    ...runRecordStage(memory),

    /** Looks up all items of a range, many at once: what is there already, and which items are still to do. */
    async reuse({ input, start, end }: RangeTask, work: Work): Promise<{ tally: Tally; missing: number[] }> {
      const { reuse } = runners[input.stage] as StageRunner<FanOutStage>;
      const tally = emptyTally();
      const missing: number[] = [];
      const items = Array.from({ length: end - start }, (_, i) => start + i);
      const lookUp = async (item: number) => {
        const found = await reuse({ ...input, item }, work);
        work.beat({ item });
        return { item, found };
      };
      for (const { item, found } of await mapWindow(items, REQUESTS_AT_ONCE, lookUp, work.signal)) {
        if (found) addTally(tally, found);
        else missing.push(item);
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
        const { result, counts } = await countRequests(() =>
          withHeartbeat((work) => (stage as (...args: unknown[]) => Promise<object | undefined>)(...args, work)),
        );
        return { ...result, requests: counts };
      } catch (error) {
        throw asFailure(error);
      }
    },
  ]);
  return Object.fromEntries(activities) as Activities;
}
