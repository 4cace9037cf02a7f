import { Rejected, quote } from './record.js';

/** A CIF value; null stands for the unquoted `.` (inapplicable) and `?` (unknown). */
export type CifValue = string | null;

/** A table of a data block: `values` holds its rows one after the other. */
export interface CifLoop {
  tags: string[];
  values: CifValue[];
}

/** One data block. Tags are in lower case, the dot of an mmCIF name is an underscore: `_cell.length_a` is `_cell_length_a`. */
export interface CifBlock {
  name: string;
  items: Map<string, CifValue>;
  loops: CifLoop[];
}

const enum Kind {
  End,
  Value,
  Tag,
  Loop,
  Data,
  /** `save_`, `global_`, `stop_`: not part of a structure, they only end what is before them. */
  Other,
}

const NEWLINE = 10;
const HASH = 35;
const DOUBLE_QUOTE = 34;
const SINGLE_QUOTE = 39;
const SEMICOLON = 59;
const UNDERSCORE = 95;

/**
 * Parses CIF 1.1 and mmCIF text (Hall, Allen & Brown, Acta Cryst. A47, 655 (1991)): quoted values, text fields, comments, loops.
 *
 * @param text one or more data blocks
 * @returns the blocks in order; items before the first `data_` are in a block without a name
 * @throws Rejected `unparsable` for an open quote or text field, a tag without a value, a loop whose rows are not full
 */
export function parseCif(text: string): CifBlock[] {
  const blocks: CifBlock[] = [];
  let block: CifBlock = { name: '', items: new Map(), loops: [] };
  const scanner = new Scanner(text);
  let kind = scanner.advance();
  while (kind !== Kind.End) {
    if (kind === Kind.Data) {
      block = { name: scanner.value!, items: new Map(), loops: [] };
      blocks.push(block);
      kind = scanner.advance();
    } else if (kind === Kind.Loop) {
      const loop: CifLoop = { tags: [], values: [] };
      while ((kind = scanner.advance()) === Kind.Tag) loop.tags.push(scanner.value!);
      for (; kind === Kind.Value; kind = scanner.advance()) loop.values.push(scanner.value);
      if (loop.tags.length === 0 || loop.values.length % loop.tags.length !== 0) {
        throw new Rejected(
          'unparsable',
          `the loop of ${loop.tags[0] ?? 'no tag'} has ${loop.values.length} values; a multiple of its ${loop.tags.length} tags is needed`,
        );
      }
      block.loops.push(loop);
    } else if (kind === Kind.Tag) {
      const tag = scanner.value!;
      kind = scanner.advance();
      if (kind !== Kind.Value) throw new Rejected('unparsable', `the tag ${tag} has no value`);
      block.items.set(tag, scanner.value);
      kind = scanner.advance();
    } else {
      if (kind === Kind.Value)
        throw new Rejected('unparsable', `the value ${quote(scanner.value)} has no tag before it`);
      kind = scanner.advance();
    }
    if (blocks.length === 0 && (block.items.size > 0 || block.loops.length > 0)) blocks.push(block);
  }
  return blocks;
}

/** Cuts CIF text into tokens; `value` is that of the present one. */
class Scanner {
  value: CifValue = null;
  #at = 0;

  constructor(readonly text: string) {}

  /** Moves to the next token and tells its kind. */
  advance(): Kind {
    const { text } = this;
    const length = text.length;
    let at = this.#at;
    for (; at < length; at++) {
      const code = text.charCodeAt(at);
      if (code === HASH) {
        at = text.indexOf('\n', at);
        if (at < 0) at = length;
      } else if (!isBlank(code)) break;
    }
    if (at >= length) return Kind.End;

    const first = text.charCodeAt(at);
    if (first === SEMICOLON && (at === 0 || text.charCodeAt(at - 1) === NEWLINE)) return this.#textField(at);
    if (first === SINGLE_QUOTE || first === DOUBLE_QUOTE) return this.#quoted(at, first);
    let end = at + 1;
    while (end < length && !isBlank(text.charCodeAt(end))) end++;
    this.#at = end;
    const word = text.slice(at, end);
    if (first === UNDERSCORE) return this.#token(Kind.Tag, word.toLowerCase().replace('.', '_'));
    if (end - at >= 5 && word.charCodeAt(4) === UNDERSCORE && /^(data|loop|save|stop)_/i.test(word)) {
      const keyword = word.slice(0, 4).toLowerCase();
      return this.#token(keyword === 'data' ? Kind.Data : keyword === 'loop' ? Kind.Loop : Kind.Other, word.slice(5));
    }
    if (/^global_$/i.test(word)) return this.#token(Kind.Other, '');
    return this.#token(Kind.Value, word === '.' || word === '?' ? null : word);
  }

  #token(kind: Kind, value: CifValue): Kind {
    this.value = value;
    return kind;
  }

  #textField(at: number): Kind {
    const end = this.text.indexOf('\n;', at);
    if (end < 0)
      throw new Rejected(
        'unparsable',
        `the text field ${quote(this.text.slice(at, at + 60))} is not closed by a line that begins with ';'`,
      );
    this.#at = end + 2;
    return this.#token(Kind.Value, this.text.slice(at + 1, end));
  }

  /** A quote ends the value only where a blank follows: 'a dog's life' is one value. */
  #quoted(at: number, mark: number): Kind {
    const { text } = this;
    for (let end = at + 1; end < text.length; end++) {
      const code = text.charCodeAt(end);
      if (code === NEWLINE) break;
      if (code === mark && (end + 1 === text.length || isBlank(text.charCodeAt(end + 1)))) {
        this.#at = end + 1;
        return this.#token(Kind.Value, text.slice(at + 1, end));
      }
    }
    throw new Rejected('unparsable', `the quoted value ${quote(text.slice(at, at + 60))} is not closed on its line`);
  }
}

function isBlank(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13);
}
