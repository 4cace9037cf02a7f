import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { resampleClusters } from '../../../latent/statistics/clusterBootstrap.js';
import { numberGroups } from '../../../latent/base/groups.js';
import { compositionBaselines } from '../../../latent/diagnostics/compositionBaselines.js';
import { errorPrediction } from '../../../latent/diagnostics/errorPrediction.js';
import { normalFrom, seededRandom } from '../../../latent/base/random.js';
import { FEWEST_CLUSTERS, rankPrediction } from '../../../latent/statistics/rankPrediction.js';
import { quantile } from '../../../latent/statistics/bootstrap.js';
import fixtures from '../fixtures/rankPrediction.json' with { type: 'json' };

/** Every row a cluster of its own. */
const apart = (n: number) => numberGroups(Array.from({ length: n }, (_, row) => row));
const values = (score: ArrayLike<number>, error: ArrayLike<number>) => {
  const found = rankPrediction(score, error, apart(score.length), 0, 1);
  return found && { spearman: found.spearman.value, auroc: found.auroc.value };
};
/** Scores and errors of 20 to 60 rows, with ties. */
const samples = fc
  .array(fc.tuple(fc.integer({ min: -9, max: 9 }), fc.integer({ min: 0, max: 12 })), { minLength: 20, maxLength: 60 })
  .map((rows) => ({ score: rows.map(([score]) => score), error: rows.map(([, error]) => error) }));
/** A noisy score of the errors of `n` rows. */
function noisy(n: number, seed: number): { score: number[]; error: number[] } {
  const normal = normalFrom(seededRandom(seed));
  const error = Array.from({ length: n }, () => Math.abs(normal()));
  return { error, score: error.map((value) => value + normal()) };
}

describe('rank prediction', () => {
  test.each(fixtures.cases.map((one) => [one.score.length, one] as const))(
    'of %i rows is that of scipy.stats.spearmanr and sklearn.metrics.roc_auc_score',
    (_, { score, error, spearman, auroc }) => {
      const found = values(score, error)!;
      expect(found.spearman).toBeCloseTo(spearman, 12);
      expect(found.auroc).toBeCloseTo(auroc, 12);
    },
  );

  test('is the same for any increasing function of score and error', () => {
    fc.assert(
      fc.property(samples, ({ score, error }) => {
        const mapped = values(
          score.map((x) => Math.exp(x / 3) - 5),
          error.map((x) => x ** 3),
        );
        expect(mapped).toEqual(values(score, error));
      }),
    );
  });

  test('of a reversed score is -rho and 1 - AUROC', () => {
    fc.assert(
      fc.property(samples, ({ score, error }) => {
        const [found, reversed] = [
          values(score, error),
          values(
            score.map((x) => -x),
            error,
          ),
        ];
        expect(reversed === undefined).toBe(found === undefined);
        if (!found) return;
        expect(reversed!.spearman).toBeCloseTo(-found.spearman, 12);
        expect(reversed!.auroc).toBeCloseTo(1 - found.auroc, 12);
      }),
    );
  });

  test('of the error itself is 1', () => {
    const { error } = noisy(50, 3);
    expect(values(error, error)).toEqual({ spearman: 1, auroc: 1 });
  });

  test('is nothing where scores or errors are all equal, or so many errors that all are the worst', () => {
    const { score, error } = noisy(30, 1);
    expect(values(score, new Float64Array(30))).toBeUndefined();
    expect(values(new Float64Array(30).fill(2), error)).toBeUndefined();
    expect(values([], [])).toBeUndefined();
  });

  test('refuses numbers without a rank', () => {
    expect(() => values([1, NaN, 2], [1, 2, 3])).toThrow('score NaN of row 1 has no rank');
    expect(() => values([1, 0, 2], [1, 2, Infinity])).toThrow('error Infinity of row 2 has no rank');
  });
});

describe('its intervals', () => {
  test('are those of rows repeated as often as their cluster was drawn', () => {
    const [n, replicates, seed] = [40, 60, 5];
    const { score, error } = noisy(n, 2);
    const clusters = { groups: Int32Array.from({ length: n }, (_, row) => row % 9), count: 9 };
    const drawn = { spearman: [] as number[], auroc: [] as number[] };
    resampleClusters(9, replicates, seed, (_, weights) => {
      const rows = Array.from(clusters.groups).flatMap((cluster, row) => Array<number>(weights[cluster]).fill(row));
      const repeated = values(
        rows.map((row) => score[row]),
        rows.map((row) => error[row]),
      )!;
      drawn.spearman.push(repeated.spearman);
      drawn.auroc.push(repeated.auroc);
    });
    const found = rankPrediction(score, error, clusters, replicates, seed)!;
    for (const metric of ['spearman', 'auroc'] as const) {
      const sorted = Float64Array.from(drawn[metric]).sort();
      expect(found[metric].low).toBeCloseTo(quantile(sorted, 0.025), 12);
      expect(found[metric].high).toBeCloseTo(quantile(sorted, 0.975), 12);
      expect(found[metric].low).toBeLessThan(found[metric].high!);
    }
  });

  test('do not shrink when every row comes five times in its cluster', () => {
    const { score, error } = noisy(60, 4);
    const groups = score.map((_, row) => row % 20);
    const five = <T>(list: T[]) => [...list, ...list, ...list, ...list, ...list];
    const once = rankPrediction(score, error, { groups, count: 20 }, 100, 1);
    expect(rankPrediction(five(score), five(error), { groups: five(groups), count: 20 }, 100, 1)).toEqual(once);
  });

  test('hold chance in about 95 of 100 samples of a score that knows nothing', () => {
    let held = 0;
    const samplesDrawn = 200;
    for (let seed = 0; seed < samplesDrawn; seed++) {
      const normal = normalFrom(seededRandom(1000 + seed));
      // 40 formulas of 3 frames that share most of both.
      const common = Array.from({ length: 40 }, () => [normal(), normal()]);
      const rows = Array.from({ length: 120 }, (_, row) => common[row % 40].map((value) => value + 0.3 * normal()));
      const { spearman } = rankPrediction(
        rows.map(([score]) => score),
        rows.map(([, error]) => Math.exp(error)),
        { groups: rows.map((_, row) => row % 40), count: 40 },
        200,
        seed,
      )!;
      if (spearman.low! <= 0 && spearman.high! >= 0) held++;
    }
    // Rows as if they were independent hold it in 73 %.
    expect(held / samplesDrawn).toBeGreaterThan(0.9);
    expect(held / samplesDrawn).toBeLessThan(0.99);
  });

  test('are left out below five clusters', () => {
    const { score, error } = noisy(40, 6);
    const of = (count: number) =>
      rankPrediction(score, error, { groups: score.map((_, row) => row % count), count }, 50, 1)!.spearman;
    expect(of(FEWEST_CLUSTERS - 1)).toEqual({ value: of(FEWEST_CLUSTERS).value, low: null, high: null });
    expect(of(FEWEST_CLUSTERS).low).not.toBeNull();
  });
});

describe('composition baselines', () => {
  test('are the shares and the city-block distances of scipy, own atoms left out', () => {
    const {
      structures,
      reference_elements: elements,
      reference_structures: owners,
      ...expected
    } = fixtures.composition;
    const all = structures.map((_, position) => position);
    const found = compositionBaselines(structures, all, { elements, structures: owners });
    all.forEach((at) => {
      expect(found.distance[at]).toBeCloseTo(expected.distance[at], 8);
      expect(found.rarity[at]).toBeCloseTo(expected.rarity[at], 12);
    });
  });

  test('equal compositions tie at 0 whatever their size and order', () => {
    const structures = [
      [8, 22, 8, 56, 8],
      [56, 22, 8, 8, 8, 8, 8, 8, 22, 56],
      [22, 8, 56, 8, 8],
    ];
    const reference = { elements: [8, 22, 56], structures: [0, 0, 0] };
    expect([...compositionBaselines(structures, [1, 2], reference).distance]).toEqual([0, 0]);
  });

  test('without another reference structure there is no distance', () => {
    const found = compositionBaselines([[1, 1]], [0], { elements: [1], structures: [0] });
    expect([...found.distance, ...found.rarity]).toEqual([NaN, -Math.log(1)]);
  });
});

describe('error prediction', () => {
  const { score, error } = noisy(60, 8);
  const task = {
    errors: Float64Array.from(error),
    formulas: score.map((_, row) => `F${row % 12}`),
    subsets: [
      { subset: 'all', members: Int32Array.from(score.keys()) },
      { subset: 'few', members: Int32Array.from({ length: 19 }, (_, row) => row) },
      { subset: 'enough', members: Int32Array.from({ length: 20 }, (_, row) => row) },
    ],
    replicates: 40,
    seed: 1,
  };
  const scoreOf = (name: string, numbers: number[]) => ({
    score: name,
    other: null,
    values: Float64Array.from(numbers),
  });

  test('judges subsets from 20 structures on, over the structures that have the score', () => {
    const half = scoreOf(
      'half',
      score.map((value, row) => (row % 2 ? NaN : value)),
    );
    const found = errorPrediction({ ...task, scores: [scoreOf('whole', score), half] });
    expect(found.map((row) => [row.subset, row.score, row.metric, row.n, row.formulas])).toEqual([
      ['all', 'whole', 'spearman', 60, 12],
      ['all', 'whole', 'auroc', 60, 12],
      ['all', 'half', 'spearman', 30, 6],
      ['all', 'half', 'auroc', 30, 6],
      ['enough', 'whole', 'spearman', 20, 12],
      ['enough', 'whole', 'auroc', 20, 12],
    ]);
    expect(found[0].meanError).toBeCloseTo(error.reduce((sum, value) => sum + value, 0) / 60, 12);
    expect(found[0].value).toBe(values(score, error)!.spearman);
  });

  test('says nothing of a score that is the same for all', () => {
    expect(
      errorPrediction({
        ...task,
        scores: [
          scoreOf(
            'constant',
            score.map(() => 1),
          ),
        ],
      }),
    ).toEqual([]);
  });
});
