import { readCif } from './cif.js';
import { readCsv } from './csv.js';
import { readExtendedXyz } from './extendedXyz.js';
import { readJson, readJsonLines } from './json.js';
import { looksLikeLammpsData, readLammpsData } from './lammpsData.js';
import { readPhonopy } from './phonopy.js';
import { looksLikePoscar, readPoscar } from './poscar.js';
import { Rejected, quote, type FormatReader } from './record.js';
import { readVasprun } from './vasprun.js';
import { readXsf } from './xsf.js';

/** Bytes at the beginning of a file that suffice to tell its format. */
export const HEAD_BYTES = 64 * 1024;

/** Formats that are recognised in order to say what they are, by their first bytes. */
const UNREADABLE: readonly [pattern: RegExp, what: string][] = [
  [/^BZh/, 'bzip2; unpack it or compress it with gzip'],
  [/^\xfd7zXZ/, 'xz; unpack it or compress it with gzip'],
  [/^\x28\xb5\x2f\xfd/, 'zstd; unpack it or compress it with gzip'],
  [/^(\xff\xfe|\xfe\xff)/, 'UTF-16 text; UTF-8 is needed'],
  [/^.{257}ustar/s, 'a tar archive; unpack it or make it a zip'],
  [/^ITEM: /, 'a LAMMPS dump, which names no elements'],
  [/^\s*(<!DOCTYPE|<html|<\?xml(?!.*<modeling))/is, 'HTML or XML'],
  [/^(HEADER|CRYST1|HETATM|ATOM  )/, 'PDB; convert it to CIF'],
];

/**
 * Tells the format of a text file by its content; the name only breaks ties.
 *
 * @param head the first {@link HEAD_BYTES} bytes, or all of a shorter file
 * @param name of the file
 * @throws Rejected when it is none koine reads
 */
export function formatOf(head: Uint8Array, name: string): FormatReader {
  const magic = Buffer.from(head.subarray(0, 300)).toString('latin1');
  const known = UNREADABLE.find(([pattern]) => pattern.test(magic));
  if (known) throw new Rejected('unparsable', `the file is ${known[1]}`);
  const text = new TextDecoder().decode(head);
  if (text.trim() === '')
    throw new Rejected('empty', 'the file is empty; a structure in one of the formats koine reads is needed');

  const lines = text.split(/\r\n?|\n/);
  if (/^\s*(<\?xml[^>]*>)?\s*<modeling\b/.test(text)) return readVasprun;
  // A POSCAR may begin with any comment, so its numbers speak first.
  if (looksLikePoscar(lines)) return readPoscar;
  const telling = lines
    .filter((line) => line.trim() !== '' && !line.trimStart().startsWith('#'))
    .map((line) => line.trim());
  const [first = '', second = ''] = telling;
  if (/^(data_|loop_|_[a-z])/i.test(first)) return readCif;
  const isTable = /(^|[,"])(cif|structure)("|,|$)/.test(first) || /\.csv(\.|$)/i.test(name);
  // Publishers put headings before the first block, ICSD's exports the provenance, which may look like JSON.
  if (!isTable && telling.some((line) => /^data_/i.test(line)) && /^\s*_(cell|atom_site)[._]/im.test(text))
    return readCif;
  if (/^[[{]/.test(first)) return isJsonLines(first, second, name) ? readJsonLines : readJson;
  if (/^(CRYSTAL|SLAB|POLYMER|MOLECULE|ATOMS|ANIMSTEPS(\s+\d+)?|DIM-GROUP)$/.test(first)) return readXsf;
  if (/^\d+$/.test(first) && (second.includes('=') || /\.(ext)?xyz(\.|$)/i.test(name))) return readExtendedXyz;
  if (isTable) return readCsv;
  if (/^(phonopy|phono3py):$/.test(first) || lines.some((line) => /^(unit_cell|primitive_cell):$/.test(line)))
    return readPhonopy;
  if (looksLikeLammpsData(lines)) return readLammpsData;
  throw new Rejected(
    'unparsable',
    `${quote(first)} begins none of the formats that docs/formats.md lists: CIF, extended XYZ, files of VASP, XSF, JSON, CSV, Parquet, LAMMPS data, phonopy`,
  );
}

/** A whole object on the first line and another one below it. */
function isJsonLines(first: string, second: string, name: string): boolean {
  if (/\.(jsonl|ndjson)(\.|$)/i.test(name)) return true;
  if (!first.startsWith('{') || !second.startsWith('{')) return false;
  try {
    JSON.parse(first);
    return true;
  } catch {
    return false;
  }
}
