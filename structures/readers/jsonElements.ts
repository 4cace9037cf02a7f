import { MAX_RECORD_LENGTH } from './record.js';

/** A piece of a JSON file that can be parsed alone. */
export type JsonPiece =
  /** Element of the file's array, or of the array under a streamed key of the file's object. */
  | { kind: 'element'; text: string }
  /** Member of the file's object. */
  | { kind: 'member'; key: string; text: string }
  /** The file's object is complete; `streamed` when one of its arrays came as elements. */
  | { kind: 'end'; streamed: boolean }
  /** An element or member longer than {@link MAX_RECORD_LENGTH} was passed over. */
  | { kind: 'overlong' }
  /** Text between or after the top-level values that is no JSON. */
  | { kind: 'stray'; text: string };

/** Keys whose array holds the documents of a database export or an OPTIMADE response. */
const STREAMED_KEYS = new Set(['data', 'structures', 'entries', 'materials', 'results']);

const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const BACKSLASH = 92;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;

/**
 * Cuts one or more top-level JSON values into pieces without parsing them, so that a file of any size is read with the memory of
 * its largest piece. It looks at brackets, strings and commas only; a piece that is no valid JSON is left to its parser, and
 * the pieces after it come as they should.
 *
 * @param bytes JSON in UTF-8 (all structural characters are ASCII, so bytes are safe to look at)
 */
export async function* jsonPieces(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<JsonPiece> {
  const cutter = new Cutter();
  for await (const chunk of bytes) yield* cutter.push(chunk);
  yield* cutter.finish();
}

class Cutter {
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** Depth at which commas part pieces: 1, or 2 inside a streamed array; 0 outside of every value. */
  #pieceDepth = 0;
  #isObject = false;
  #key: string | undefined;
  #streamed = false;
  #stray = '';
  /** Bytes of the present piece from earlier chunks. */
  #parts: Uint8Array[] = [];
  #length = 0;
  /** Where the present piece begins in the present chunk; -1 before its first byte. */
  #start = -1;

  *push(chunk: Uint8Array): Generator<JsonPiece> {
    if (this.#start === -2) this.#start = 0;
    for (let at = 0; at < chunk.length; at++) {
      const code = chunk[at];
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (code === BACKSLASH) this.#escaped = true;
        else if (code === QUOTE) this.#inString = false;
        continue;
      }
      if (code <= 32) continue;
      if (this.#depth === 0) {
        if (code === OPEN_BRACKET || code === OPEN_BRACE) {
          yield* this.#flushStray();
          this.#depth = this.#pieceDepth = 1;
          this.#isObject = code === OPEN_BRACE;
          this.#streamed = false;
        } else if (code !== COMMA && code !== CLOSE_BRACE && code !== CLOSE_BRACKET && this.#stray.length < 60) {
          this.#stray += String.fromCharCode(code);
        }
        continue;
      }

      const isPieceLevel = this.#depth === this.#pieceDepth;
      if (isPieceLevel && code === COMMA) {
        yield* this.#endPiece(chunk, at);
        continue;
      }
      if (isPieceLevel && code === COLON && this.#isObject && this.#pieceDepth === 1 && this.#key === undefined) {
        this.#key = keyOf(this.#take(chunk, at));
        continue;
      }
      if (code === CLOSE_BRACKET || code === CLOSE_BRACE) {
        if (isPieceLevel) yield* this.#endPiece(chunk, at);
        this.#depth--;
        if (this.#depth === 0) {
          this.#pieceDepth = 0;
          if (this.#isObject) yield { kind: 'end', streamed: this.#streamed };
        } else if (this.#depth < this.#pieceDepth) {
          this.#pieceDepth = this.#depth;
          this.#key = undefined;
        }
        continue;
      }
      if (this.#start < 0) {
        if (
          code === OPEN_BRACKET &&
          this.#pieceDepth === 1 &&
          this.#key !== undefined &&
          STREAMED_KEYS.has(this.#key)
        ) {
          this.#depth = this.#pieceDepth = 2;
          this.#streamed = true;
          continue;
        }
        this.#start = at;
      }
      if (code === QUOTE) this.#inString = true;
      else if (code === OPEN_BRACKET || code === OPEN_BRACE) this.#depth++;
    }
    if (this.#start >= 0) {
      this.#keep(chunk.subarray(this.#start));
      this.#start = -2;
    }
  }

  /** A piece that the end of the file cuts off is handed on for its parser to refuse. */
  *finish(): Generator<JsonPiece> {
    if (this.#depth > 0) {
      yield* this.#endPiece(new Uint8Array(), 0);
      if (this.#isObject) yield { kind: 'end', streamed: this.#streamed };
    }
    yield* this.#flushStray();
  }

  *#flushStray(): Generator<JsonPiece> {
    if (this.#stray !== '') yield { kind: 'stray', text: this.#stray };
    this.#stray = '';
  }

  *#endPiece(chunk: Uint8Array, end: number): Generator<JsonPiece> {
    const isMember = this.#isObject && this.#pieceDepth === 1;
    const key = this.#key;
    this.#key = undefined;
    if (this.#length > MAX_RECORD_LENGTH) {
      this.#take(chunk, end);
      yield { kind: 'overlong' };
      return;
    }
    const text = this.#take(chunk, end).trim();
    if (text === '') return;
    yield isMember && key !== undefined ? { kind: 'member', key, text } : { kind: 'element', text };
  }

  #keep(part: Uint8Array): void {
    this.#length += part.length;
    if (this.#length > MAX_RECORD_LENGTH) this.#parts = [];
    // A copy: the stream may reuse its buffer for the next chunk.
    else this.#parts.push(part.slice());
  }

  /** The bytes since the beginning of the piece, which they end. */
  #take(chunk: Uint8Array, end: number): string {
    if (this.#start >= 0) this.#parts.push(chunk.subarray(this.#start, end));
    const text = Buffer.concat(this.#parts).toString('utf8');
    this.#parts = [];
    this.#length = 0;
    this.#start = -1;
    return text;
  }
}

function keyOf(text: string): string {
  return text.trim().replace(/^"|"$/g, '');
}
