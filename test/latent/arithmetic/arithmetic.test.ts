import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  elementSpace,
  evaluateControls,
  evaluateSpace,
  evaluateTransfer,
  predictablePairs,
  summariseScores,
  type SpaceSums,
} from '../../../latent/arithmetic/evaluate.js';
import type { Scores } from '../../../latent/arithmetic/predict.js';
import { mineSubstitutions, type Prototyped, type Substitution } from '../../../latent/arithmetic/substitutions.js';
import { matrix } from '../../../latent/base/matrix.js';
import fixture from '../fixtures/arithmetic.json' with { type: 'json' };

describe('ranks of the true structure against numpy and scipy', () => {
  const { structures, dim } = fixture;
  const compositions = structures.map((elements) => {
    const shares = new Map<number, number>();
    for (const element of elements) shares.set(element, (shares.get(element) ?? 0) + 1 / elements.length);
    return shares;
  });
  const pairs = fixture.pairs.map(([source, target, fromElement, toElement, share]): Substitution => ({
    source,
    target,
    fromElement,
    toElement,
    share,
    prototype: `prototype ${source % 5}`,
  }));

  /** What pooling makes of the atoms of a model: means, sums over elements, sums over elements of each structure. */
  function sumsOf(values: number[]): SpaceSums {
    const means = new Float64Array(structures.length * dim);
    const totals = new Map<number, { count: number; sum: number[] }>();
    const shares: { structure: number; element: number; count: number; sum: number[] }[] = [];
    let atom = 0;
    structures.forEach((elements, structure) => {
      for (const element of elements) {
        const vector = values.slice(atom * dim, ++atom * dim);
        let share = shares.find((one) => one.structure === structure && one.element === element);
        if (!share) shares.push((share = { structure, element, count: 0, sum: Array<number>(dim).fill(0) }));
        const total = totals.get(element) ?? { count: 0, sum: Array<number>(dim).fill(0) };
        totals.set(element, total);
        for (const sums of [share, total]) {
          sums.count++;
          vector.forEach((value, c) => (sums.sum[c] += value));
        }
        vector.forEach((value, c) => (means[structure * dim + c] += value / elements.length));
      }
    });
    const rows = (sums: { sum: number[] }[]) =>
      matrix(Float64Array.from(sums.flatMap(({ sum }) => sum)), sums.length, dim);
    return {
      means: matrix(means, structures.length, dim),
      elements: Int32Array.from(totals.keys()),
      counts: Float64Array.from(totals.values(), ({ count }) => count),
      sums: rows([...totals.values()]),
      shares: {
        structure: Int32Array.from(shares, ({ structure }) => structure),
        element: Int32Array.from(shares, ({ element }) => element),
        count: Int32Array.from(shares, ({ count }) => count),
        sums: rows(shares),
      },
    };
  }
  const [a, b] = [fixture.atoms.a, fixture.atoms.b].map((values) => elementSpace(sumsOf(values), compositions));

  function expectScores(scores: Scores, reference: typeof fixture.offset): void {
    expect([...scores.rank]).toEqual(reference.rank);
    reference.relative_error.forEach((error, at) => {
      if (error === null) expect(scores.relativeError[at]).toBeNaN();
      else expect(Math.abs(scores.relativeError[at] - error)).toBeLessThan(1e-9);
    });
    const figures = new Map(
      summariseScores(scores, pairs, 40, 1).map(({ metric, interval }) => [metric, interval.value]),
    );
    for (const metric of ['hit_1', 'hit_10', 'mrr'] as const)
      expect(figures.get(metric)).toBeCloseTo(reference[metric], 12);
  }

  test('every pair of the fixture is one that can be predicted', () => {
    expect(predictablePairs(pairs, compositions)).toEqual(pairs);
  });

  test.each(['offset', 'no_change', 'composition_mean'] as const)('%s', async (predictor) => {
    const scores = (await evaluateSpace(a, pairs)).find((one) => one.predictor === predictor)!;
    expectScores(scores, fixture[predictor]);
  });

  test('one-hot vectors, in which many structures are one point', async () => {
    const scores = (await evaluateControls(compositions, pairs, 1)).find(({ predictor }) => predictor === 'one_hot')!;
    expectScores(scores, fixture.one_hot);
  });

  test('offsets of one model applied in another', async () => {
    const both = pairs.map((pair) => ({ inFrom: pair, inTo: pair }));
    expectScores(await evaluateTransfer(a, b, both), fixture.transfer);
  });
});

describe('substitution pairs', () => {
  /** Sites as [element, atoms]; atoms of a site are one orbit. */
  const structure = (materialId: string, spaceGroup: number, sites: [element: number, atoms: number][]): Prototyped => {
    const atomicNumbers = sites.flatMap(([element, atoms]) => Array<number>(atoms).fill(element));
    const orbits: number[] = [];
    for (const [, atoms] of sites) orbits.push(...Array<number>(atoms).fill(orbits.length));
    return { materialId, spaceGroup, atomicNumbers, orbits };
  };
  const crystals = fc
    .uniqueArray(
      fc.record({
        id: fc.stringMatching(/^[a-z]{1,4}$/),
        spaceGroup: fc.constantFrom(0, 2, 225),
        sites: fc.array(fc.tuple(fc.constantFrom(3, 11, 19, 9, 17), fc.constantFrom(1, 2, 4)), {
          minLength: 1,
          maxLength: 3,
        }),
      }),
      { selector: ({ id }) => id, minLength: 1, maxLength: 14 },
    )
    .map((list) => list.map(({ id, spaceGroup, sites }) => structure(id, spaceGroup, sites)));
  const unlimited = { perPrototype: 1e6, pairs: 1e6, seed: 1 };

  /** A pair with names for positions, whichever way round. */
  const named = (list: readonly Prototyped[], { source, target, fromElement, toElement, share }: Substitution) => {
    const ends = [
      `${list[source].materialId} ${fromElement}`,
      `${list[target].materialId} ${toElement}`,
      share.toFixed(9),
    ];
    return JSON.stringify([ends.slice(0, 2).sort(), ends[2]]);
  };

  /** All pairs by trying every renaming of every structure against every other. */
  function bruteForce(list: readonly Prototyped[]): string[] {
    const sitesOf = ({ atomicNumbers, orbits }: Prototyped) => {
      const sites = new Map<number, { element: number; atoms: number }>();
      Array.from(orbits).forEach((orbit, atom) => {
        const site = sites.get(orbit) ?? { element: atomicNumbers[atom], atoms: 0 };
        site.atoms++;
        sites.set(orbit, site);
      });
      return [...sites.values()];
    };
    const found: string[] = [];
    list.forEach((a, i) => {
      list.slice(i + 1).forEach((b) => {
        if (a.spaceGroup === 0 || a.spaceGroup !== b.spaceGroup) return;
        for (const from of new Set(Array.from(a.atomicNumbers)))
          for (const to of new Set(Array.from(b.atomicNumbers))) {
            if (from === to || Array.from(a.atomicNumbers).includes(to) || Array.from(b.atomicNumbers).includes(from))
              continue;
            // Cells of other sizes match when their orbits have the same proportions: a site's share of all atoms.
            const sites = (one: Prototyped, rename: (element: number) => number) =>
              sitesOf(one)
                .map(({ element, atoms }) => `${rename(element)}:${(atoms / one.atomicNumbers.length).toFixed(9)}`)
                .sort()
                .join();
            const same = sites(a, (element) => (element === from ? to : element)) === sites(b, (element) => element);
            if (!same) continue;
            const share = Array.from(a.atomicNumbers).filter((z) => z === from).length / a.atomicNumbers.length;
            found.push(JSON.stringify([[`${a.materialId} ${from}`, `${b.materialId} ${to}`].sort(), share.toFixed(9)]));
          }
      });
    });
    return found.sort();
  }

  test('are all that trying every renaming finds, none twice', () => {
    let pairs = 0;
    fc.assert(
      fc.property(crystals, (list) => {
        const mined = mineSubstitutions(list, unlimited).map((pair) => named(list, pair));
        expect(mined.sort()).toEqual(bruteForce(list));
        pairs += mined.length;
      }),
      { numRuns: 300, seed: 1 },
    );
    expect(pairs).toBeGreaterThan(100); // the structures drawn do have pairs
  });

  test('do not depend on the order of the structures, nor which way round they go, nor which are taken', () => {
    fc.assert(
      fc.property(crystals, fc.array(fc.nat(), { minLength: 14, maxLength: 14 }), (list, keys) => {
        const order = list.map((_, at) => at).sort((a, b) => keys[a] - keys[b] || a - b);
        const shuffled = order.map((at) => list[at]);
        const options = { perPrototype: 2, pairs: 4, seed: 7 };
        const ids = (of: readonly Prototyped[]) =>
          mineSubstitutions(of, options).map(({ source, target, ...pair }) => ({
            ...pair,
            source: of[source].materialId,
            target: of[target].materialId,
          }));
        expect(ids(shuffled)).toEqual(ids(list));
      }),
    );
  });

  test('are bounded for a prototype and in all; another seed takes others', () => {
    const list = [3, 11, 19, 37, 55].flatMap((cation) =>
      [9, 17, 35, 53].flatMap((anion) => [
        structure(`rocksalt-${cation}-${anion}`, 225, [[cation, 1], [anion, 1]]), // prettier-ignore
        structure(`fluorite-${cation}-${anion}`, 225, [[cation, 1], [anion, 2]]), // prettier-ignore
      ]),
    );
    const mine = (perPrototype: number, pairs: number, seed = 1) =>
      mineSubstitutions(list, { perPrototype, pairs, seed });
    const counts = (found: Substitution[]) => {
      const byPrototype = new Map<string, number>();
      for (const { prototype } of found) byPrototype.set(prototype, (byPrototype.get(prototype) ?? 0) + 1);
      return [...byPrototype.values()];
    };
    expect(counts(mine(6, 1000))).toEqual([6, 6]);
    expect(mine(6, 9)).toHaveLength(9);
    const names = (found: Substitution[]) => found.map((pair) => named(list, pair)).sort();
    expect(names(mine(6, 1000, 2))).not.toEqual(names(mine(6, 1000)));
    // The first pairs stay when more are allowed.
    expect(mine(6, 1000).slice(0, 9)).toEqual(mine(6, 9));
  });
});
