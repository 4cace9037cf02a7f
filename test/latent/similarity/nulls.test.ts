import { describe, expect, test } from 'vitest';
import { RowResamples, combineDraws, quantile } from '../../../latent/statistics/bootstrap.js';
import { calibrate, permutations } from '../../../latent/statistics/nulls.js';
import { fixture } from './fixtures/readFixture.js';

describe('calibration', () => {
  test.each(fixture.calibrations)(
    'of $observed at alpha $alpha equals calibrated-similarity',
    ({ observed, null: nulls, alpha, smax, tau, score, p }) => {
      const { threshold, calibrated, pValue } = calibrate(observed, Float64Array.from(nulls), smax, alpha);
      expect(threshold).toBe(tau);
      expect(calibrated).toBeCloseTo(score, 12);
      expect(pValue).toBeCloseTo(p, 12);
    },
  );

  test('counts null values that fall short by rounding alone as ties', () => {
    expect(calibrate(0.3, Float64Array.of(0.3 - 1e-12, 0.1, 0.2)).pValue).toBe(0.5);
  });

  test('the threshold is the order statistic even where 1 - alpha is not exact in binary', () => {
    const nulls = Float64Array.from({ length: 199 }, (_, at) => at / 1000);
    expect(calibrate(0.9, nulls, 1, 0.05).threshold).toBe(0.189); // the 190th of 200
  });
});

describe('permutations', () => {
  test('within groups keep every row in its group', () => {
    const groups = Int32Array.from({ length: 50 }, (_, at) => (at * 7) % 5);
    for (const permutation of permutations(50, 20, 1, groups)) {
      expect([...permutation].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, at) => at));
      permutation.forEach((from, to) => expect(groups[from]).toBe(groups[to]));
    }
  });

  test('are the same for the same seed and others for another', () => {
    const first = [...permutations(20, 3, 1)];
    expect([...permutations(20, 3, 1)]).toEqual(first);
    expect([...permutations(20, 3, 2)]).not.toEqual(first);
    expect(first[0]).not.toEqual(first[1]);
  });
});

describe('bootstrap', () => {
  test('replicates spread as the standard error of the mean', async () => {
    const influence = Float64Array.from({ length: 400 }, (_, at) => (at % 2 ? 1 : -1));
    const [shifts] = await new RowResamples(400, 4000, 9).shifts([influence]);
    const variance = shifts.reduce((sum, shift) => sum + shift ** 2, 0) / 4000;
    expect(Math.sqrt(variance)).toBeGreaterThan(0.95 / 20);
    expect(Math.sqrt(variance)).toBeLessThan(1.05 / 20);
  });

  test('draws combine to their mean and an interval that covers their spread, inside the bounds of the metric', () => {
    const draw = (value: number) => ({
      value,
      replicates: Float64Array.from({ length: 100 }, (_, at) => value + (at - 50) / 1000),
    });
    const { value, low, high } = combineDraws([draw(0.2), draw(0.98)], [0, 1]);
    expect(value).toBeCloseTo(0.59, 12);
    expect(low).toBeLessThan(0.2);
    expect(high).toBe(1);
    expect(combineDraws([{ value: 3, replicates: new Float64Array(0) }])).toEqual({ value: 3, low: 3, high: 3 });
    expect(() => combineDraws([])).toThrow(/no draws/);
  });

  test('quantiles interpolate as numpy does', () => {
    expect(quantile(Float64Array.of(1, 2, 4), 0.75)).toBe(3);
  });
});
