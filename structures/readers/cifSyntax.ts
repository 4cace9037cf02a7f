import { Rejected, quote } from './record.js';

/** A table of a data block: `values` holds its rows one after the other. */
export interface CifLoop {
  tags: string[];
  values: string[];
}

/** Whether a value says nothing: `.` (inapplicable), `?` (unknown), nothing at all; programs write them in quotes, too. */
export function isUnknown(value: string | undefined): boolean {
  if (value === undefined) return true;
  // Most values begin with a letter or digit; they need no expression.
  const first = value.charCodeAt(0);
  return !(first >= DIGIT_ZERO) || first === QUESTION_MARK ? /^\s*[.?]?\s*$/.test(value) : false;
}

/**
 * One data block. Tags are in lower case, with an underscore for every run of dots, hyphens and underscores, and none at the end:
 * `_cell.length_a` (mmCIF) is `_cell_length_a`, `_symmetry_space_group_name_H-M_` is `_symmetry_space_group_name_h_m`.
 */
export class CifBlock {
  readonly #items = new Map<string, string[]>();
  readonly #loopsOf = new Map<string, CifLoop[]>();
  readonly #loops: CifLoop[] = [];

  constructor(readonly name: string) {}

  get isEmpty(): boolean {
    return this.#items.size === 0 && this.#loops.length === 0;
  }

  get loops(): readonly CifLoop[] {
    return this.#loops;
  }

  addItem(tag: string, value: string): void {
    const values = this.#items.get(tag);
    if (values) values.push(value);
    else this.#items.set(tag, [value]);
  }

  addLoop(loop: CifLoop): void {
    this.#loops.push(loop);
    for (const tag of loop.tags) {
      const loops = this.#loopsOf.get(tag);
      if (loops) loops.push(loop);
      else this.#loopsOf.set(tag, [loop]);
    }
  }

  /** All tags, of items and of loops. */
  tags(): string[] {
    return [...this.#items.keys(), ...this.#loopsOf.keys()];
  }

  has(tag: string): boolean {
    return this.#items.has(tag) || this.#loopsOf.has(tag);
  }

  /** The loops that have a tag. */
  loopsOf(tag: string): readonly CifLoop[] {
    return this.#loopsOf.get(tag) ?? [];
  }

  /**
   * The one value of a tag, which may stand in a loop of one row; undefined where it is missing or unknown.
   *
   * @throws Rejected `contradictory` when it is stated more than once with different values
   */
  item(tag: string): string | undefined {
    const values = this.column(tag)?.filter((value) => !isUnknown(value));
    if (!values || values.length === 0) return undefined;
    const other = values.find((value) => value !== values[0] && value.trim() !== values[0].trim());
    if (other !== undefined)
      throw new Rejected('contradictory', `${tag} is ${quote(values[0])} and ${quote(other)}; one value is needed`);
    return values[0];
  }

  /** All values of a tag in file order; undefined where it is missing. */
  column(tag: string): readonly string[] | undefined {
    const values = this.#items.get(tag);
    const loops = this.#loopsOf.get(tag);
    if (!loops) return values;
    return [...(values ?? []), ...loops.flatMap((loop) => columnOf(loop, tag))];
  }
}

/** Values of a tag of a loop, row by row. */
export function columnOf({ tags, values }: CifLoop, tag: string): string[] {
  const index = tags.indexOf(tag);
  const column: string[] = [];
  for (let at = index; at < values.length; at += tags.length) column.push(values[at]);
  return column;
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
const DIGIT_ZERO = 48;
const QUESTION_MARK = 63;
const HASH = 35;
const DOUBLE_QUOTE = 34;
const SINGLE_QUOTE = 39;
const SEMICOLON = 59;
const UNDERSCORE = 95;

/**
 * Parses CIF 1.1 and mmCIF text (Hall, Allen & Brown, Acta Cryst. A47, 655 (1991)): quoted values, text fields, comments, loops.
 *
 * @param text one or more data blocks; lines end with LF, CR LF or CR
 * @returns the blocks in order; text before the first `data_` is no part of them, but items of a file without any `data_` are a
 *   block without a name
 * @throws Rejected `unparsable` for an open quote or text field, a value without a tag, a loop whose rows are not full
 */
export function parseCif(text: string): CifBlock[] {
  const lines = text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text;
  const start = lines.search(/^[ \t]*data_/im);
  const blocks: CifBlock[] = [];
  let block = new CifBlock('');
  const scanner = new Scanner(start > 0 ? lines.slice(start) : lines);
  let kind = scanner.advance();
  while (kind !== Kind.End) {
    if (kind === Kind.Data) {
      block = new CifBlock(scanner.value);
      blocks.push(block);
      kind = scanner.advance();
    } else if (kind === Kind.Loop) {
      const loop: CifLoop = { tags: [], values: [] };
      while ((kind = scanner.advance()) === Kind.Tag) loop.tags.push(scanner.value);
      for (; kind === Kind.Value; kind = scanner.advance()) loop.values.push(scanner.value);
      if (loop.tags.length === 0 || loop.values.length % loop.tags.length !== 0) {
        throw new Rejected(
          'unparsable',
          `the loop of ${loop.tags[0] ?? 'no tag'} has ${loop.values.length} values; a multiple of its ${loop.tags.length} tags is needed`,
        );
      }
      block.addLoop(loop);
    } else if (kind === Kind.Tag) {
      const tag = scanner.value;
      kind = scanner.advance();
      // A tag without a value says nothing; programs end files with one (`_eof`).
      block.addItem(tag, kind === Kind.Value ? scanner.value : '?');
      if (kind === Kind.Value) kind = scanner.advance();
    } else {
      if (kind === Kind.Value)
        throw new Rejected('unparsable', `the value ${quote(scanner.value)} has no tag before it`);
      kind = scanner.advance();
    }
    if (blocks.length === 0 && !block.isEmpty) blocks.push(block);
  }
  return blocks;
}

/** Cuts CIF text into tokens; `value` is that of the present one. */
class Scanner {
  value = '';
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
    if (first === UNDERSCORE) return this.#token(Kind.Tag, plainTag(word));
    if (end - at >= 5 && word.charCodeAt(4) === UNDERSCORE && /^(data|loop|save|stop)_/i.test(word)) {
      const keyword = word.slice(0, 4).toLowerCase();
      if (keyword === 'data') return this.#token(Kind.Data, word.slice(5) + this.#restOfName());
      return this.#token(keyword === 'loop' ? Kind.Loop : Kind.Other, word.slice(5));
    }
    if (/^global_$/i.test(word)) return this.#token(Kind.Other, '');
    return this.#token(Kind.Value, word);
  }

  #token(kind: Kind, value: string): Kind {
    this.value = value;
    return kind;
  }

  /** Some write blanks into the name of a block: words behind it on its line, up to a tag or keyword, belong to it. */
  #restOfName(): string {
    const [rest] = /^(?:[ \t]+(?!_|loop_|save_|#)\S+)*/i.exec(this.text.slice(this.#at, this.#at + 200))!;
    this.#at += rest.length;
    return rest.trimEnd();
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

  /**
   * A quote ends the value only where a blank follows: 'a dog's life' is one value. Databases break long titles; such a value
   * goes on to the line that closes it, unless an item or loop begins before.
   */
  #quoted(at: number, mark: number): Kind {
    const { text } = this;
    for (let end = at + 1; end < text.length; end++) {
      const code = text.charCodeAt(end);
      if (
        code === NEWLINE &&
        (text.charCodeAt(end + 1) === UNDERSCORE || /^\s*(loop_|data_)/i.test(text.slice(end, end + 40)))
      )
        break;
      if (code === mark && (end + 1 === text.length || isBlank(text.charCodeAt(end + 1)))) {
        this.#at = end + 1;
        return this.#token(Kind.Value, text.slice(at + 1, end));
      }
    }
    throw new Rejected('unparsable', `the quoted value ${quote(text.slice(at, at + 60))} is not closed on its line`);
  }
}

const plainTags = new Map<string, string>();

/** The spelling of a tag that {@link CifBlock} promises. */
function plainTag(tag: string): string {
  const known = plainTags.get(tag);
  if (known !== undefined) return known;
  const plain = tag
    .toLowerCase()
    .replace(/[-._]+/g, '_')
    .replace(/(?<=.)_$/, '');
  // There are some thousands of tags; the bound only guards against junk.
  if (plainTags.size > 20_000) plainTags.clear();
  plainTags.set(tag, plain);
  return plain;
}

function isBlank(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13);
}
