import { canonicalJsonBytes } from '../../datasets/canonicalJson.js';
import { sha256Hex } from '../../datasets/digest.js';
import type { QuarantineRow } from '../../datasets/tables/quarantine.js';
import type { StructureRow } from '../../datasets/tables/structures.js';
import type { Rejection } from '../../structures/structure.js';

const MODULUS = 1n << 256n;

/**
 * Digest of rows in any order: the sum of their sha256 modulo 2^256, hexadecimal. Sums of groups add up to the sum of all, so that a
 * snapshot can name what it refused without anybody holding all of it.
 */
export function sumOfRows(rows: readonly QuarantineRow[]): string {
  return addSums(rows.map((row) => sha256Hex(canonicalJsonBytes({ ...row }))));
}

/** The sum of sums. */
export function addSums(sums: readonly string[]): string {
  return (sums.reduce((total, sum) => total + BigInt(`0x${sum}`), 0n) % MODULUS).toString(16).padStart(64, '0');
}

/** The quarantine row of what a reader refused. */
export function rejectionRow({ materialId, source, code, message }: Rejection): QuarantineRow {
  return { material_id: materialId, source, stage: 'snapshot', model: null, code, message };
}

/** The quarantine row of a structure whose id names another one already. */
export function conflictRow({ materialId, source, formula, atomicNumbers }: StructureRow): QuarantineRow {
  return rejectionRow({
    materialId,
    source,
    code: 'duplicate_id',
    message:
      `material_id '${materialId}' names another structure already; this one is ${formula} with ` +
      `${atomicNumbers.length} atoms. Give it an id of its own.`,
  });
}
