import { compareCodePoints } from '../../text/codePoints.js';
import type { StructureRow } from '../../datasets/tables/structures.js';

/** A structure on its way into a snapshot. */
export interface IncomingRow {
  row: StructureRow;
  /** See {@link contentDigest}. */
  content: string;
  /** Index of its source in the spec: earlier ones win. */
  source: number;
}

/**
 * The order in which structures of one id stand: id, source, content, then where they were read, which tells equal ones apart. Nothing of it depends
 * on the order of files or of reading.
 */
export function compareIncoming(a: IncomingRow, b: IncomingRow): number {
  return (
    compareCodePoints(a.row.materialId, b.row.materialId) ||
    a.source - b.source ||
    compareCodePoints(a.content, b.content) ||
    compareCodePoints(a.row.source, b.row.source)
  );
}

/**
 * Of rows in order, one for each (id, structure hash), the first; the others are repetitions. Doing it to pieces and then to what is left of
 * them gives the same as doing it at once: so chunks do it before a page is merged.
 */
export function withoutRepetitions(sorted: readonly IncomingRow[]): { kept: IncomingRow[]; repetitions: number } {
  const kept: IncomingRow[] = [];
  let hashes = new Set<string>();
  let id: string | undefined;
  for (const incoming of sorted) {
    const { materialId, structureHash } = incoming.row;
    if (materialId !== id) [id, hashes] = [materialId, new Set()];
    if (hashes.has(structureHash)) continue;
    hashes.add(structureHash);
    kept.push(incoming);
  }
  return { kept, repetitions: sorted.length - kept.length };
}

/** Of rows in order the first of each id; the others conflict with it: they are other structures under its name. */
export function firstOfEachId(sorted: readonly IncomingRow[]): { kept: IncomingRow[]; conflicts: IncomingRow[] } {
  const kept: IncomingRow[] = [];
  const conflicts: IncomingRow[] = [];
  for (const incoming of sorted) {
    const last = kept[kept.length - 1];
    if (last?.row.materialId === incoming.row.materialId) conflicts.push(incoming);
    else kept.push(incoming);
  }
  return { kept, conflicts };
}
