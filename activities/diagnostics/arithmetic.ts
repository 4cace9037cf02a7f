import type { AnalogiesRow } from '../../datasets/tables/analogies.js';
import type { ArithmeticRow } from '../../datasets/tables/arithmetic.js';
import type { SpaceSums } from '../../latent/arithmetic/evaluate.js';
import type { Substitution } from '../../latent/arithmetic/substitutions.js';
import { elementSymbol } from '../../structures/elements.js';
import { pairNames } from '../pairs/pairs.js';
import type { Space } from '../../config/names.js';
import type { PlannedRun } from '../run/openRun.js';
import { diagnosticStage, itemOfModels, paramsOf } from './diagnostic.js';
import { diagnosticIndex, indexParameters, type DiagnosticIndex } from './diagnosticIndex.js';
import { pooledModel, type PooledModel } from './pool.js';
import { POOLED_SPACES } from './pooling.js';

/** Whether replacing an element is an addition within each model: tables `arithmetic` and `analogies`. */
export const analogiesStage = diagnosticStage({
  stage: 'analogies',
  version: 1,
  item(run, basis, item) {
    const { id: model } = run.plan.models[item];
    return itemOfModels(run, basis, [model], {
      params: arithmeticParams(run),
      compute: () => analogies(run, basis, model),
    });
  },
});

/** Offsets of one model applied in another, both ways: table `arithmetic`. */
export const arithmeticStage = diagnosticStage({
  stage: 'arithmetic',
  version: 1,
  item(run, basis, item) {
    const names = pairNames(run.plan, item);
    return itemOfModels(run, basis, names, {
      params: arithmeticParams(run),
      compute: () => transfers(run, basis, names),
    });
  },
});

function arithmeticParams(run: PlannedRun): string {
  return paramsOf({ ...indexParameters(run), replicates: run.spec.diagnostics.bootstrap });
}

async function analogies(run: PlannedRun, basis: string, model: string) {
  const { seed, bootstrap: replicates } = run.spec.diagnostics;
  const [index, pool] = await Promise.all([diagnosticIndex(run), pooledModel(run, model, basis)]);
  const found = await run.compute('arithmetic', {
    spaces: POOLED_SPACES.map((space) => ({ space, sums: spaceSums(pool, space) })),
    compositions: compositionsOf(index, pool),
    pairs: substitutionsOf(index, pool),
    replicates,
    seed,
  });
  const candidates = Math.max(0, pool.structures.length - 1);
  const arithmetic = found.figures.map(({ interval, ...figure }): ArithmeticRow => ({
    model_a: model,
    model_b: model,
    ...figure,
    ...interval,
    candidates,
    seed,
  }));
  const rows = found.analogies.map(({ pair, ...figures }): AnalogiesRow => {
    const [source, target] = [pair.source, pair.target].map((at) => index.structures[pool.structures[at]]);
    return {
      model,
      analogy: describe(source.formula, pair, target.formula),
      source_material_id: source.materialId,
      target_material_id: target.materialId,
      from_element: pair.fromElement,
      to_element: pair.toElement,
      share: pair.share,
      space_group: source.spaceGroup,
      ...figures,
      candidates,
    };
  });
  return { arithmetic, analogies: rows };
}

async function transfers(run: PlannedRun, basis: string, names: readonly [string, string]) {
  const { seed, bootstrap: replicates } = run.spec.diagnostics;
  const index = await diagnosticIndex(run);
  const [a, b] = await Promise.all(names.map((model) => pooledModel(run, model, basis)));
  const rows: ArithmeticRow[] = [];
  for (const [from, to] of [
    [a, b],
    [b, a],
  ]) {
    const found = await run.compute('transferOffsets', {
      from: { sums: spaceSums(from, 'coordinates'), compositions: compositionsOf(index, from) },
      to: { sums: spaceSums(to, 'coordinates'), compositions: compositionsOf(index, to) },
      pairs: index.substitutions.flatMap((pair) => {
        const [inFrom, inTo] = [numbered(pair, from), numbered(pair, to)];
        return inFrom && inTo ? [{ inFrom, inTo }] : [];
      }),
      replicates,
      seed,
    });
    for (const { interval, ...figure } of found)
      rows.push({
        model_a: from.model,
        model_b: to.model,
        space: 'coordinates',
        predictor: 'offset',
        ...figure,
        ...interval,
        candidates: Math.max(0, to.structures.length - 1),
        seed,
      });
  }
  return { arithmetic: rows };
}

/** What arithmetic needs of one space of a model; structures numbered as the model has them. */
function spaceSums(pool: PooledModel, space: Space): SpaceSums {
  const { structure, element, count } = pool.shares;
  return {
    means: pool.means[space],
    elements: pool.elements,
    counts: pool.elementCounts,
    sums: pool.elementSums[space],
    shares: {
      structure: structure.map((position) => pool.at.get(position)!),
      element,
      count,
      sums: pool.shareSums[space],
    },
  };
}

/** Shares of the elements of every structure a model has. */
export function compositionsOf(index: DiagnosticIndex, pool: PooledModel): Map<number, number>[] {
  return Array.from(pool.structures, (position) => {
    const { atomicNumbers } = index.structures[position];
    const shares = new Map<number, number>();
    for (const element of atomicNumbers) shares.set(element, (shares.get(element) ?? 0) + 1 / atomicNumbers.length);
    return shares;
  });
}

/** The substitutions among the structures a model has. */
function substitutionsOf(index: DiagnosticIndex, pool: PooledModel): Substitution[] {
  return index.substitutions.flatMap((pair) => numbered(pair, pool) ?? []);
}

function numbered(pair: Substitution, pool: PooledModel): Substitution | undefined {
  const [source, target] = [pool.at.get(pair.source), pool.at.get(pair.target)];
  return source === undefined || target === undefined ? undefined : { ...pair, source, target };
}

/** `NaCl + 1/2 (K - Na) -> KCl` */
function describe(source: string, { share, fromElement, toElement }: Substitution, target: string): string {
  return `${source} + ${fraction(share)} (${elementSymbol(toElement)} - ${elementSymbol(fromElement)}) -> ${target}`;
}

/** A share of atoms in lowest terms. */
function fraction(share: number): string {
  for (let denominator = 1; denominator <= 1000; denominator++) {
    const numerator = Math.round(share * denominator);
    if (Math.abs(numerator / denominator - share) < 1e-9)
      return denominator === 1 ? String(numerator) : `${numerator}/${denominator}`;
  }
  return share.toFixed(4);
}
