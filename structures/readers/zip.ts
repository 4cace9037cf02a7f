import { getFileNameLowLevel, openPromise } from 'yauzl';
import type { ByteSource } from '../structure.js';
import { withinBudget } from './budget.js';
import { Rejected } from './record.js';

/**
 * Files of a zip archive in the order of its directory, without folders, hidden files and macOS resource forks.
 *
 * @param path of the archive
 * @param name of the archive; members are called `<name>/<member>`
 * @param range numbers [start, end) in the directory; all by default
 * @throws Rejected for an archive that cannot be read; a broken member throws it when it is opened
 */
export async function* zipMembers(
  path: string,
  name: string,
  range: { start: number; end: number } = { start: 0, end: Infinity },
): AsyncGenerator<ByteSource> {
  // Names and sizes are checked member by member here: yauzl would end the archive at the first odd one.
  const options = { lazyEntries: true, autoClose: false, decodeStrings: false, validateEntrySizes: false };
  const archive = await openPromise(path, options).catch((error) => asRejection(error));
  let read = 0;
  try {
    const entries = archive.eachEntry();
    for (;;) {
      const next = await entries
        .next()
        .catch((error) =>
          asRejection(error, `; of ${archive.entryCount} members those after the first ${read} are lost`),
        );
      if (next.done || read === range.end) return;
      if (read++ < range.start) continue;
      const entry = next.value;
      const member = getFileNameLowLevel(entry.generalPurposeBitFlag, entry.fileNameRaw, entry.extraFields, false);
      const parts = member.split('/');
      if (
        member.endsWith('/') ||
        parts.some((part) => part === '__MACOSX' || (part.startsWith('.') && !/^\.\.?$/.test(part)))
      )
        continue;
      yield {
        name: `${name}/${member}`,
        async *open() {
          if (entry.isEncrypted())
            throw new Rejected('unparsable', 'the zip member is encrypted; a readable one is needed');
          let bytes = 0;
          try {
            const stream = (await archive.openReadStreamPromise(entry)) as AsyncIterable<Uint8Array>;
            for await (const chunk of withinBudget(stream, () => entry.compressedSize)) {
              bytes += chunk.length;
              yield chunk;
            }
          } catch (error) {
            asRejection(error);
          }
          if (bytes !== entry.uncompressedSize)
            throw new Rejected(
              'unparsable',
              `zip: the member has ${bytes} bytes, the archive's directory says ${entry.uncompressedSize}`,
            );
        },
      };
    }
  } finally {
    archive.close();
  }
}

/** What the directory of an archive says of its members: compressed bytes, and a text that changes when a member does. @throws Rejected */
export async function memberSizes(path: string): Promise<{ bytes: number; records: number; identity: string }[]> {
  const options = { lazyEntries: true, autoClose: false, decodeStrings: false, validateEntrySizes: false };
  const archive = await openPromise(path, options).catch((error) => asRejection(error));
  const sizes: { bytes: number; records: number; identity: string }[] = [];
  try {
    for await (const { compressedSize, uncompressedSize, crc32, fileNameRaw } of archive.eachEntry())
      sizes.push({
        bytes: compressedSize,
        records: 0,
        identity: `${fileNameRaw.toString('hex')} ${compressedSize} ${uncompressedSize} ${crc32}`,
      });
  } catch (error) {
    asRejection(error);
  } finally {
    archive.close();
  }
  return sizes;
}

/** What yauzl and zlib say is the archive's fault, except that the file system could not be read. */
function asRejection(error: unknown, more = ''): never {
  if (error instanceof Rejected || !(error instanceof Error) || 'syscall' in error) throw error;
  throw new Rejected('unparsable', `zip: ${error.message}${more}`);
}
