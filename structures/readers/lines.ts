import { MAX_RECORD_LENGTH, Rejected } from './record.js';

/** Lines of a UTF-8 byte stream, without their line ends, holding no more than a chunk and a line. */
export class LineReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #decoder = new TextDecoder();
  #lines: string[] = [];
  #next = 0;
  #rest: string[] = [];
  #restLength = 0;
  #afterReturn = false;
  #overlong = false;
  #ended = false;

  /** @param bytes text in UTF-8; a byte order mark is dropped, invalid bytes become U+FFFD */
  constructor(bytes: AsyncIterable<Uint8Array>) {
    this.#chunks = bytes[Symbol.asyncIterator]();
  }

  /**
   * @returns the next line, or undefined at the end
   * @throws Rejected once for a line longer than 64 Mi characters; reading may go on behind it
   */
  async next(): Promise<string | undefined> {
    while (this.#next >= this.#lines.length) {
      if (this.#ended) return undefined;
      await this.#fill();
    }
    return this.#take();
  }

  /**
   * The next line at once where it has been read already, as most have: waiting for each would take as long as parsing it.
   *
   * @returns what `next` does, or a promise of it
   */
  soon(): string | undefined | Promise<string | undefined> {
    return this.#next < this.#lines.length ? this.#take() : this.next();
  }

  #take(): string {
    const line = this.#lines[this.#next++];
    if (line === OVERLONG) throw new Rejected('unparsable', `a line is longer than ${MAX_RECORD_LENGTH} characters`);
    return line;
  }

  /** Puts the line that `next` has just returned back, so that it returns it again. */
  unread(): void {
    this.#next--;
  }

  async #fill(): Promise<void> {
    const chunk = await this.#chunks.next();
    const done = chunk.done === true;
    const text = this.#withPlainEnds(
      done ? this.#decoder.decode() : this.#decoder.decode(chunk.value, { stream: true }),
    );
    this.#lines = [];
    this.#next = 0;
    this.#rest.push(text);
    this.#restLength += text.length;
    // Joined only where a line ends: a long line would be copied again for every chunk.
    if (text.includes('\n')) {
      const lines = this.#rest.join('').split('\n');
      const rest = lines.pop()!;
      this.#rest = [rest];
      this.#restLength = rest.length;
      if (this.#overlong) lines[0] = OVERLONG;
      this.#overlong = false;
      this.#lines = lines;
    }
    if (this.#restLength > MAX_RECORD_LENGTH) {
      this.#overlong = true;
      this.#rest = [];
      this.#restLength = 0;
    }
    if (done) {
      this.#ended = true;
      if (this.#overlong) this.#lines.push(OVERLONG);
      else if (this.#restLength > 0) this.#lines.push(this.#rest.join(''));
    }
  }

  /** Lines end with LF, CR LF or CR; a CR LF may fall between two chunks. */
  #withPlainEnds(text: string): string {
    const begun = this.#afterReturn && text.startsWith('\n') ? text.slice(1) : text;
    if (text !== '') this.#afterReturn = text.endsWith('\r');
    return begun.includes('\r') ? begun.replace(/\r\n?/g, '\n') : begun;
  }
}

/** Stands for a line that was too long to keep; no decoded line can hold it, for it has a line end. */
const OVERLONG = '\n';

/**
 * A whole file as text, for formats that hold one structure.
 *
 * @param bytes text in UTF-8
 * @throws Rejected when it is longer than 64 Mi characters
 */
export async function readText(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of bytes) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MAX_RECORD_LENGTH) {
      throw new Rejected(
        'unparsable',
        `the file is longer than ${MAX_RECORD_LENGTH} characters, too long for one structure`,
      );
    }
  }
  return text + decoder.decode();
}
