import type { StructureLimits } from '../canonical.js';
import type { ByteSource, ReadItem } from '../structure.js';
import type { FilePart } from './filePart.js';

/** Placeholder until formats are cut. */
export async function* readPart(
  source: ByteSource,
  part: FilePart,
  _limits: StructureLimits,
): AsyncGenerator<ReadItem> {
  await Promise.reject(new Error(`${source.name} ${part.kind}`));
  yield* [];
}
