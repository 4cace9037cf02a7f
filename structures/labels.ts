import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { parse } from 'csv-parse';
import { LineReader } from './readers/lines.js';
import { fileStem, statedId } from './readers/materialId.js';
import { MAX_RECORD_LENGTH } from './readers/record.js';
import { parseComment } from './readers/xyzComment.js';
import { localSources, type FileSource } from './sources.js';

/** A file of labels that cannot be used; the message says which, why and what would be right. */
export class LabelsRefused extends Error {
  override readonly name = 'LabelsRefused';
}

/**
 * A number for each structure of files that name them as the readers of structures do: a column of a CSV with a header, or a key of
 * the comment lines of extended XYZ; `.gz` too. Records without a finite number are left out.
 *
 * @param path a file, a folder or a glob, as for sources
 * @param column name of the column or key
 * @returns numbers by material id
 * @throws LabelsRefused where no record has a number, an id comes twice with different numbers, or a file is of another kind
 * @throws {SourceMissing}
 */
export async function readLabels(path: string, column: string): Promise<Map<string, number>> {
  const labels = new Map<string, number>();
  let fields: string[] = [];
  for await (const source of localSources(path))
    for await (const { id, values } of recordsOf(source)) {
      fields = Object.keys(values);
      const text = values[column]?.trim();
      const value = Number(text);
      if (id === undefined || !text || !Number.isFinite(value)) continue;
      if (labels.has(id) && labels.get(id) !== value)
        throw new LabelsRefused(
          `labels ${path}: '${id}' has ${column} ${labels.get(id)} and ${value}; ids must be unique`,
        );
      labels.set(id, value);
    }
  if (labels.size === 0)
    throw new LabelsRefused(
      `labels ${path}: no record has a number '${column}'; the last one has ${fields.slice(0, 20).join(', ') || 'no fields'}`,
    );
  return labels;
}

async function* recordsOf(source: FileSource): AsyncGenerator<LabelledRecord> {
  try {
    yield* readRecords(source);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (/^(Z|CSV)_/.test(code))
      throw new LabelsRefused(`labels ${source.path}: cannot be read: ${(error as Error).message}`, { cause: error });
    throw error;
  }
}

function readRecords({ name, path }: FileSource): AsyncGenerator<LabelledRecord> {
  const kind = name.replace(/\.gz$/i, '');
  const file = createReadStream(path);
  const bytes = name.endsWith('.gz') ? file.pipe(createGunzip()) : file;
  file.on('error', (error) => bytes.destroy(error));
  if (/\.csv$/i.test(kind)) return csvRecords(bytes);
  if (/\.(ext)?xyz$/i.test(kind)) return xyzRecords(bytes, fileStem(name));
  throw new LabelsRefused(`labels ${path}: only .csv, .xyz and .extxyz are read, also with .gz`);
}

interface LabelledRecord {
  id: string | undefined;
  values: Record<string, string>;
}

async function* csvRecords(bytes: NodeJS.ReadableStream): AsyncGenerator<LabelledRecord> {
  const parser = bytes.pipe(
    parse({
      columns: true,
      bom: true,
      comment: '#',
      comment_no_infix: true,
      relax_quotes: true,
      relax_column_count: true,
      skip_empty_lines: true,
      trim: true,
      max_record_size: MAX_RECORD_LENGTH,
    }),
  );
  bytes.on('error', (error: Error) => parser.destroy(error));
  for await (const values of parser as AsyncIterable<Record<string, string>>) yield { id: statedId(values), values };
}

/** Frames by their comment lines; ids as in readers/materialId.ts, so that the first frame waits for a second. */
async function* xyzRecords(bytes: AsyncIterable<string | Buffer>, stem: string): AsyncGenerator<LabelledRecord> {
  const lines = new LineReader(bytes as AsyncIterable<Buffer>);
  let first: Record<string, string> | undefined;
  let frames = 0;
  for (let line = await lines.next(); line !== undefined; line = await lines.next()) {
    if (line.trim() === '') continue;
    const count = Number(line);
    const values = parseComment((await lines.next()) ?? '');
    for (let atom = 0; atom < count; atom++) await lines.next();
    if (frames === 0) first = values;
    else {
      if (first) yield { id: statedId(first) ?? `${stem}-0`, values: first };
      first = undefined;
      yield { id: statedId(values) ?? `${stem}-${frames}`, values };
    }
    frames++;
  }
  if (first) yield { id: statedId(first) ?? stem, values: first };
}
