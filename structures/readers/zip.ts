import { openPromise } from 'yauzl';
import type { ByteSource } from '../structure.js';
import { Rejected } from './record.js';

/**
 * Files of a zip archive in the order of its directory, without folders, hidden files and macOS resource forks.
 *
 * @param path of the archive
 * @param name of the archive; members are called `<name>/<member>`
 * @throws Rejected for an archive that cannot be read; a broken member throws it when it is opened
 */
export async function* zipMembers(path: string, name: string): AsyncGenerator<ByteSource> {
  const archive = await openPromise(path, { lazyEntries: true, autoClose: false }).catch(asRejection);
  try {
    const entries = archive.eachEntry();
    for (;;) {
      const next = await entries.next().catch(asRejection);
      if (next.done) return;
      const entry = next.value;
      if (
        entry.fileName
          .split('/')
          .some(
            (part, i, parts) => part === '__MACOSX' || part.startsWith('.') || (part === '' && i === parts.length - 1),
          )
      )
        continue;
      yield {
        name: `${name}/${entry.fileName}`,
        async *open() {
          if (entry.isEncrypted())
            throw new Rejected('unparsable', 'the zip member is encrypted; a readable one is needed');
          try {
            yield* (await archive.openReadStreamPromise(entry)) as AsyncIterable<Uint8Array>;
          } catch (error) {
            asRejection(error);
          }
        },
      };
    }
  } finally {
    archive.close();
  }
}

/** What yauzl and zlib say is the archive's fault, except that the file system could not be read. */
function asRejection(error: unknown): never {
  if (!(error instanceof Error) || 'syscall' in error) throw error;
  throw new Rejected('unparsable', `zip: ${error.message}`);
}
