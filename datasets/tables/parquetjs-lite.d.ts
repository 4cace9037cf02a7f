// parquetjs-lite 0.8.7 ships no types; this is the part koine uses.
declare module 'parquetjs-lite' {
  /** One leaf column. */
  export interface FieldDefinition {
    type: 'UTF8' | 'INT32' | 'INT64' | 'DOUBLE';
    compression: 'SNAPPY';
    optional: boolean;
    /** false writes no min/max; the package otherwise orders strings by UTF-16 units. */
    statistics: false;
  }
  /**
   *
   */
  export class ParquetSchema {
    constructor(fields: Record<string, FieldDefinition>);
  }
  /**
   *
   */
  export interface WriterOptions {
    rowGroupSize?: number;
    pageSize?: number;
    pageIndex?: boolean;
  }
  /**
   *
   */
  export class ParquetEnvelopeWriter {
    constructor(
      schema: ParquetSchema,
      write: (bytes: Uint8Array) => Promise<void>,
      close: () => Promise<void>,
      fileOffset: number,
      options: WriterOptions,
    );
  }
  /**
   *
   */
  export class ParquetWriter {
    constructor(schema: ParquetSchema, envelope: ParquetEnvelopeWriter, options: WriterOptions);
    setMetadata(key: string, value: string): void;
    /** Throws strings, not errors. */
    appendRow(row: Readonly<Record<string, unknown>>): Promise<void>;
    close(): Promise<void>;
  }
}
