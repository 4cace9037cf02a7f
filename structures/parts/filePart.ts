/** Consecutive records of one file, which can be read apart from the others. */
export interface FilePart {
  /** What `start` and `end` count: bytes of a text, members of a zip archive, row groups of a Parquet file. */
  kind: 'extendedXyz' | 'jsonLines' | 'csv' | 'members' | 'rowGroups';
  /** [start, end) */
  start: number;
  end: number;
  /** Bytes at the beginning of the file that every part needs: the header of a CSV and its first row, which is read and left out. */
  header: number;
  /** Number of records before it: records without an id are named by their number in the file. */
  firstRecord: number;
  /** Digest of its bytes; of members and row groups that of what the directory of the file says of them (names, sizes, checksums). */
  sha256: string;
}
