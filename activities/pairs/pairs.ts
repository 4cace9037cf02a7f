import { digestJson } from '../../datasets/digest.js';
import type { PairPlace } from '../../datasets/keys.js';
import type { ModelParts, PlanDocument, RunRef } from '../run/documents.js';
import type { Work } from '../engine/heartbeat.js';
import { modelParts } from '../project/project.js';
import type { Runs } from '../run/runs.js';

/** Two models of a run, in the order of the spec. */
export interface Pair {
  a: ModelParts;
  b: ModelParts;
  /** Structures that at least one of the two could not embed. */
  excluded: Set<string>;
}

/** Names of pair `item`: (0,1), (0,2), ..., (1,2), ... */
export function pairNames(plan: PlanDocument, item: number): [a: string, b: string] {
  let rest = item;
  for (let i = 0; i < plan.models.length; i++) {
    const partners = plan.models.length - 1 - i;
    if (rest < partners) return [plan.models[i].id, plan.models[i + 1 + rest].id];
    rest -= partners;
  }
  throw new RangeError(`activities: ${plan.models.length} models have no pair ${item}`);
}

/** Pair `item` of a run with what both models have. */
export async function readPair(
  runs: Runs,
  run: RunRef,
  plan: PlanDocument,
  item: number,
  basis: string,
  work: Work,
): Promise<Pair> {
  const [a, b] = await Promise.all(pairNames(plan, item).map((name) => modelParts(runs, run, basis, name, work)));
  const excluded = new Set([...a.quarantine, ...b.quarantine].map((row) => row.material_id));
  return { a, b, excluded };
}

/** Where the tables of a pair lie. */
export function pairPlace(plan: PlanDocument, basis: string, params: string, a: ModelParts, b: ModelParts): PairPlace {
  return { snapshot: plan.snapshot.snapshot, basis, params, modelA: a.model, modelB: b.model };
}

/** Key of a pair's receipts: the place, since parts are published there, and the digests of both models' coordinates. */
export function pairKey(plan: PlanDocument, basis: string, params: string, a: ModelParts, b: ModelParts): string {
  return digestJson({ ...pairPlace(plan, basis, params, a, b), a: a.digest, b: b.digest });
}
