import type { StructureLimits } from '../canonical.js';
import { isObject } from './documentCrystals.js';
import { recordsOfDocument } from './documents.js';
import { jsonPieces } from './jsonElements.js';
import { parseJson } from './jsonText.js';
import { LineReader } from './lines.js';
import { statedId } from './materialId.js';
import { MAX_RECORD_LENGTH, Rejected, attempt, quote, type FormatReader, type FoundRecord } from './record.js';

/** Largest top-level object that is parsed as one document; of a larger one each member is a document of its own. */
const MAX_DOCUMENT_LENGTH = 32 * 2 ** 20;

/** JSON: one document, a list or dictionary of documents, an OPTIMADE response; arrays are read element by element. */
export const readJson: FormatReader = async function* ({ bytes, limits }) {
  yield* afterFirstStructure(pieceRecords(bytes, limits));
};

/** JSON lines: a document a line. OPTIMADE's header and `info` lines are passed over. */
export const readJsonLines: FormatReader = async function* ({ bytes, limits }) {
  yield* afterFirstStructure(lineRecords(new LineReader(bytes), limits));
};

/** JSON lines from the middle of a file: what has no structure is a rejection like any other. */
export const readJsonLinesPart: FormatReader = async function* ({ bytes, limits }) {
  for await (const batch of lineRecords(new LineReader(bytes), limits)) yield* batch;
};

async function* lineRecords(lines: LineReader, limits: StructureLimits): AsyncGenerator<FoundRecord[]> {
  for (;;) {
    try {
      const line = await lines.next();
      if (line === undefined) return;
      if (line.trim() !== '') yield recordsOfText(line, limits);
    } catch (error) {
      if (!(error instanceof Rejected)) throw error;
      yield [{ found: error }];
    }
  }
}

async function* pieceRecords(bytes: AsyncIterable<Uint8Array>, limits: StructureLimits): AsyncGenerator<FoundRecord[]> {
  let members: { key: string; text: string }[] = [];
  let length = 0;
  let isDictionary = false;
  for await (const piece of jsonPieces(bytes)) {
    switch (piece.kind) {
      case 'element':
        yield recordsOfText(piece.text, limits);
        break;
      case 'member':
        if (isDictionary) yield recordsOfText(piece.text, limits, piece.key);
        else {
          members.push(piece);
          length += piece.text.length;
          if (length > MAX_DOCUMENT_LENGTH) {
            isDictionary = true;
            for (const member of members) yield recordsOfText(member.text, limits, member.key);
            members = [];
          }
        }
        break;
      case 'end':
        // Beside a streamed array an object holds metadata only.
        if (!isDictionary && !piece.streamed)
          yield recordsOfText(
            `{${members.map(({ key, text }) => `"${key}":${text}`).join()}}`,
            limits,
            undefined,
            true,
          );
        members = [];
        length = 0;
        isDictionary = false;
        break;
      case 'overlong':
        yield [{ found: new Rejected('unparsable', `a JSON element is longer than ${MAX_RECORD_LENGTH} bytes`) }];
        break;
      case 'stray':
        yield [
          { found: new Rejected('unparsable', `JSON: ${quote(piece.text)} stands outside of every array and object`) },
        ];
        break;
      default:
        piece satisfies never;
    }
  }
}

/** Says that a document is readable but holds no structure. */
class NoStructure extends Rejected {
  constructor(message: string) {
    super('unparsable', message);
  }
}

/** Entry types of OPTIMADE that stand beside structures. */
const OPTIMADE_METADATA = new Set(['info', 'links', 'references', 'files', 'calculations', 'trajectories']);

function recordsOfText(text: string, limits: StructureLimits, key?: string, isDictionary = false): FoundRecord[] {
  const value = attempt(() => parseJson(text));
  if (value instanceof Rejected) return [{ id: key, found: value }];
  if (isObject(value) && ('x-optimade' in value || OPTIMADE_METADATA.has(value.type as string))) return [];
  const records = recordsOfDocument(value, limits, key, isDictionary);
  if (records.length > 0 || !isObject(value)) return records;
  const fields = Object.keys(value).slice(0, 12).join(', ');
  return [
    {
      id: statedId(value) ?? key,
      found: new NoStructure(`the document has no structure, only ${fields === '' ? 'nothing' : fields}`),
    },
  ];
}

/** Documents that may wait for a first structure before each of them becomes a rejection. */
const MAX_WAITING = 1000;

/** A file without any structure is one rejection, not one for each of its documents. */
async function* afterFirstStructure(batches: AsyncIterable<FoundRecord[]>): AsyncGenerator<FoundRecord> {
  let waiting: FoundRecord[] | undefined = [];
  for await (const batch of batches) {
    for (const record of batch) {
      if (waiting && record.found instanceof NoStructure && waiting.length < MAX_WAITING) waiting.push(record);
      else {
        if (waiting) yield* waiting;
        waiting = undefined;
        yield record;
      }
    }
  }
  const first = waiting?.[0]?.found;
  if (first instanceof Rejected) {
    throw waiting!.length === 1
      ? first
      : new Rejected(
          'unparsable',
          `none of ${waiting!.length} documents has a structure; of the first: ${first.message}`,
        );
  }
  if (waiting) throw new Rejected('empty', 'the JSON holds no documents; one structure or more are needed');
}
