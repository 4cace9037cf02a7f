import { expect, test } from 'vitest';
import { similarityHeadline, type PairScore } from '../../datasets/headline.js';

const pair = (model_a: string, model_b: string, calibrated: number): PairScore => ({
  ...{ model_a, model_b, calibrated },
  ...{ value: calibrated, low: calibrated, high: calibrated, p_value: 0.005, n: 4000 },
});
const model = (id: string, lineage = id, control: string | null = null) => ({ id, lineage, control });

test('a lineage counts once: fine-tunes of one network add no vote, and their agreement is left out', () => {
  const models = [model('a'), model('b'), model('b-tuned', 'b'), model('c')];
  const pairs = [
    pair('a', 'b', 0.2),
    pair('a', 'b-tuned', 0.4),
    pair('a', 'c', 0.6),
    pair('b', 'b-tuned', 0.9),
    pair('b', 'c', 0.1),
    pair('b-tuned', 'c', 0.3),
  ];
  const { average, lineages, models: scored } = similarityHeadline(pairs, models);
  expect(lineages).toBe(3);
  expect(average).toBeCloseTo((0.3 + 0.6 + 0.2) / 3, 12); // a-b, a-c, b-c
  expect(scored.map(({ average: own }) => own?.toFixed(6))).toEqual(['0.450000', '0.150000', '0.350000', '0.400000']);
});

test('controls are in no average; without two lineages there is none', () => {
  const models = [model('a'), model('a-tuned', 'a'), model('one-hot', 'one-hot', 'one-hot')];
  const headline = similarityHeadline([pair('a', 'a-tuned', 0.9), pair('a', 'one-hot', 0)], models);
  expect(headline).toMatchObject({ average: null, lineages: 0 });
  expect(headline.models.map(({ average }) => average)).toEqual([null, null, null]);
  expect(headline.pairs).toHaveLength(2);
});
