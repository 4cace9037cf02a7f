import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { solvePositiveDefinite } from '../../../latent/linear/cholesky.js';
import { clusterMeans } from '../../../latent/statistics/clusterBootstrap.js';
import { numberGroups } from '../../../latent/base/groups.js';
import { disagreement } from '../../../latent/diagnostics/disagreement.js';
import { columnScale } from '../../../latent/statistics/columnScale.js';
import { drift } from '../../../latent/diagnostics/drift.js';
import { elementBias } from '../../../latent/diagnostics/elementBias.js';
import { matrix, type Matrix } from '../../../latent/base/matrix.js';
import { novelty, percentile } from '../../../latent/diagnostics/novelty.js';
import { nearestDistances, orbitSpreads } from '../../../latent/diagnostics/orbitSpreads.js';
import { normalFrom, seededRandom } from '../../../latent/base/random.js';
import { groupShare } from '../../../latent/diagnostics/spaceDiagnostics.js';
import { ANCHOR_MAPS, applyMap, inverseProjection } from '../../../latent/maps/anchorMaps.js';
import { HEADS, standardised } from '../../../latent/maps/heads.js';
import { stitch, type StitchedModel } from '../../../latent/maps/stitch.js';
import fixtures from '../fixtures/diagnostics.json' with { type: 'json' };
import { randomRotation, relativeError } from '../randomRows.js';

const rows = (values: number[], columns: number): Matrix<Float64Array> =>
  matrix(Float64Array.from(values), values.length / columns, columns);
const gaussian = (n: number, columns: number, seed: number): Matrix<Float64Array> =>
  matrix(Float64Array.from({ length: n * columns }, normalFrom(seededRandom(seed))), n, columns);

describe('against scikit-learn, scipy and numpy', () => {
  test('Cholesky solves as scipy does, and refuses an indefinite matrix', () => {
    const { a, b, x } = fixtures.system;
    expect(relativeError(solvePositiveDefinite(Float64Array.from(a), 6, Float64Array.from(b), 2), x)).toBeLessThan(
      1e-12,
    );
    expect(() => solvePositiveDefinite(Float64Array.of(1, 2, 2, 1), 2, Float64Array.of(1, 1), 1)).toThrow(
      'not positive definite',
    );
  });

  test('heads predict as Ridge(1e3) and 5 neighbours on standardised columns, a constant one among them', async () => {
    const { train, test: held, y, standardised: wanted, ridge, neighbours } = fixtures.heads;
    const [x, t] = [rows(train, 6), rows(held, 6)];
    expect(relativeError(standardised(t, x).data, wanted)).toBeLessThan(1e-12);
    for (const [name, expected] of Object.entries({ ridge, neighbours })) {
      const head = await HEADS[name as keyof typeof HEADS](standardised(x, x), Float64Array.from(y));
      expect(relativeError(await head(standardised(t, x)), expected)).toBeLessThan(1e-10);
    }
  });

  test('anchor maps are those of pinv and scipy.linalg.orthogonal_procrustes, also between widths', () => {
    const { a, b, rows: x, z, inverse_projection, ...expected } = fixtures.maps;
    for (const [name, fit] of Object.entries(ANCHOR_MAPS))
      expect(
        relativeError(applyMap(fit(rows(a, 5), rows(b, 7)), rows(x, 5)).data, expected[name as keyof typeof expected]),
      ).toBeLessThan(1e-9);
    const back = applyMap(inverseProjection(rows(a, 5)), rows(z, 20));
    expect(relativeError(back.data, inverse_projection)).toBeLessThan(1e-10);
  });

  test('novelty is the mean distance to the nearest of other groups; percentiles count ties half', async () => {
    const { x, reference, groups, reference_groups, novelty: expected, scores, values, percentiles } = fixtures.novelty;
    const found = await novelty(rows(x, 4), rows(reference, 4), 4, groups, reference_groups);
    expect(relativeError(found, expected)).toBeLessThan(1e-12);
    values.forEach((value, i) => expect(percentile(scores, value)).toBeCloseTo(percentiles[i], 12));
  });

  test('disagreement standardises each model and gives a lineage one vote', () => {
    const { models, scores } = fixtures.disagreement;
    const opinions = models.map((values, m) => {
      const coordinates = rows(values, 5);
      return { coordinates, lineage: m === 0 ? 'one' : 'two', ...columnScale(coordinates) };
    });
    expect(relativeError(disagreement(opinions)!, scores)).toBeLessThan(1e-12);
    expect(disagreement(opinions.slice(1))).toBeUndefined();
  });

  test('share of variance between groups, nearest distances, distance and spread of elements', async () => {
    const { x, y, labels, share, bias, nearest } = fixtures.groups;
    expect(groupShare(rows(x, 4), labels)).toBeCloseTo(share, 12);
    expect(relativeError(await nearestDistances(rows(x, 4)), nearest)).toBeLessThan(1e-12);
    const found = elementBias(
      rows(x, 4),
      rows(y, 4),
      labels,
      labels.map((_, row) => row),
      {
        rows: 2,
        replicates: 50,
        seed: 1,
      },
    );
    expect(found.map(({ atomicNumber }) => atomicNumber)).toEqual(bias.map(({ element }) => element));
    bias.forEach(({ distance, spread }, i) => {
      expect(found[i].distance).toBeCloseTo(distance, 12);
      expect(found[i].spread).toBeCloseTo(spread, 12);
    });
  });
});

describe('element bias', () => {
  const options = { rows: 2, replicates: 200, seed: 3 };
  /** 60 atoms of one element in 30 structures; y is x moved by `shift` along every axis, with noise. */
  const pair = (shift: number, seed: number) => {
    const x = gaussian(60, 20, seed);
    const noise = gaussian(60, 20, seed + 1000);
    const y = matrix(
      x.data.map((value, at) => value + shift + 0.5 * noise.data[at]),
      60,
      20,
    );
    const structures = Int32Array.from({ length: 60 }, (_, row) => row >> 1);
    return elementBias(x, y, new Int32Array(60).fill(8), structures, options)[0];
  };

  test('is free of what the sample adds: its interval holds the truth as often as it should', () => {
    for (const shift of [0.05, 0.2]) {
      let held = 0;
      for (let seed = 0; seed < 60; seed++) {
        const { bias, spread } = pair(shift, seed);
        const truth = (shift * Math.sqrt(20)) / spread;
        if (bias!.low! <= truth && truth <= bias!.high!) held++;
      }
      expect(held / 60).toBeGreaterThan(0.85);
    }
  });

  test('is 0 for equal means, though the raw distance is not', () => {
    const found = Array.from({ length: 40 }, (_, seed) => pair(0, seed));
    const mean = (pick: (f: (typeof found)[number]) => number) =>
      found.reduce((sum, one) => sum + pick(one), 0) / found.length;
    expect(mean(({ distance, spread }) => distance / spread)).toBeGreaterThan(0.05);
    expect(mean(({ bias }) => bias!.value)).toBeLessThan(0.03);
  });

  test('does not change when both spaces turn together, and is null without spread', () => {
    const [x, y] = [gaussian(30, 5, 1), gaussian(30, 5, 2)];
    const turn = randomRotation(5, 4);
    const turned = ({ data }: Matrix<Float64Array>) =>
      matrix(
        data.map((_, at) => {
          let sum = 0;
          for (let k = 0; k < 5; k++) sum += data[at - (at % 5) + k] * turn[k * 5 + (at % 5)];
          return sum;
        }),
        30,
        5,
      );
    const labels = Int32Array.from({ length: 30 }, (_, row) => row % 3);
    const each = Int32Array.from({ length: 30 }, (_, row) => row);
    const before = elementBias(x, y, labels, each, options);
    elementBias(turned(x), turned(y), labels, each, options).forEach(({ bias, ownBias }, i) => {
      expect(bias!.value).toBeCloseTo(before[i].bias!.value, 10);
      expect(ownBias!.high).toBeCloseTo(before[i].ownBias!.high!, 10);
    });
    const constant = matrix(new Float64Array(150).fill(1), 30, 5);
    expect(elementBias(constant, constant, labels, each, options)[0]).toMatchObject({ spread: 0, bias: null });
  });

  test('of one structure has no interval; values that are not finite are refused', () => {
    const x = gaussian(4, 3, 1);
    const [one] = elementBias(x, gaussian(4, 3, 2), [1, 1, 1, 1], [7, 7, 7, 7], options);
    expect(one.bias).toMatchObject({ low: null, high: null });
    const bad = matrix(x.data.slice().fill(NaN, 5, 6), 4, 3);
    expect(() => elementBias(x, bad, [1, 1, 1, 1], [0, 1, 2, 3], options)).toThrow('NaN in row 1');
  });
});

describe('bootstrap over clusters', () => {
  test('is wider than one over rows where rows of a cluster are equal', () => {
    const values = Float64Array.from({ length: 200 }, (_, row) => Math.sin(Math.floor(row / 10) * 12.9));
    const width = (labels: number[]) => {
      const [{ low, high }] = clusterMeans([values], numberGroups(labels), 400, 1);
      return high - low;
    };
    const each = Array.from(values.keys());
    expect(width(each.map((row) => Math.floor(row / 10))) / width(each)).toBeGreaterThan(2);
  });

  test('of one cluster has no width; of nothing is refused', () => {
    const [{ value, low, high }] = clusterMeans([[1, 2, 6]], { groups: [0, 0, 0], count: 1 }, 40, 1);
    expect([value, low, high]).toEqual([3, 3, 3]);
    expect(() => clusterMeans([[]], { groups: [], count: 0 }, 40, 1)).toThrow('no rows');
  });
});

describe('orbits', () => {
  test('spread is 0 where equivalent atoms are equal, else the largest distance in the orbit', () => {
    const x = rows([0, 0, 1, 0, 0, 0, 0, 3, 4, 0], 2);
    expect([...orbitSpreads(x, [0, 1, 0, 3, 3])]).toEqual([0, 0, 5, 5]);
    expect(orbitSpreads(x, [0, 1, 2, 3, 4])).toHaveLength(0);
  });
});

describe('novelty', () => {
  test('rises for rows far from all others, whatever the rotation and order of the reference', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1e6 }), async (seed) => {
        const reference = gaussian(50, 3, seed);
        const near = gaussian(20, 3, seed + 1);
        const far = matrix(
          near.data.map((value) => value + 50),
          20,
          3,
        );
        const none = new Int32Array(20).fill(-1);
        const [a, b] = [
          await novelty(near, reference, 5, none, new Int32Array(50)),
          await novelty(far, reference, 5, none, new Int32Array(50)),
        ];
        expect(Math.min(...b)).toBeGreaterThan(Math.max(...a));
      }),
      { numRuns: 10 },
    );
  });

  test('without a reference row of another group is infinite; a percentile of nothing is 0.5', async () => {
    const x = gaussian(3, 2, 1);
    expect([...(await novelty(x, x, 5, [0, 0, 0], [0, 0, 0]))]).toEqual([Infinity, Infinity, Infinity]);
    expect(percentile([], 3)).toBe(0.5);
  });
});

describe('drift', () => {
  const options = { neighbours: 5, rows: 5, replicates: 100, seed: 1 };
  const atomicNumbers = Int32Array.from({ length: 40 }, (_, row) => (row < 20 ? 3 : 8));
  const structures = Int32Array.from({ length: 40 }, (_, row) => row);
  const z = gaussian(40, 6, 1);

  test('of a model with itself is none; of unrelated vectors as far as another atom', async () => {
    const e = gaussian(40, 4, 2);
    const same = await drift({ coordinates: [z, z], embeddings: [e, e], atomicNumbers, structures }, options);
    const value = (found: typeof same, metric: string) =>
      found.find((one) => one.metric === metric && one.element === null)!;
    expect(value(same, 'shift').interval.value).toBe(0);
    expect(value(same, 'rotated_shift').interval.value).toBeLessThan(1e-12);
    expect(value(same, 'shared_neighbours').interval.value).toBe(1);
    const other = gaussian(40, 6, 9);
    const apart = await drift(
      { coordinates: [z, other], embeddings: [e, gaussian(40, 4, 8)], atomicNumbers, structures },
      options,
    );
    expect(value(apart, 'shift').interval.value).toBeGreaterThan(0.85);
    expect(new Set(apart.map(({ element }) => element))).toEqual(new Set([null, 3, 8]));
  });

  test('finds the element that changed, and does not see a rotation of the embeddings', async () => {
    const moved = matrix(
      z.data.map((value, at) => value + (at < 120 ? 0.5 : 0)),
      40,
      6,
    );
    const e = gaussian(40, 4, 2);
    const turn = randomRotation(4, 3);
    const turned = applyMap({ source: new Float64Array(4), weights: turn, target: new Float64Array(4) }, e);
    const found = await drift({ coordinates: [z, moved], embeddings: [e, turned], atomicNumbers, structures }, options);
    const shift = (element: number) =>
      found.find((one) => one.element === element && one.metric === 'shift')!.interval.value;
    expect(shift(8)).toBe(0);
    expect(shift(3)).toBeGreaterThan(0.2);
    expect(found.find(({ metric }) => metric === 'rotated_shift')!.interval.value).toBeLessThan(1e-9);
  });
});

describe('stitching', () => {
  const S = 300;
  const ids = Array.from({ length: S }, (_, s) => `mp-${s}`);
  const hidden = gaussian(S, 6, 1);
  const anchorsOf = (map: Float64Array) => applyMap(mapOf(map), gaussian(30, 6, 2)).data;
  const mapOf = (weights: Float64Array) => ({ source: new Float64Array(6), weights, target: new Float64Array(6) });
  /** A model that sees the hidden vectors turned: coordinates are then the same, embeddings not. */
  const model = (seed: number): StitchedModel => {
    const turn = randomRotation(6, seed);
    const embeddings = applyMap(mapOf(turn), hidden);
    const anchors = Float32Array.from(anchorsOf(turn));
    const a = matrix(Float64Array.from(anchors), 30, 6);
    const unit = (m: Matrix<Float64Array>) =>
      matrix(
        m.data.map((value, at) => value / Math.hypot(...m.data.subarray(at - (at % 6), at - (at % 6) + 6))),
        m.rows,
        6,
      );
    const [u, v] = [unit(embeddings), unit(a)];
    const coordinates = matrix(new Float64Array(S * 30), S, 30);
    for (let s = 0; s < S; s++)
      for (let k = 0; k < 30; k++)
        for (let c = 0; c < 6; c++) coordinates.data[s * 30 + k] += u.data[s * 6 + c] * v.data[k * 6 + c];
    return { coordinates, embeddings, directions: u, anchors };
  };
  const task = {
    compositions: ids.map((_, s) => new Map([[1 + (s % 3), 1]])),
    ids,
    targets: [{ name: 'target', values: Float64Array.from(ids, (_, s) => hidden.data[6 * s] + 2) }],
    centred: false,
    replicates: 50,
    seed: 5,
  };

  test('of two views of one thing costs nothing on coordinates, little by maps, and breaks when anchors are shuffled', async () => {
    const found = await stitch({ ...task, head: model(1), input: model(2) });
    expect(found).toHaveLength(10);
    for (const { method, gap, error, shuffled_error, native_error, mean_error } of found) {
      expect(error).toBeGreaterThan(0);
      expect(native_error).toBeLessThan(mean_error);
      if (method === 'relative') expect(Math.abs(gap!)).toBeLessThan(1e-3);
      // The native head stands on other columns: standardising them is not the same as standardising turned ones.
      else expect(error / native_error).toBeLessThan(1.4);
      expect(shuffled_error).toBeGreaterThan(error);
    }
  });

  test('of a view that holds nothing of the target is no better than the mean', async () => {
    const noise = { ...model(2), coordinates: gaussian(S, 30, 77), embeddings: gaussian(S, 6, 78) };
    for (const { error, mean_error } of await stitch({ ...task, head: model(1), input: noise }))
      expect(error / mean_error).toBeGreaterThan(0.95);
  });

  test('leaves out targets that too few structures have', async () => {
    const values = new Float64Array(S).fill(NaN, 8);
    const both = { ...task, head: model(1), input: model(2), targets: [{ name: 'rare', values }] };
    expect(await stitch(both)).toEqual([]);
  });
});
