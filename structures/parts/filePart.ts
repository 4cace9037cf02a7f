/** Consecutive records of one file, which can be read apart from the others. */
export interface FilePart {
  /** What `start` and `end` count: bytes, members of an archive, row groups of a Parquet file. */
  kind: 'bytes' | 'members' | 'rowGroups';
  /** [start, end) */
  start: number;
  end: number;
  /** Number of records before it: records without an id are named by their number in the file. */
  firstRecord: number;
  /** Digest of its bytes. */
  sha256: string;
}
