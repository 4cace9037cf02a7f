import { greatestCommonDivisor } from '../base/integers.js';

/** Weights as integers, so that flows add up exactly, beside the weights they stand for (normalised to 1). */
export interface IntegerMasses {
  supply: Float64Array;
  demand: Float64Array;
  /** Sum of either side. */
  total: number;
  sourceWeights: Float64Array;
  sinkWeights: Float64Array;
}

/** Total units of weights that are not uniform: 2^50 of them resolve a weight to 1e-15 of the whole. */
const UNITS = 2 ** 50;

/**
 * Integer masses for n sources and m sinks. Uniform weights (none given) become m/d and n/d with d = gcd(n, m), exactly; integer weights with
 * the same total on both sides stay as they are; other weights are rounded to units of 2^-50 of the total, the remainder going to the largest.
 * @throws RangeError when a weight is negative or not finite, or all of a side are zero
 */
export function integerMasses(
  n: number,
  m: number,
  sourceWeights?: Float64Array,
  sinkWeights?: Float64Array,
): IntegerMasses {
  if (!sourceWeights && !sinkWeights) {
    const divisor = greatestCommonDivisor(n, m);
    return {
      supply: new Float64Array(n).fill(m / divisor),
      demand: new Float64Array(m).fill(n / divisor),
      total: (n / divisor) * m,
      sourceWeights: new Float64Array(n).fill(1 / n),
      sinkWeights: new Float64Array(m).fill(1 / m),
    };
  }
  const left = normalisedWeights(sourceWeights, n, 'source');
  const right = normalisedWeights(sinkWeights, m, 'sink');
  const total = sourceWeights && sinkWeights && commonTotal(sourceWeights, sinkWeights);
  if (total) return { supply: sourceWeights, demand: sinkWeights, total, sourceWeights: left, sinkWeights: right };
  return { supply: rounded(left), demand: rounded(right), total: UNITS, sourceWeights: left, sinkWeights: right };
}

/**
 * Weights that sum to 1; uniform when none are given.
 * @throws RangeError when a weight is negative or not finite, all are zero, or their number is wrong
 */
export function normalisedWeights(weights: Float64Array | undefined, length: number, side: string): Float64Array {
  if (!weights) return new Float64Array(length).fill(1 / length);
  if (weights.length !== length)
    throw new RangeError(`latent/transport: ${weights.length} ${side} weights for ${length} points`);
  let sum = 0;
  weights.forEach((weight, at) => {
    if (!(weight >= 0 && weight < Infinity))
      throw new RangeError(`latent/transport: ${side} weight ${at} is ${weight}; weights are finite and not negative`);
    sum += weight;
  });
  if (!(sum > 0 && sum < Infinity))
    throw new RangeError(`latent/transport: the ${side} weights sum to ${sum}; a side needs mass`);
  return weights.map((weight) => weight / sum);
}

/** The total of two lists of integers that have the same; undefined where they are no such lists. */
function commonTotal(left: Float64Array, right: Float64Array): number | undefined {
  const [total, other] = [left, right].map((weights) =>
    weights.reduce((sum, weight) => (Number.isInteger(weight) ? sum + weight : NaN), 0),
  );
  return total === other && total <= UNITS ? total : undefined;
}

function rounded(weights: Float64Array): Float64Array {
  const units = weights.map((weight) => Math.round(weight * UNITS));
  let largest = 0;
  let sum = 0;
  for (let at = 0; at < units.length; at++) {
    sum += units[at];
    if (units[at] > units[largest]) largest = at;
  }
  units[largest] += UNITS - sum;
  return units;
}
