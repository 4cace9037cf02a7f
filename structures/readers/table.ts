import { parseCifCrystal } from './cif.js';
import { Rejected, quote, type Crystal } from './record.js';

/** Columns that may hold a whole structure as text, in the order they are tried. */
const TEXT_COLUMNS = ['cif', 'structure'];

/**
 * @param columns names of a table
 * @returns whether a row of it can hold a structure
 */
export function hasCrystalColumn(columns: readonly string[]): boolean {
  return TEXT_COLUMNS.some((name) => columns.includes(name));
}

/**
 * Crystal of a table row.
 *
 * @param row values by column name
 * @throws Rejected when no column holds a readable structure
 */
export function crystalOfRow(row: Readonly<Record<string, string>>): Crystal {
  const text = TEXT_COLUMNS.map((name) => row[name]).find((value) => value !== undefined && value.trim() !== '');
  if (text === undefined) throw new Rejected('empty', 'the cif column of the row is empty; a structure is needed');
  if (/^\s*(#|data_|_|loop_)/i.test(text)) return parseCifCrystal(text);
  throw new Rejected('unparsable', `${quote(text)} is neither CIF nor pymatgen JSON`);
}
