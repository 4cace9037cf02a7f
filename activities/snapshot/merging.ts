import { compareCodePoints } from '../../text/codePoints.js';
import { digestJson } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import type { QuarantineRow } from '../../datasets/tables/quarantine.js';
import type { MergePlan, ShardEntry } from '../run/documents.js';
import type { ItemStage } from '../run/itemStage.js';
import type { RequestedRun } from '../run/openRun.js';
import type { ChunkIndex } from './chunk.js';

/** Raise it when the same chunks may give other shards. */
const MERGE_VERSION = 1;

/** What merging one page left behind. */
export interface MergeReceipt {
  /** Its shards by number, not yet in their place. */
  outputs: Record<string, ShardEntry>;
  conflicts: QuarantineRow[];
  repetitions: number;
}

/** The merge stage: the blocks of all chunks that reach into one page become its shards. */
export const mergeStage: ItemStage<'merge', MergeReceipt> = {
  stage: 'merge',
  async key(run, { merge, item }) {
    const plan = await run.document<MergePlan>(merge);
    const chunks = (await overlapping(run, plan, item)).map(({ source, key }) => ({ source, key }));
    return digestJson({ version: MERGE_VERSION, sharding: run.spec.shards, ...spanOf(plan, item), chunks });
  },
  tally: ({ outputs, conflicts }) => ({
    structures: Object.values(outputs).reduce((sum, { rows }) => sum + rows, 0),
    quarantined: conflicts.length,
  }),
  async compute(run, { merge, item }) {
    const plan = await run.document<MergePlan>(merge);
    const span = spanOf(plan, item);
    const chunks = await overlapping(run, plan, item);
    const read = await run.many(chunks, async ({ key, source, blocks }) => {
      const [from, to] = [blocks[0].start, blocks[blocks.length - 1].end];
      const bytes = await run.store.getRange(key, from, to, run.work);
      return blocks.map(({ start, end }) => ({ bytes: bytes.slice(start - from, end - from), source }));
    });
    const task = { blocks: read.flat(), ...span, mean: run.spec.shards.structures };
    const { shards, conflicts, repetitions } = await run.compute('mergePage', task);
    const outputs = await run.many(shards, async ({ bytes, rows, ...entry }): Promise<ShardEntry> => ({
      ...(await run.putPart(keys.mergedShard, bytes, rows)),
      ...entry,
    }));
    return { made: { outputs: Object.fromEntries(outputs.entries()), conflicts, repetitions } };
  },
};

/** The shards of a page in order. */
export function shardsInOrder({ outputs }: MergeReceipt): ShardEntry[] {
  return Object.keys(outputs)
    .sort((a, b) => Number(a) - Number(b))
    .map((number) => outputs[number]);
}

/** The ids of a page: above `low`, and up to `high`. */
function spanOf({ borders }: MergePlan, page: number): { low: string; high: string | null } {
  return { low: borders[page - 1] ?? '', high: borders[page] ?? null };
}

/** The chunks that reach into a page, with the blocks of each that do. */
async function overlapping(run: RequestedRun, plan: MergePlan, page: number) {
  const { low, high } = spanOf(plan, page);
  const above = (id: string) => low === '' || compareCodePoints(id, low) > 0;
  const upTo = (id: string) => high === null || compareCodePoints(id, high) <= 0;
  const found = await run.many(plan.chunks, async ({ key, index: indexKey, source }) => {
    const index = await run.document<ChunkIndex>(indexKey);
    const blocks = index.blocks.filter(({ first, last }) => above(last) && upTo(first));
    const concerns = blocks.length > 0 && (index.ids?.some((id) => above(id) && upTo(id)) ?? true);
    return { key, source, blocks: concerns ? blocks : [] };
  });
  return found.filter(({ blocks }) => blocks.length > 0);
}
