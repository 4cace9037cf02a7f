import { decodeStructures } from '../../datasets/tables/structures.js';
import type { PlannedRun } from '../run/openRun.js';

/** Where a structure lies and what its atoms are. */
export interface FoundStructure {
  /** Number of its shard. */
  shard: number;
  /** [n] Z in source order. */
  atomicNumbers: Uint8Array;
}

/** The structures of a snapshot among some ids; only the shards that may hold them are read. */
export async function findStructures(
  run: PlannedRun,
  materialIds: Iterable<string>,
): Promise<Map<string, FoundStructure>> {
  const found = new Map<string, FoundStructure>();
  const read = async ([shard, ids]: [number, Set<string>]) => ({
    shard,
    rows: decodeStructures(await run.get((await run.shard(shard)).key)).filter(({ materialId }) => ids.has(materialId)),
  });
  for await (const { shard, rows } of run.ahead(await run.shardsHolding(materialIds), read)) {
    for (const { materialId, atomicNumbers } of rows)
      found.set(materialId, { shard, atomicNumbers: atomicNumbers.slice() }); // no views that keep a shard alive
    run.work.beat({ found: found.size });
  }
  return found;
}
