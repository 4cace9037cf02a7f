import type { FilePart } from './filePart.js';

/** Tells where records begin, line by line, as the reader of the format sees them. */
export interface RecordCounter {
  /** A line without its end. @returns whether a record begins with it, in front of which the file may be cut */
  line(bytes: Buffer): boolean;
  /** Records so far, the one that has just begun included. */
  readonly records: number;
  /** Whether the lines so far are the header, which every part needs. */
  readonly inHeader: boolean;
}

/** Text formats whose files can be cut, by the kind of their parts. */
export const RECORD_COUNTERS: Record<Exclude<FilePart['kind'], 'members' | 'rowGroups'>, () => RecordCounter> = {
  extendedXyz: () => new FrameCounter(),
  jsonLines: () => new LineCounter(),
  csv: () => new RowCounter(),
};

const QUOTE = 0x22;
const BLANK = /^\s*$/;
const ATOM_COUNT = /^\s*\d+\s*$/;
/** An element and three coordinates at least. */
const ATOM = /^\s*\S+(\s+\S+){3}/;

/**
 * Frames of extended XYZ: a number of atoms, a comment, as many atoms. After a broken frame reading goes on at the next line that is an atom
 * count, see `readers/extendedXyz.ts`; no atom's line is one. What is wrong within a line is not looked at: where words follow a frame
 * that is refused for what it holds, numbers of later records are one more than reading the whole file gives them.
 */
class FrameCounter implements RecordCounter {
  records = 0;
  readonly inHeader = false;
  private expected: 'count' | 'comment' | 'atoms' | 'junk' = 'count';
  private atoms = 0;

  line(bytes: Buffer): boolean {
    if (this.expected === 'comment') {
      this.expected = this.atoms > 0 ? 'atoms' : 'count';
      return false;
    }
    const isCount = bytes.length < 64 && ATOM_COUNT.test(bytes.toString('latin1'));
    if (isCount) {
      const isShort = this.expected === 'atoms'; // then this line is what tells that the frame before has ended
      this.atoms = Number(bytes.toString('latin1'));
      this.expected = 'comment';
      this.records++;
      return !isShort;
    }
    if (this.expected === 'atoms') {
      // A line that is too short ends the frame; what follows it up to the next count is passed over.
      if (!ATOM.test(bytes.toString('latin1', 0, 512))) this.expected = 'junk';
      else if (--this.atoms === 0) this.expected = 'count';
    } else if (this.expected === 'count') {
      const text = bytes.toString('utf8');
      if (BLANK.test(text)) return false;
      // One atom more than stated spoils the frame before; anything else is a broken frame of its own.
      const isAtom = this.records > 0 && text.split(/\s+/).filter((word) => /^[+-]?(\d|\.\d)/.test(word)).length >= 3;
      if (!isAtom) this.records++;
      this.expected = 'junk';
    }
    return false;
  }
}

/** JSON lines: a document a line. */
class LineCounter implements RecordCounter {
  records = 0;
  readonly inHeader = false;

  line(bytes: Buffer): boolean {
    if (BLANK.test(bytes.toString('latin1', 0, 64)) && BLANK.test(bytes.toString('utf8'))) return false;
    this.records++;
    return true;
  }
}

/**
 * Rows of a CSV: quoted fields may hold line ends, lines that begin with # are comments. The header that every part needs is the names of the
 * columns and the first row, which tells whether there is an unnamed one.
 */
class RowCounter implements RecordCounter {
  records = 0;
  inHeader = true;
  private rows = 0;
  private quoted = false;

  line(bytes: Buffer): boolean {
    const begins = !this.quoted && bytes[0] !== 0x23 && !(bytes.length < 64 && BLANK.test(bytes.toString('latin1')));
    if (begins || this.quoted)
      for (let at = bytes.indexOf(QUOTE); at >= 0; at = bytes.indexOf(QUOTE, at + 1)) this.quoted = !this.quoted;
    if (!begins) return false;
    this.inHeader = ++this.rows <= 2;
    if (this.rows === 1) return false;
    this.records++;
    return !this.inHeader;
  }
}
