import { describe, expect, test } from 'vitest';
import type { ModelParts, PlanDocument } from '../../activities/run/documents.js';
import { pairKey, pairNames } from '../../activities/pairs/pairs.js';

const planOf = (models: readonly string[]) =>
  ({ models: models.map((id) => ({ id })), snapshot: { snapshot: '0123456789abcdef' } }) as PlanDocument;

describe('pairNames', () => {
  test.each([2, 3, 4, 7])('of %d models enumerates every pair once, in the order of the spec', (count) => {
    const models = Array.from({ length: count }, (_, i) => `model-${count - i}`); // not the order of the alphabet
    const wanted = models.flatMap((a, i) => models.slice(i + 1).map((b) => [a, b]));
    expect(wanted.map((_, item) => pairNames(planOf(models), item))).toEqual(wanted);
    expect(wanted).toHaveLength((count * (count - 1)) / 2);
  });

  test.each([
    [['a', 'b'], 1],
    [['a'], 0],
    [[], 0],
  ])('of %j has no pair %d', (models, item) => {
    expect(() => pairNames(planOf(models), item)).toThrow(RangeError);
  });
});

describe('pairKey', () => {
  const [a, b] = ['a', 'b'].map((model) => ({ model, digest: `digest of ${model}` }) as ModelParts);
  const key = (changes: { basis?: string; params?: string; snapshot?: string; a?: ModelParts; b?: ModelParts } = {}) =>
    pairKey(
      { ...planOf(['a', 'b']), snapshot: { snapshot: changes.snapshot ?? 's' } } as PlanDocument,
      changes.basis ?? 'basis',
      changes.params ?? 'params',
      changes.a ?? a,
      changes.b ?? b,
    );

  test('is the same for the same inputs', () => expect(key()).toBe(key()));

  test.each([
    [{ basis: 'other' }],
    [{ params: 'other' }],
    [{ snapshot: 'other' }],
    [{ a: { ...a, digest: 'other' } }],
    [{ b: { ...b, digest: 'other' } }],
    [{ a: b, b: a }],
  ])('changes with %j', (changes) => expect(key(changes)).not.toBe(key()));
});
