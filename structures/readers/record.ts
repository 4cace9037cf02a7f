import type { RawStructure, StructureLimits } from '../canonical.js';
import type { StructureRejectionCode } from '../structure.js';

/** Longest single record (line, CSV row, CIF block, JSON element), in characters: 64 Mi, some 500,000 atoms. */
export const MAX_RECORD_LENGTH = 64 * 2 ** 20;

/** A crystal as its record states it, without a name. */
export type Crystal = Omit<RawStructure, 'materialId' | 'source'>;

/** Why a record is no crystal koine can use. Thrown inside a reader, never out of `readStructures`. */
export class Rejected extends Error {
  /**
   * @param code reason code of the quarantine table
   * @param message names the value and what is needed
   */
  constructor(
    readonly code: StructureRejectionCode,
    message: string,
  ) {
    super(message);
    this.name = 'Rejected';
  }
}

/** One record of a file, as the reader of its format found it. */
export interface FoundRecord {
  /** Identifier stated by the record itself. */
  id?: string;
  /** Name of the CIF data block it came from. */
  block?: string;
  found: Crystal | Rejected;
}

/** What a format reader is given. */
export interface Input {
  /** Name of the file, for messages. */
  name: string;
  bytes: AsyncIterable<Uint8Array>;
  limits: StructureLimits;
}

/** Reads the records of one format, in file order. A {@link Rejected} it throws ends the file with that one rejection. */
export type FormatReader = (input: Input) => AsyncIterable<FoundRecord>;

/**
 * Runs a parser and turns what it rejects into a value, so that reading can go on with the next record.
 *
 * @param parse may throw {@link Rejected}
 * @returns the parser's result or the rejection; other errors pass through
 */
export function attempt<T>(parse: () => T): T | Rejected {
  try {
    return parse();
  } catch (error) {
    if (error instanceof Rejected) return error;
    throw error;
  }
}

const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;

/** A number as nearly all are written; undefined for every other text, which {@link parseNumber} is for. */
export function plainNumber(text: string | undefined): number | undefined {
  return text !== undefined && text.length <= 64 && NUMBER.test(text) ? Number(text) : undefined;
}

/**
 * A number as structure files write it: also Fortran's `1.0D-3` and Mathematica's `1.0*^-3`; `nan` and `inf` are kept for
 * validation to name.
 *
 * @param text the digits, without blanks
 * @param what names the quantity in the error
 * @throws Rejected `unparsable` when it is no number
 */
export function parseNumber(text: string | undefined, what: string): number {
  if (text !== undefined && text.length <= 64) {
    if (NUMBER.test(text)) return Number(text);
    const exponent = text.replace(/\*\^|[dD]/, 'e');
    if (NUMBER.test(exponent)) return Number(exponent);
    if (/^[+-]?nan$/i.test(text)) return NaN;
    if (/^[+-]?inf(inity)?$/i.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  }
  throw new Rejected('unparsable', `${what} is ${quote(text)}; a number is needed`);
}

/** A value as messages show it: quoted, cut to 60 characters. */
export function quote(text: string | null | undefined): string {
  if (text === undefined || text === null) return 'missing';
  return `'${text.length > 60 ? `${text.slice(0, 60)}…` : text}'`;
}
