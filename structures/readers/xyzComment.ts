import { Rejected, parseNumber, quote } from './record.js';

const CLOSING: Readonly<Record<string, string>> = { '"': '"', "'": "'", '{': '}' };

/**
 * `key=value` pairs of an extended XYZ comment line, by the published grammar (https://github.com/libAtoms/extxyz). A quotation,
 * brace or bracket opens a value only where the value begins: `name=2,2'-bipyridine` is a bare word. Values in quotes and braces come
 * without them, lists in brackets with them. A key alone is true (`T`), as in ASE.
 */
export function parseComment(comment: string): Record<string, string> {
  const fields: Record<string, string> = Object.create(null) as Record<string, string>;
  let at = 0;
  const skipBlanks = () => {
    while (at < comment.length && isBlank(comment[at])) at++;
  };
  for (skipBlanks(); at < comment.length; skipBlanks()) {
    const key = quoted(comment, at, '"') ?? bare(comment, at, '=');
    at = key.end;
    skipBlanks();
    if (comment[at] !== '=') {
      if (key.text !== '') fields[key.text] = 'T';
      continue;
    }
    at++;
    skipBlanks();
    const value = container(comment, at) ?? bare(comment, at, '');
    fields[key.text] = value.text;
    at = value.end;
  }
  return fields;
}

interface Token {
  text: string;
  /** Where the next one may begin. */
  end: number;
}

function container(comment: string, at: number): Token | undefined {
  const first = comment[at];
  return first === '[' ? bracketed(comment, at) : first in CLOSING ? quoted(comment, at, first) : undefined;
}

/** Up to the mark that closes it, a backslash before a character meaning that character; undefined where none closes it. */
function quoted(comment: string, at: number, mark: string): Token | undefined {
  if (comment[at] !== mark) return undefined;
  let text = '';
  for (let i = at + 1; i < comment.length; i++) {
    if (comment[i] === '\\' && i + 1 < comment.length) text += comment[++i];
    else if (comment[i] === CLOSING[mark]) return { text, end: i + 1 };
    else text += comment[i];
  }
  return undefined;
}

function bracketed(comment: string, at: number): Token | undefined {
  let depth = 0;
  for (let i = at; i < comment.length; i++) {
    if (comment[i] === '[') depth++;
    else if (comment[i] === ']' && --depth === 0) return { text: comment.slice(at, i + 1), end: i + 1 };
  }
  return undefined;
}

function bare(comment: string, at: number, stop: string): Token {
  let end = at;
  while (end < comment.length && !isBlank(comment[end]) && comment[end] !== stop) end++;
  return { text: comment.slice(at, end), end };
}

function isBlank(character: string): boolean {
  return character === ' ' || character === '\t' || character === '\n' || character === '\r';
}

/**
 * Lattice vectors of a frame: nine numbers, a, b, c one after the other; three, the edges of a box; or `[[…], […], […]]`, whose
 * columns are the vectors, as the grammar has it for matrices.
 *
 * @returns [9] row-major, Å
 * @throws Rejected when it is none of these
 */
export function latticeOf(value: string): number[] {
  const isMatrix = /^\[\s*\[/.test(value);
  const numbers = value
    .replace(/[[\],]/g, ' ')
    .trim()
    .split(/\s+/)
    .map((x, i) => parseNumber(x, `Lattice number ${i}`));
  if (numbers.length === 3 && !isMatrix) return [numbers[0], 0, 0, 0, numbers[1], 0, 0, 0, numbers[2]];
  if (numbers.length !== 9) throw new Rejected('unparsable', `Lattice has ${numbers.length} numbers; nine are needed`);
  return isMatrix ? [0, 3, 6, 1, 4, 7, 2, 5, 8].map((at) => numbers[at]) : numbers;
}

/** @throws Rejected unless all directions that `pbc` has are periodic */
export function requirePeriodicFlags(value: string | undefined): void {
  if (value === undefined) return;
  const flags = value
    .replace(/[[\],]/g, ' ')
    .trim()
    .split(/\s+/);
  const isPeriodic = (flags.length === 3 || flags.length === 1) && flags.every((flag) => /^(t|true|1)$/i.test(flag));
  if (!isPeriodic)
    throw new Rejected('unparsable', `pbc is ${quote(value)}; a crystal periodic in three directions is needed`);
}
