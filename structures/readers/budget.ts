import { Rejected } from './record.js';

/** Unpacked bytes a packed one; text of structures comes to 10, columns of equal numbers to 50, a bomb to 1,000. */
const MAX_RATIO = 250;

/** Unpacked bytes below which no ratio is asked for. */
const FREE_BYTES = 64 * 2 ** 20;

/** Most bytes that a packed file may unpack to. */
const MAX_UNPACKED_BYTES = 64 * 2 ** 30;

/** Most bytes of a copy on disk, which formats need that are read from their end. */
export const MAX_COPIED_BYTES = 8 * 2 ** 30;

/** Counts the bytes that pass. */
export class ByteCounter {
  bytes = 0;

  async *count(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      this.bytes += chunk.length;
      yield chunk;
    }
  }
}

/**
 * Passes unpacked bytes on until there are more of them than an honest file has.
 *
 * @param unpacked what comes out of the packed bytes
 * @param packedBytes how many packed bytes have gone in so far
 * @throws Rejected `too_large`
 */
export async function* withinBudget(
  unpacked: AsyncIterable<Uint8Array>,
  packedBytes: () => number,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of unpacked) {
    bytes += chunk.length;
    if (bytes > FREE_BYTES && bytes > MAX_RATIO * packedBytes())
      throw new Rejected(
        'too_large',
        `${packedBytes()} packed bytes unpack to more than ${bytes}; at most ${MAX_RATIO} times as many are read`,
      );
    if (bytes > MAX_UNPACKED_BYTES)
      throw new Rejected('too_large', `the file unpacks to more than ${MAX_UNPACKED_BYTES} bytes`);
    yield chunk;
  }
}

/**
 * Passes bytes on until there are more than a copy on disk may have.
 *
 * @throws Rejected `too_large`
 */
export async function* copyable(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let count = 0;
  for await (const chunk of bytes) {
    count += chunk.length;
    if (count > MAX_COPIED_BYTES)
      throw new Rejected(
        'too_large',
        `more than ${MAX_COPIED_BYTES} bytes; an archive or Parquet file this large is read only where it lies unpacked on this machine`,
      );
    yield chunk;
  }
}
