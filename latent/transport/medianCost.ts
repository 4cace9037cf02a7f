import type { CostSource } from './cost.js';

const BINS = 1 << 16;

/** Exact median of all costs (mean of the two middle ones when their number is even), without holding or sorting them all. */
export async function medianCost(cost: CostSource): Promise<number> {
  const { n, m } = cost;
  let low = Infinity;
  let high = -Infinity;
  await cost.scan((_, values, offset) => {
    for (let at = offset; at < offset + m; at++) {
      if (values[at] < low) low = values[at];
      if (values[at] > high) high = values[at];
    }
  });
  const perValue = (BINS - 1) / (high - low); // the largest value has the last bin to itself
  if (perValue === Infinity) return low; // they are as good as equal
  const counts = new Float64Array(BINS);
  await cost.scan((_, values, offset) => {
    for (let at = offset; at < offset + m; at++) counts[Math.trunc((values[at] - low) * perValue)]++;
  });
  // The bins of the two middle values, and what lies between them, are the only ones to sort.
  const middle = [Math.floor((n * m - 1) / 2), Math.floor((n * m) / 2)];
  const binAt = (rank: number) => {
    let below = 0;
    for (let at = 0; ; at++) if ((below += counts[at]) > rank) return at;
  };
  const [first, last] = [binAt(middle[0]), binAt(middle[1])];
  let below = 0;
  for (let at = 0; at < first; at++) below += counts[at];
  const candidates: number[] = [];
  await cost.scan((_, values, offset) => {
    for (let at = offset; at < offset + m; at++) {
      const place = Math.trunc((values[at] - low) * perValue);
      if (place >= first && place <= last) candidates.push(values[at]);
    }
  });
  const sorted = Float64Array.from(candidates).sort();
  return (sorted[middle[0] - below] + sorted[middle[1] - below]) / 2;
}
