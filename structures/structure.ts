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

/** Reason codes of the quarantine table that describe the input itself; `docs/formats.md` has which format gives which. */
export const STRUCTURE_REJECTION_CODES = [
  /** Not of any format koine reads, broken, or of a kind that is no crystal of three periodic directions. */
  'unparsable',
  /** No atoms, or nothing at all. */
  'empty',
  /** A number of cell or position is not finite. */
  'non_finite',
  /** The lattice vectors span no volume. */
  'singular_cell',
  /** Two atoms nearer than any bond. */
  'atoms_too_close',
  /** A site shared by elements or vacancies, or one of alternatives. */
  'partial_occupancy',
  /** A species that is no element: dummy, vacancy, group of atoms. */
  'unknown_element',
  /** Past a limit: atoms, cell, symmetry operations, depth, unpacked bytes. */
  'too_large',
  /** Atoms that the input says are there have no positions. */
  'incomplete',
  /** Two statements of the input cannot both be true. */
  'contradictory',
  /** The id names another structure already. */
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
  /** What its structures are called that state no id; told by the name where it is not given. */
  stem?: string;
  open(): AsyncIterable<Uint8Array>;
  /** Size, where it is known. */
  bytes?: number;
  /** Bytes [start, end), where the place allows random access. */
  openRange?(start: number, end: number): AsyncIterable<Uint8Array>;
}
