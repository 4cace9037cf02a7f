import { parse } from 'csv-parse';
import { Readable } from 'node:stream';
import { crystalOfText } from './documents.js';
import { MAX_RECORD_LENGTH, Rejected, attempt, type FormatReader } from './record.js';
import { statedId } from './materialId.js';

/**
 * CSV with a header, row by row: a column `cif`, or `structure` with CIF or pymatgen JSON. Leading `#` lines are comments. A row
 * whose fields do not match the header is one rejection.
 */
export const readCsv: FormatReader = async function* ({ bytes, limits }) {
  // An error of the bytes must not make the parser drop the rows before it: it is kept and thrown behind them.
  let failure: Error | undefined;
  async function* untilFailure(): AsyncGenerator<Uint8Array> {
    try {
      yield* bytes;
    } catch (error) {
      failure = error as Error;
    }
  }
  const parser = parse({
    bom: true,
    comment: '#',
    comment_no_infix: true,
    relax_column_count: true,
    relax_quotes: true,
    skip_empty_lines: true,
    max_record_size: MAX_RECORD_LENGTH,
  });
  const input = Readable.from(untilFailure());
  input.pipe(parser);

  let header: string[] | undefined;
  let column: string | undefined;
  let indexColumns: number | undefined;
  try {
    for await (const fields of parser as AsyncIterable<string[]>) {
      if (!header) {
        header = fields.map((name) => name.trim());
        column = ['cif', 'structure'].find((name) => header!.includes(name));
        if (column === undefined) {
          throw new Rejected(
            'unparsable',
            `the columns are ${header.slice(0, 20).join(', ')}; a column cif or structure is needed`,
          );
        }
        continue;
      }
      // As in pandas.read_csv: with one field more than the header names, the first is an unnamed row index.
      indexColumns ??= fields.length === header.length + 1 ? 1 : 0;
      const row: Record<string, string> = {};
      for (const [i, name] of header.entries()) row[name] = fields[i + indexColumns] ?? '';
      const width = header.length + indexColumns;
      const found = attempt(() => {
        if (fields.length !== width)
          throw new Rejected('unparsable', `the row has ${fields.length} fields; ${width} are needed`);
        return crystalOfText(row[column!], limits);
      });
      yield { id: statedId(row), found };
    }
  } catch (error) {
    if (failure === undefined && error instanceof Error && 'code' in error && String(error.code).startsWith('CSV_')) {
      yield { found: new Rejected('unparsable', `CSV: ${error.message}`) };
    } else throw error;
  } finally {
    input.destroy();
  }
  if (failure !== undefined) throw failure;
};
