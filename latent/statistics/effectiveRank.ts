/** exp(-Σ p ln p) of values taken as shares p of their sum; negative ones (rounding) count as 0. */
export function effectiveRank(eigenvalues: Float64Array): number {
  const total = eigenvalues.reduce((sum, value) => sum + Math.max(value, 0), 0);
  const entropy = eigenvalues.reduce(
    (sum, value) => (value > 0 ? sum - (value / total) * Math.log(value / total) : sum),
    0,
  );
  return Math.exp(entropy);
}
