import type { CostSource } from './cost.js';

const BINS = 1 << 16;

/** Exact median of all costs (mean of the two middle ones when their number is even), without holding or sorting them all. */
export async function median(cost: CostSource): Promise<number> {
  const { n, m } = cost;
  let low = Infinity;
  let high = -Infinity;
  await cost.scan((_, values, offset) => {
    for (let at = offset; at < offset + m; at++) {
      if (values[at] < low) low = values[at];
      if (values[at] > high) high = values[at];
    }
  });
  if (low === high) return low;
  const bin = (value: number) => Math.min(BINS - 1, Math.floor(((value - low) / (high - low)) * BINS));
  const counts = new Float64Array(BINS);
  await cost.scan((_, values, offset) => {
    for (let at = offset; at < offset + m; at++) counts[bin(values[at])]++;
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
      const place = bin(values[at]);
      if (place >= first && place <= last) candidates.push(values[at]);
    }
  });
  const sorted = Float64Array.from(candidates).sort();
  return (sorted[middle[0] - below] + sorted[middle[1] - below]) / 2;
}
