import { digestJson } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import type { PartEntry } from '../../datasets/manifest.js';
import { findReceipt, writeReceipt } from '../../datasets/receipts.js';
import { MERGE_FAN_IN } from '../../config/names.js';
import { tallyOf, type Tally, type ItemTask, type PlanDocument, type RunRef } from '../run/documents.js';
import { referenceRows } from './anchorRows.js';
import { embedReceipt } from '../embed/embed.js';
import { invalidInput } from '../engine/failures.js';
import type { Work } from '../engine/heartbeat.js';
import type { Runs } from '../run/runs.js';

interface StatisticsReceipt {
  outputs: { moments: PartEntry | null };
}

/** The statistics stage, of the reference model: a tree that merges partial moments, {@link MERGE_FAN_IN} at a time, always in shard order. */
export function statisticsStage(runs: Runs) {
  return {
    /** Merges group `item` of level `argument`; level 0 merges shards, level l merges groups of level l - 1. */
    async statistics({ run, model, item, argument }: ItemTask, work: Work): Promise<Tally> {
      const plan = await runs.plan(run);
      const { id } = runs.planned(plan, model);
      const level = Number(argument);
      const store = runs.store(run);
      const key = groupKey(run, id, level, item);
      if (await findReceipt<StatisticsReceipt>(store, 'statistics', key, work)) return tallyOf({ reused: 1 });
      if (work.lookupOnly) return tallyOf({ done: 0 });

      const inputs = groupsAt(plan, level - 1);
      const parts: Uint8Array[] = [];
      for (let i = item * MERGE_FAN_IN; i < Math.min(inputs, (item + 1) * MERGE_FAN_IN); i++) {
        const moments =
          level === 0
            ? await shardMoments(runs, run, id, i, work)
            : await groupMoments(runs, run, id, level - 1, i, work);
        if (moments) parts.push(moments);
      }
      let moments: PartEntry | null = null;
      if (parts.length > 0) {
        const merged = await runs.deps.compute.call('mergeMoments', parts, { signal: work.signal });
        moments = await runs.putPart(run, keys.moments, merged, 1, work);
      }
      await writeReceipt<StatisticsReceipt>(store, 'statistics', key, { outputs: { moments } }, work);
      return tallyOf({});
    },
  };
}

/** The moments of a shard of the reference model: those that embedding it left, or of its rows from `basis.sources` alone. */
async function shardMoments(runs: Runs, run: RunRef, model: string, item: number, work: Work) {
  const plan = await runs.plan(run);
  if (plan.spec.basis.sources.length === 0) {
    const { moments } = (await embedReceipt(runs, run, plan, model, item, work)).outputs;
    return moments && runs.store(run).get(moments.key, work);
  }
  const rows = await referenceRows(runs, { run, item }, work);
  return rows && runs.deps.compute.call('moments', { x: rows.vectors, dim: rows.dim }, work);
}

async function groupMoments(runs: Runs, run: RunRef, model: string, level: number, group: number, work: Work) {
  const { moments } = (await groupReceipt(runs, run, model, level, group, work)).outputs;
  return moments && runs.store(run).get(moments.key, work);
}

/** The moments of all rows of the reference model that a basis is fitted on. @throws when there are none: a final failure where `basis.sources` is why */
export async function mergedMoments(runs: Runs, run: RunRef, model: string, work: Work): Promise<PartEntry> {
  const plan = await runs.plan(run);
  let level = 0;
  while (groupsAt(plan, level) > 1) level++;
  const { moments } = (await groupReceipt(runs, run, model, level, 0, work)).outputs;
  if (!moments) {
    const { sources } = plan.spec.basis;
    if (sources.length > 0)
      throw invalidInput(
        `basis.sources: no structure that '${model}' embedded is from ${sources.join(' or ')}; table structures has their sources`,
      );
    throw new Error(`activities: model ${model} embedded no structure; there is nothing to fit a basis on`);
  }
  return moments;
}

/** Number of groups at a level; level -1 are the shards. */
function groupsAt(plan: PlanDocument, level: number): number {
  return Math.ceil(plan.snapshot.shards / MERGE_FAN_IN ** (level + 1));
}

function groupKey(run: RunRef, model: string, level: number, group: number): string {
  return digestJson({ plan: run.document, model, level, group });
}

async function groupReceipt(runs: Runs, run: RunRef, model: string, level: number, group: number, work: Work) {
  const key = groupKey(run, model, level, group);
  const receipt = await findReceipt<StatisticsReceipt>(runs.store(run), 'statistics', key, work);
  if (!receipt) throw new Error(`activities: statistics of ${model}, level ${level}, group ${group} are missing`);
  return receipt;
}
