import { digestJson } from '../../datasets/digest.js';
import type { PairPlace } from '../../datasets/keys.js';
import { modelInBasis } from '../project/projected.js';
import type { PlanDocument } from '../run/documents.js';
import type { PlannedRun } from '../run/openRun.js';

/** Number of pairs of a plan. */
export function pairCount({ models }: Pick<PlanDocument, 'models'>): number {
  return (models.length * (models.length - 1)) / 2;
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

/** Where the tables of pair `item` lie. */
export function pairPlace(run: PlannedRun, basis: string, params: string, item: number): PairPlace {
  const [modelA, modelB] = pairNames(run.plan, item);
  return { snapshot: run.snapshot.snapshot, basis, params, modelA, modelB };
}

/** Key of a pair's receipts: the place, since parts are published there, and the digests of what both models have. */
export async function pairKey(run: PlannedRun, basis: string, params: string, item: number): Promise<string> {
  const place = pairPlace(run, basis, params, item);
  const [a, b] = await Promise.all([place.modelA, place.modelB].map((model) => modelInBasis(run, model, basis)));
  return digestJson({ ...place, a: a.digest, b: b.digest });
}
