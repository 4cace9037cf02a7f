import type { ByteSource } from '../structure.js';
import type { FilePart } from './filePart.js';

/** Placeholder until formats are cut: streams the file. */
export async function scanFile(
  source: ByteSource,
  { onBytes }: { partBytes: number; onBytes?: (bytes: Uint8Array) => void },
): Promise<{ parts: FilePart[] }> {
  for await (const piece of source.open()) onBytes?.(piece);
  return { parts: [] };
}
