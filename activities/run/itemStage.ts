import { findReceipt, placePart, writeReceipt, type Receipt } from '../../datasets/receipts.js';
import { tallyOf, type FanOutStage, type ItemTask, type Tally } from './documents.js';
import type { Work } from '../engine/heartbeat.js';
import type { PlannedRun, RequestedRun, RunMemory } from './openRun.js';

/** The run that the items of a stage belong to. */
export type RunOf<S extends FanOutStage> = ItemTask<S>['run'] extends { plan: string } ? PlannedRun : RequestedRun;

/**
 * A stage of a fan-out, said once: what decides the outcome of an item and how it is computed. Running, looking up, previewing,
 * planning and publishing all follow from it, see the functions below.
 */
export interface ItemStage<S extends FanOutStage, Made extends Receipt> {
  readonly stage: S;
  /** Digest of everything that decides the outcome. @throws {NotDone} where a stage before is not done */
  key: (run: RunOf<S>, task: ItemTask<S>) => Promise<string>;
  /** Makes the outputs. @returns what they are, and what it cost where that is counted */
  compute: (run: RunOf<S>, task: ItemTask<S>) => Promise<Computed<Made>>;
  /** Where this run has an output that another run or model made under another key; unchanged where it is not said. */
  placeOf?: (run: RunOf<S>, task: ItemTask<S>, role: string, sha256: string) => string;
  /** What the item adds to the totals of its stage. */
  tally?: (made: Made) => Partial<Tally>;
  /** Receipts of older versions that lack something are none. */
  usable?: (made: Made) => boolean;
}

/** An outcome with what it cost. */
export interface Computed<Made extends Receipt> {
  made: Made;
  cost?: Partial<Tally>;
}

/** Something that an item depends on, or the item itself, is not done yet. */
export class NotDone extends Error {
  override readonly name = 'NotDone';
}

/** The outcome of an item under a key, with its outputs where this run has them; undefined where it is not done. */
async function findUnder<S extends FanOutStage, Made extends Receipt>(
  stage: ItemStage<S, Made>,
  run: RunOf<S>,
  task: ItemTask<S>,
  key: string,
): Promise<{ made: Made; elsewhere: Made } | undefined> {
  const made = await findReceipt<Made>(run.store, stage.stage, key, run.work);
  if (!made || stage.usable?.(made) === false) return undefined;
  const { placeOf } = stage;
  if (!placeOf) return { made, elsewhere: made };
  const outputs = Object.fromEntries(
    Object.entries(made.outputs).map(([role, part]) => [
      role,
      part && { ...part, key: placeOf(run, task, role, part.sha256) },
    ]),
  );
  return { made: { ...made, outputs }, elsewhere: made };
}

/** The outcome of an item, if it is done. */
export async function findItem<S extends FanOutStage, Made extends Receipt>(
  stage: ItemStage<S, Made>,
  run: RunOf<S>,
  task: ItemTask<S>,
): Promise<Made | undefined> {
  return (await findUnder(stage, run, task, await stage.key(run, task)))?.made;
}

/** The outcome of an item of a stage that is over. @throws {NotDone} */
export async function itemMade<S extends FanOutStage, Made extends Receipt>(
  stage: ItemStage<S, Made>,
  run: RunOf<S>,
  task: ItemTask<S>,
): Promise<Made> {
  const made = await findItem(stage, run, task);
  if (!made) throw new NotDone(`activities: item ${task.item} of ${stage.stage} is not done; run again`);
  return made;
}

/** Counts an item that is done and puts its outputs where this run publishes them; undefined where it, or a stage before it, is not done. */
export async function reuseItem<S extends FanOutStage, Made extends Receipt>(
  stage: ItemStage<S, Made>,
  run: RunOf<S>,
  task: ItemTask<S>,
): Promise<Tally | undefined> {
  try {
    return await reuseUnder(stage, run, task, await stage.key(run, task));
  } catch (error) {
    if (error instanceof NotDone) return undefined;
    throw error;
  }
}

async function reuseUnder<S extends FanOutStage, Made extends Receipt>(
  stage: ItemStage<S, Made>,
  run: RunOf<S>,
  task: ItemTask<S>,
  key: string,
): Promise<Tally | undefined> {
  const found = await findUnder(stage, run, task, key);
  if (!found) return undefined;
  const { made, elsewhere } = found;
  await Promise.all(
    Object.entries(made.outputs).map(async ([role, part]) => {
      const source = elsewhere.outputs[role];
      if (part && source) await placePart(run.store, source, part.key, run.work);
    }),
  );
  return tallyOf({ reused: 1, ...stage.tally?.(made) });
}

/** Runs an item: takes what is there, else computes it and leaves a receipt. */
export async function runItem<S extends FanOutStage, Made extends Receipt>(
  stage: ItemStage<S, Made>,
  run: RunOf<S>,
  task: ItemTask<S>,
): Promise<Tally> {
  const key = await stage.key(run, task);
  const reused = await reuseUnder(stage, run, task, key);
  if (reused) return reused;
  const { made, cost } = await stage.compute(run, task);
  await writeReceipt<Made>(run.store, stage.stage, key, made, run.work);
  return tallyOf({ ...stage.tally?.(made), ...cost });
}

/** A stage as the engine sees it. */
export interface StageRunner<S extends FanOutStage> {
  /** Does an item, or takes it from where it is done already. */
  run: (task: ItemTask<S>, work: Work) => Promise<Tally>;
  /** Counts an item that is done; undefined where it is not. Computes nothing. */
  reuse: (task: ItemTask<S>, work: Work) => Promise<Tally | undefined>;
}

/** Runs the items of a stage over a process's memory. */
export function itemRunner<S extends FanOutStage, Made extends Receipt>(
  memory: RunMemory,
  stage: ItemStage<S, Made>,
): StageRunner<S> {
  return {
    run: async (task, work) => runItem(stage, await openRun<S>(memory, task, work), task),
    reuse: async (task, work) => reuseItem(stage, await openRun<S>(memory, task, work), task),
  };
}

async function openRun<S extends FanOutStage>(memory: RunMemory, task: ItemTask<S>, work: Work): Promise<RunOf<S>> {
  const { run } = task;
  return ('plan' in run ? await memory.planned(run, work) : await memory.requested(run, work)) as RunOf<S>;
}
