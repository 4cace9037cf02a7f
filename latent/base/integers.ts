/** The greatest common divisor of two integers that are not negative; of 0 and n, n. */
export function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** 0, 1, …, n - 1. */
export function countUp(n: number): Int32Array {
  return Int32Array.from({ length: n }, (_, at) => at);
}
