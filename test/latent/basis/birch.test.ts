import { describe, expect, test } from 'vitest';
import { BirchTree, birchLeaves, concatenateLeaves, decodeLeaves, encodeLeaves } from '../../../latent/basis/birch.js';
import { wardLabels } from '../../../latent/basis/ward.js';
import fixtures from '../fixtures/anchors.json' with { type: 'json' };
import { mixtureRows, relativeError } from '../randomRows.js';

const { birch, ward } = fixtures;
const rows = Float64Array.from(birch.x);

/** The same partition with labels numbered by first appearance. */
const canonical = (labels: number[]): number[] => {
  const numbers = new Map<number, number>();
  return labels.map((label) => numbers.get(label) ?? (numbers.set(label, numbers.size), numbers.size - 1));
};

describe('BIRCH', () => {
  test.each(birch.cases)(
    'leaf entries are those of scikit-learn, in its order: threshold $threshold, branching factor $branchingFactor',
    ({ threshold, branchingFactor, n, linearSums, squareSums }) => {
      const leaves = birchLeaves(rows, birch.n, birch.p, { threshold, branchingFactor });
      expect([...leaves.n]).toEqual(n);
      expect(relativeError(leaves.linearSums, linearSums)).toBeLessThan(1e-12);
      expect(relativeError(leaves.squareSums, squareSums)).toBeLessThan(1e-12);
    },
  );

  test('nothing is lost: counts and sums of the leaves are those of the rows, also when leaves are inserted again', () => {
    const leaves = birchLeaves(rows, birch.n, birch.p, { threshold: 0.1, branchingFactor: 5 });
    const again = new BirchTree(birch.p, { threshold: 0.6, branchingFactor: 5 });
    again.insertLeaves(leaves);
    const compacted = again.leaves();
    expect(compacted.count).toBe(again.leafCount);
    expect(compacted.count).toBeLessThan(leaves.count);
    for (const { n, squareSums } of [leaves, compacted]) {
      expect(n.reduce((sum, value) => sum + value, 0)).toBe(birch.n);
      const square = rows.reduce((sum, value) => sum + value * value, 0);
      expect(Math.abs(squareSums.reduce((sum, value) => sum + value, 0) / square - 1)).toBeLessThan(1e-12);
    }
  });

  test('leaves survive the trip through bytes and concatenate in order', () => {
    const half = (birch.n / 2) * birch.p;
    const options = { threshold: 0.3, branchingFactor: 50 };
    const parts = [rows.subarray(0, half), rows.subarray(half)].map((part) =>
      birchLeaves(part, birch.n / 2, birch.p, options),
    );
    expect(parts.map((part) => decodeLeaves(encodeLeaves(part)))).toEqual(parts);
    const all = concatenateLeaves(parts);
    expect([...all.n]).toEqual([...parts[0].n, ...parts[1].n]);
    expect([...all.linearSums]).toEqual([...parts[0].linearSums, ...parts[1].linearSums]);
  });

  test('impossible parameters are named', () => {
    expect(() => new BirchTree(2, { threshold: -1, branchingFactor: 50 })).toThrow('threshold is -1');
    expect(() => new BirchTree(2, { threshold: 0.1, branchingFactor: 1 })).toThrow(
      'branchingFactor is 1; it must be an integer of at least 2',
    );
    expect(() => birchLeaves(new Float64Array(5), 2, 3, { threshold: 0.1, branchingFactor: 50 })).toThrow(
      '5 values are not 2 rows of 3',
    );
  });
});

describe('Ward', () => {
  const points = Float64Array.from(ward.x);

  test.each(Object.entries(ward.cuts))('the cut into %s clusters is that of scikit-learn', (k, labels) => {
    expect([...wardLabels(points, ward.n, ward.p, Number(k))]).toEqual(canonical(labels));
  });

  test('duplicate points are merged first and every cut has exactly k labels', () => {
    const few = mixtureRows(40, 2, 3, 0.2, 9);
    const doubled = Float64Array.from([...few, ...few]);
    for (const k of [1, 3, 39, 40, 41, 80]) {
      const labels = wardLabels(doubled, 80, 2, k);
      expect(new Set(labels).size).toBe(k);
      if (k <= 40) for (let i = 0; i < 40; i++) expect(labels[i]).toBe(labels[i + 40]);
    }
  });

  test('a cut into more clusters than points is refused', () => {
    expect(() => wardLabels(points, ward.n, ward.p, 261)).toThrow('cannot cut 260 points into 261 clusters');
  });
});
