import { z } from 'zod';
import { editDistance } from '../text/editDistance.js';

/** What is wrong with a spec, a line each: field, value, what would be right; of an unknown field the known one that is nearest. */
export function describeIssue(issue: z.core.$ZodIssue, input: unknown, schema: z.ZodType): string[] {
  const value = issue.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], input);
  const field = issue.path.length
    ? issue.path.map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i ? '.' : ''}${String(key)}`)).join('')
    : 'the spec';
  if (issue.code === 'unrecognized_keys') {
    const known = fieldsAt(issue.path, schema);
    return issue.keys.map((key) => {
      const close = closest(key, known);
      const name = issue.path.length ? `${field}.${key}` : key;
      return `${name}: unknown field${close ? `; did you mean '${close}'?` : ''} Known here: ${known.join(', ')}.`;
    });
  }
  const shown = value === undefined ? 'missing' : `got ${JSON.stringify(value)?.slice(0, 80)}`;
  const message = issue.message.replace(/^Invalid (input|option): /, '');
  return [`${field}: ${shown}; ${message}`];
}

/** Field names of the object at a path of the schema. */
function fieldsAt(path: readonly PropertyKey[], schema: z.ZodType): string[] {
  let node: unknown = z.toJSONSchema(schema, { io: 'input' });
  for (const key of path) {
    const schema = node as { properties?: Record<string, unknown>; items?: unknown };
    node = typeof key === 'number' ? schema.items : schema.properties?.[String(key)];
  }
  return Object.keys((node as { properties?: Record<string, unknown> } | undefined)?.properties ?? {});
}

/** The candidate within edit distance 3 of `word`, if any. */
function closest(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = 4;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}
