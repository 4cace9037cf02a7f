import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anchorQuality } from '../../../latent/basis/anchorQuality.js';
import { compareAtoms, type AtomId } from '../../../latent/base/atomId.js';
import type { LeafFeatures } from '../../../latent/basis/birch.js';
import { direct } from '../../../latent/basis/direct.js';
import {
  clusterLeaves,
  decodeCentres,
  encodeCentres,
  summariseShard,
  MOST_LEAVES,
  type AnchorCentres,
  type ClusterOptions,
} from '../../../latent/basis/leafClusters.js';
import {
  chooseAnchors,
  nominate,
  nominateReplacements,
  TIE_TOLERANCE,
  type Nomination,
} from '../../../latent/basis/nomination.js';
import { matrix } from '../../../latent/base/matrix.js';
import { mergeMoments, momentsOf } from '../../../latent/statistics/moments.js';
import { applyDirectProjection, fitDirectProjection } from '../../../latent/basis/pca.js';
import { normalFrom, seededRandom } from '../../../latent/base/random.js';
import fixtures from '../fixtures/anchors.json' with { type: 'json' };
import { mixtureRows } from '../randomRows.js';

const fixture = fixtures.direct;
const idOf = (row: number): AtomId => ({ materialId: `m-${Math.floor(row / 8)}`, atomIndex: row % 8 });
const idsOf = (rows: number[]) => ({
  materialIds: rows.map((row) => idOf(row).materialId),
  atomIndices: rows.map((row) => idOf(row).atomIndex),
});
const range = (first: number, end: number): number[] => Array.from({ length: end - first }, (_, i) => first + i);

/** DIRECT as an orchestrator runs it: every step by shards of consecutive rows; returns global row numbers. */
async function shardedDirect(
  x: Float32Array,
  n: number,
  dim: number,
  k: number,
  shards: number,
  options: ClusterOptions = {},
) {
  const cuts = range(0, shards + 1).map((i) => Math.floor((i * n) / shards));
  const parts = range(0, shards).map((i) => ({
    first: cuts[i],
    n: cuts[i + 1] - cuts[i],
    x: x.subarray(cuts[i] * dim, cuts[i + 1] * dim),
  }));
  const projection = fitDirectProjection(
    mergeMoments(await Promise.all(parts.map((part) => momentsOf(part.x, part.n, dim)))),
  );
  const shardRows = await Promise.all(
    parts.map(async ({ first, n, x }) => ({
      projected: await applyDirectProjection(projection, x, n),
      n,
      ids: idsOf(range(first, first + n)),
    })),
  );
  let threshold = options.threshold ?? 0.3;
  for (;;) {
    const result = clusterLeaves(
      shardRows.map((shard) => summariseShard(shard.projected, shard.n, projection.p, { threshold })),
      k,
      { ...options, threshold },
    );
    if (result.status === 'refit') {
      threshold = result.threshold;
      continue;
    }
    const globalRows = (nominations: Nomination[], i: number) =>
      nominations.map((nomination) => ({ ...nomination, row: nomination.row + cuts[i] }));
    const nominations = await Promise.all(
      shardRows.map(async (shard, i) => globalRows(await nominate(shard, result.centres), i)),
    );
    let anchors = chooseAnchors(nominations, k);
    while (anchors.includes(null))
      anchors = chooseAnchors(
        shardRows.map((shard, i) => globalRows(nominateReplacements(shard, result.centres, anchors), i)),
        k,
        anchors,
      );
    const projected = Float64Array.from(shardRows.flatMap((shard) => [...shard.projected]));
    return { rows: anchors.map((anchor) => anchor!.row), threshold, projected: matrix(projected, n, projection.p) };
  }
}

describe('DIRECT in memory', () => {
  test.each(fixture.cases)(
    "chooses maml's anchors in maml-compat: $k of threshold $threshold",
    async ({ k, threshold, finalThreshold, leaves, selected }) => {
      const result = await direct(Float64Array.from(fixture.x), fixture.n, fixture.dim, k, {
        threshold,
        centre: 'maml-compat',
      });
      const taken = new Set(result.rows);
      for (const ties of selected) expect(ties.filter((row) => taken.has(row))).toEqual([ties[0]]);
      expect(taken.size).toBe(selected.length);
      expect(result.threshold).toBeCloseTo(finalThreshold, 14);
      expect(result.centres.leafLabels.length).toBe(leaves);
    },
  );

  test('centroids of whole clusters lie nearer to their atoms than the last leaves do', async () => {
    const x = mixtureRows(4000, 16, 12, 0.4, 8);
    const distances = await Promise.all(
      (['cluster-centroid', 'maml-compat'] as const).map(async (centre) => {
        const { rows, projection } = await direct(x, 4000, 16, 20, { centre });
        const projected = matrix(await applyDirectProjection(projection, x, 4000), 4000, projection.p);
        return anchorQuality(projected, rows, new Int32Array(4000)).meanDistance;
      }),
    );
    expect(distances[0]).toBeLessThan(distances[1]);
  });

  test('anchors are distinct, also when every atom must become one', async () => {
    const x = mixtureRows(60, 6, 5, 0.5, 2);
    for (const k of [1, 30, 59, 60]) {
      const { rows } = await direct(x, 60, 6, k);
      expect(new Set(rows).size).toBe(k);
    }
  });

  test('fewer distinct points than anchors is an error that says how many there are, not an endless loop', async () => {
    const few = mixtureRows(9, 4, 3, 0.5, 4);
    const repeated = Float32Array.from(range(0, 50).flatMap(() => [...few]));
    await expect(direct(repeated, 450, 4, 10)).rejects.toThrow(
      /only 9 distinct points at threshold .*; 10 anchors need at least 10/,
    );
    expect((await direct(repeated, 450, 4, 9)).rows.length).toBe(9);
  });
});

describe('distributed DIRECT', () => {
  const [n, dim, k] = [12_000, 24, 100];
  const x = mixtureRows(n, dim, 40, 0.35, 77);
  const numbers = Int32Array.from({ length: n }, () => 1);

  test('one shard gives the anchors of the single machine', async () => {
    const { rows, threshold } = await direct(x, n, dim, k, { ids: idsOf(range(0, n)) });
    const one = await shardedDirect(x, n, dim, k, 1);
    expect(one.rows).toEqual([...rows]);
    expect(one.threshold).toBe(threshold);
  });

  test('7 and 64 shards cover as the single machine does: coverage within 0.02, mean distance within 0.01', async () => {
    const single = await shardedDirect(x, n, dim, k, 1);
    const reference = anchorQuality(single.projected, single.rows, numbers);
    for (const shards of [7, 64]) {
      const { rows, projected } = await shardedDirect(x, n, dim, k, shards);
      const quality = anchorQuality(projected, rows, numbers);
      expect(Math.abs(quality.coverage - reference.coverage)).toBeLessThan(0.02);
      expect(Math.abs(quality.meanDistance - reference.meanDistance)).toBeLessThan(0.01);
    }
  });

  test('noise of 1e-6 RMS moves no anchor, although symmetric copies tie up to rounding', async () => {
    const normal = normalFrom(seededRandom(6));
    const copies = mixtureRows(1500, dim, 40, 0.35, 12);
    const original = new Float32Array(4 * copies.length); // four copies of every row, as of a symmetric structure
    for (let row = 0; row < 1500; row++)
      for (let copy = 0; copy < 4; copy++)
        original.set(copies.subarray(row * dim, (row + 1) * dim), (4 * row + copy) * dim);
    const noisy = original.map((value) => value + 1e-6 * normal());
    const before = await shardedDirect(original, 6000, dim, k, 7);
    const after = await shardedDirect(noisy, 6000, dim, k, 7);
    expect(after.rows).toEqual(before.rows);
    expect(before.rows.every((row) => row % 4 === 0)).toBe(true); // of each four copies the one with the smallest id
  });
});

describe('nomination', () => {
  /** Rows on a grid of half the tolerance around three centres, so that ties and near-ties abound. */
  const centres: AnchorCentres = {
    count: 3,
    p: 2,
    centres: Float64Array.of(0, 0, 10, 0, 0, 10),
    leafCentroids: Float64Array.of(0, 0, 10, 0, 0, 10, 0.5, 0.5),
    leafLabels: Int32Array.of(0, 1, 2, 0),
  };

  test('the choice is that of one look at all rows, however they are sharded', async () => {
    const row = fc.record({
      cluster: fc.nat(2),
      steps: fc.integer({ min: 0, max: 6 }),
      id: fc.nat(999),
      shard: fc.nat(6),
    });
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(row, { minLength: 3, maxLength: 60, selector: ({ id }) => id }), async (rows) => {
        const place = ({ cluster, steps }: (typeof rows)[number]) => [
          centres.centres[2 * cluster] + 0.4 + steps * 0.45 * TIE_TOLERANCE,
          centres.centres[2 * cluster + 1],
        ];
        const shards = range(0, 7).map((shard) => rows.filter((one) => one.shard === shard));
        const nominations = await Promise.all(
          shards.map((some) =>
            nominate(
              {
                projected: Float64Array.from(some.flatMap(place)),
                n: some.length,
                ids: idsOf(some.map(({ id }) => id)),
              },
              centres,
            ),
          ),
        );
        const expected = range(0, 3).map((cluster) => {
          const members = rows.filter((one) => one.cluster === cluster);
          const least = Math.min(...members.map(({ steps }) => steps));
          const ties = members.filter(({ steps }) => (steps - least) * 0.45 <= 1).map(({ id }) => idOf(id));
          return ties.sort(compareAtoms)[0];
        });
        fc.pre(expected.every((anchor) => anchor !== undefined));
        const anchors = chooseAnchors(nominations, 3);
        expect(anchors.map((anchor) => ({ materialId: anchor!.materialId, atomIndex: anchor!.atomIndex }))).toEqual(
          expected,
        );
      }),
      { numRuns: 300, seed: 8 },
    );
  });

  test('a row belongs to the cluster of its nearest leaf, not to that of its nearest centre', async () => {
    const lopsided = {
      ...centres,
      leafCentroids: Float64Array.of(0, 0, 10, 0, 0, 10, 9, 1),
      leafLabels: Int32Array.of(0, 1, 2, 0),
    };
    const nominations = await nominate({ projected: Float64Array.of(9, 0.9), n: 1, ids: idsOf([0]) }, lopsided);
    expect(nominations.map(({ centre }) => centre)).toEqual([0]);
  });

  test('centres without a row of their own get the nearest rows that are left, each atom at most once', async () => {
    const shards = [
      { projected: Float64Array.of(0, 0, 0.1, 0), n: 2, ids: idsOf([0, 1]) },
      { projected: Float64Array.of(0.2, 0, 0.3, 0), n: 2, ids: idsOf([2, 3]) },
    ];
    let anchors = chooseAnchors(await Promise.all(shards.map((shard) => nominate(shard, centres))), 3);
    expect(anchors.map((anchor) => anchor?.atomIndex)).toEqual([0, undefined, undefined]);
    const next = () => shards.map((shard) => nominateReplacements(shard, centres, anchors));
    anchors = chooseAnchors(next(), 3, anchors);
    expect(anchors.map((anchor) => anchor?.atomIndex)).toEqual([0, 3, 1]);
    const crowded = chooseAnchors([[0, 1, 2].map((centre) => ({ ...idOf(5), centre, distance: 1, row: 0 }))], 3);
    expect(crowded.map((anchor) => anchor?.atomIndex)).toEqual([5, undefined, undefined]);
    expect(() => chooseAnchors([], 3, crowded)).toThrow('no atom is left for centre 1 of 3');
  });

  test('ids are ordered by code points', () => {
    const ids = ['mp-10', 'mp-9', 'mp-1', '\u{1F4A0}', '\uFFFD', 'é', 'z', 'mp-1'];
    const atoms = ids.map((materialId, atomIndex) => ({ materialId, atomIndex }));
    const bytes = [...atoms].sort(
      (a, b) => Buffer.compare(Buffer.from(a.materialId), Buffer.from(b.materialId)) || a.atomIndex - b.atomIndex,
    );
    expect([...atoms].sort(compareAtoms)).toEqual(bytes);
  });
});

describe('clustering of leaves', () => {
  const random = normalFrom(seededRandom(31));
  const shardLeaves = (rows: number, threshold: number): LeafFeatures =>
    summariseShard(Float64Array.from({ length: rows * 3 }, random), rows, 3, { threshold });

  test('too few leaves ask for a smaller threshold', () => {
    const leaves = shardLeaves(300, 1);
    expect(clusterLeaves([leaves], 100, { threshold: 1 })).toEqual({
      status: 'refit',
      leaves: leaves.count,
      threshold: leaves.count / 100,
    });
  });

  test('leaves beyond the limit are compacted while they stream, and the centres are still means of all rows', () => {
    const [shards, rows, threshold] = [25, 1000, 0.02];
    let [given, sum] = [0, 0];
    const stream = function* () {
      for (let shard = 0; shard < shards; shard++) {
        const leaves = shardLeaves(rows, threshold);
        given += leaves.count;
        sum += leaves.linearSums.reduce((total, value) => total + value, 0);
        yield leaves;
      }
    };
    const result = clusterLeaves(stream(), 1, { threshold });
    expect(given).toBeGreaterThan(2 * MOST_LEAVES);
    expect(result.leaves).toBeLessThanOrEqual(MOST_LEAVES);
    if (result.status !== 'clustered') throw new Error(result.status);
    const total = result.centres.centres.reduce((partial, value) => partial + value, 0);
    expect(total).toBeCloseTo(sum / (shards * rows), 10);
  });

  test('centres survive the trip through bytes', () => {
    const result = clusterLeaves([shardLeaves(200, 0.1)], 20, { threshold: 0.1 });
    if (result.status !== 'clustered') throw new Error(result.status);
    expect(decodeCentres(encodeCentres(result.centres))).toEqual(result.centres);
  });
});
