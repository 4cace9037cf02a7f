/** A periodic crystal as every room of koine sees it: float64, source atom order, fractional coordinates in [0, 1). */
export interface Structure {
  /** Identifier that joins with the source database. */
  materialId: string;
  /** [n_atoms] atomic numbers Z, 1..118. */
  atomicNumbers: Uint8Array;
  /** [9] row-major lattice vectors a, b, c in Å. */
  lattice: Float64Array;
  /** [3 n_atoms] fractional coordinates, wrapped into [0, 1). */
  fractionalCoordinates: Float64Array;
  /** Where it came from, relative to the source as the user named it: `file.csv.gz:17`, `set.zip/mp-1.cif`. */
  source: string;
}

/** Reason codes of the quarantine table that describe the input itself. */
export const STRUCTURE_REJECTION_CODES = [
  'unparsable',
  'empty',
  'non_finite',
  'singular_cell',
  'atoms_too_close',
  'partial_occupancy',
  'unknown_element',
  'too_large',
  'duplicate_id',
] as const;
/** One of {@link STRUCTURE_REJECTION_CODES}. */
export type StructureRejectionCode = (typeof STRUCTURE_REJECTION_CODES)[number];

/** An input that could not become a {@link Structure}; it ends as a quarantine row, never as an exception. */
export interface Rejection {
  materialId: string;
  source: string;
  code: StructureRejectionCode;
  /** Names the offending value and what is needed; at most 500 characters. */
  message: string;
}

/** What a reader yields: a structure or the reason why there is none. */
export type ReadItem = { structure: Structure } | { rejection: Rejection };

/** Bytes of one source file, wherever it lives; `open` may be called more than once. */
export interface ByteSource {
  /** Name shown in `source` and used to guess the format together with the content, e.g. `mp/mp-1.cif.gz`. */
  name: string;
  open(): AsyncIterable<Uint8Array>;
  /** Size, where it is known. */
  bytes?: number;
  /** Bytes [start, end), where the place allows random access. */
  openRange?(start: number, end: number): AsyncIterable<Uint8Array>;
}
