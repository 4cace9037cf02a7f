import { compareCodePoints } from '../text/codePoints.js';

/** What canonical JSON can hold: no undefined, no NaN, no infinities, no class instances. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/**
 * The one JSON text of a value: keys in code-point order, no white space, numbers in ECMAScript's shortest round-trip form
 * (RFC 8785 differs only in ordering keys by UTF-16 units, which agrees for all keys below U+E000). Everything koine digests
 * goes through here, so equal content has equal bytes whatever order a program built it in.
 * @throws TypeError naming the path of a value that JSON cannot hold (undefined, NaN, a Map, ...).
 */
export function canonicalJson(value: unknown): string {
  return encode(value, '$');
}

/** {@link canonicalJson} as UTF-8: the bytes of every JSON object in a store. Their sha256 is `digestJson` of the value. */
export function canonicalJsonBytes(value: unknown): Uint8Array {
  return Buffer.from(canonicalJson(value), 'utf8');
}

function encode(value: unknown, path: string): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') {
    if (/\p{Cs}/u.test(value)) throw notJson(path, 'a string with a lone surrogate');
    return JSON.stringify(value);
  }
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw notJson(path, String(value));
    return JSON.stringify(value); // -0 becomes 0: the two compare equal and must digest equally
  }
  if (Array.isArray(value)) return `[${value.map((item, i) => encode(item, `${path}[${i}]`)).join(',')}]`;
  if (typeof value === 'object') {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) {
      throw notJson(path, `a ${value.constructor.name}`);
    }
    const record = value as Record<string, unknown>;
    const members = Object.keys(record)
      .sort(compareCodePoints)
      .map((key) => `${encode(key, `${path} key`)}:${encode(record[key], `${path}.${key}`)}`);
    return `{${members.join(',')}}`;
  }
  throw notJson(path, typeof value);
}

function notJson(path: string, what: string): TypeError {
  return new TypeError(
    `datasets: ${path} is ${what}; canonical JSON holds finite numbers, strings, booleans, null, lists and plain objects`,
  );
}
