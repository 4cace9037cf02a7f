import { readCif } from './cif.js';
import { readCsv } from './csv.js';
import { readExtendedXyz } from './extendedXyz.js';
import { Rejected, quote, type FormatReader } from './record.js';

/** Bytes at the beginning of a file that suffice to tell its format. */
export const HEAD_BYTES = 64 * 1024;

/**
 * Tells the format of a text file by its content; the name only breaks ties.
 *
 * @param head the first {@link HEAD_BYTES} bytes, or all of a shorter file
 * @param name of the file
 * @throws Rejected when it is none koine reads
 */
export function formatOf(head: Uint8Array, name: string): FormatReader {
  if (head.length === 0) throw new Rejected('empty', 'the file is empty');
  if ((head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff)) {
    throw new Rejected('unparsable', 'the text is UTF-16; UTF-8 is needed');
  }
  const text = new TextDecoder().decode(head);
  const lines = text.split(/\r?\n/);
  const telling = lines.filter((line) => line.trim() !== '' && !/^\s*#/.test(line));
  const first = telling[0]?.trim() ?? '';
  if (/^(data_|loop_|_[a-z])/i.test(first)) return readCif;
  if (/^\d+$/.test(first) && (/=/.test(lines[1] ?? '') || /\.(ext)?xyz(\.|$)/i.test(name))) return readExtendedXyz;
  if (first.includes(',')) return readCsv;
  throw new Rejected(
    'unparsable',
    `${quote(first)} begins none of the formats CIF, extended XYZ, POSCAR, XSF, pymatgen or OPTIMADE JSON, CSV, Parquet`,
  );
}
