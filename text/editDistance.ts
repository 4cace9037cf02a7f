import { compareCodePoints } from './codePoints.js';

/** Levenshtein distance: the fewest letters to insert, delete or replace that turn one word into the other. */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substituted, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}

/** Known words, those that the user most likely meant first: by {@link editDistance}, ties in code-point order. */
export function closestFirst(word: string, known: readonly string[]): string[] {
  return [...known].sort((a, b) => editDistance(word, a) - editDistance(word, b) || compareCodePoints(a, b));
}
