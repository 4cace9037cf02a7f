import { describe, expect, test } from 'vitest';
import { pairCount, pairNames } from '../../activities/pairs/pairs.js';
import type { PlanDocument } from '../../activities/run/documents.js';

const planOf = (models: readonly string[]) =>
  ({ models: models.map((id) => ({ id })), snapshot: { snapshot: '0123456789abcdef' } }) as PlanDocument;

describe('pairNames', () => {
  test.each([2, 3, 4, 7])('of %d models enumerates every pair once, in the order of the spec', (count) => {
    const models = Array.from({ length: count }, (_, i) => `model-${count - i}`); // not the order of the alphabet
    const wanted = models.flatMap((a, i) => models.slice(i + 1).map((b) => [a, b]));
    expect(wanted.map((_, item) => pairNames(planOf(models), item))).toEqual(wanted);
    expect(wanted).toHaveLength(pairCount(planOf(models)));
  });

  test.each([
    [['a', 'b'], 1],
    [['a'], 0],
    [[], 0],
  ])('of %j has no pair %d', (models, item) => {
    expect(() => pairNames(planOf(models), item)).toThrow(RangeError);
  });
});
