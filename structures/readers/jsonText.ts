import { Rejected } from './record.js';

/**
 * Parses JSON; Python's `NaN` and `Infinity`, which pymatgen writes, become null.
 *
 * @throws Rejected `unparsable` when it is no JSON
 */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const strict = withoutPythonNumbers(text);
    if (strict === undefined) throw asRejection(error);
    try {
      return JSON.parse(strict);
    } catch (again) {
      throw asRejection(again);
    }
  }
}

function asRejection(error: unknown): Rejected {
  return new Rejected('unparsable', `JSON: ${(error as Error).message}`);
}

const QUOTE = 34;
const BACKSLASH = 92;

/** The text with null for `NaN`, `Infinity` and `-Infinity` outside of strings; undefined where there are none. */
function withoutPythonNumbers(text: string): string | undefined {
  if (!/NaN|Infinity/.test(text)) return undefined;
  const parts: string[] = [];
  let kept = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      for (at++; at < text.length && text.charCodeAt(at) !== QUOTE; at++) if (text.charCodeAt(at) === BACKSLASH) at++;
    } else if (code === 78 /* N */ || code === 73 /* I */ || code === 45 /* - */) {
      const word = ['NaN', 'Infinity', '-Infinity'].find((each) => text.startsWith(each, at));
      if (word === undefined) continue;
      parts.push(text.slice(kept, at), 'null');
      kept = at + word.length;
      at = kept - 1;
    }
  }
  parts.push(text.slice(kept));
  return parts.join('');
}
