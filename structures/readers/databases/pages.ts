import { open, type FileHandle } from 'node:fs/promises';
import { Rejected } from '../record.js';

/** Pages kept in memory; a table is read from one end to the other, and the pages above its leaves are read again and again. */
const KEPT_PAGES = 256;

/** Pages of a file of a database, by number from 0. */
export class Pages {
  readonly #kept = new Map<number, Buffer>();

  private constructor(
    readonly file: FileHandle,
    readonly size: number,
    readonly pageSize: number,
  ) {}

  /**
   * @param path of the file
   * @param pageSize tells it from the first bytes
   * @throws Rejected where that is no size of a page
   */
  static async open(path: string, pageSize: (head: Buffer) => number): Promise<Pages> {
    const file = await open(path);
    try {
      const { size } = await file.stat();
      const head = Buffer.alloc(Math.min(512, size));
      await file.read(head, 0, head.length, 0);
      const bytes = pageSize(head);
      if (!(bytes >= 512 && bytes <= 65_536 && (bytes & (bytes - 1)) === 0))
        throw new Rejected(
          'unparsable',
          `the database says that its pages have ${bytes} bytes; 512 to 65,536 are known`,
        );
      return new Pages(file, size, bytes);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  get count(): number {
    return Math.floor(this.size / this.pageSize);
  }

  /** @throws Rejected for a page behind the end */
  async read(number: number): Promise<Buffer> {
    const kept = this.#kept.get(number);
    if (kept) return kept;
    const page = await this.bytes(number * this.pageSize, this.pageSize);
    if (this.#kept.size >= KEPT_PAGES) this.#kept.clear();
    this.#kept.set(number, page);
    return page;
  }

  /** @throws Rejected for bytes behind the end */
  async bytes(start: number, length: number): Promise<Buffer> {
    if (!(start >= 0 && start + length <= this.size))
      throw new Rejected(
        'unparsable',
        `the database points at byte ${start} of ${this.size}; a file that is whole is needed`,
      );
    const bytes = Buffer.alloc(length);
    await this.file.read(bytes, 0, length, start);
    return bytes;
  }

  close(): Promise<void> {
    return this.file.close();
  }
}
