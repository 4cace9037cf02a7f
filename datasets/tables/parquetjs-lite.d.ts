// parquetjs-lite 0.8.7 ships no types; this is the part koine uses.
declare module 'parquetjs-lite' {
  /** One leaf column. */
  interface FieldDefinition {
    type: 'UTF8' | 'INT32' | 'INT64' | 'DOUBLE';
    compression: 'SNAPPY';
    optional: boolean;
    /** false writes no min/max; the package otherwise orders strings by UTF-16 units. */
    statistics: false;
  }
  class ParquetSchema {
    constructor(fields: Record<string, FieldDefinition>);
  }
  interface WriterOptions {
    rowGroupSize?: number;
    pageSize?: number;
    pageIndex?: boolean;
  }
  class ParquetEnvelopeWriter {
    constructor(
      schema: ParquetSchema,
      write: (bytes: Uint8Array) => Promise<void>,
      close: () => Promise<void>,
      fileOffset: number,
      options: WriterOptions,
    );
  }
  interface ParquetWriter {
    setMetadata(key: string, value: string): void;
    /** Throws strings, not errors. */
    appendRow(row: Readonly<Record<string, unknown>>): Promise<void>;
    close(): Promise<void>;
  }
  /** A CommonJS package: Node gives its exports as one default. */
  const parquetjs: {
    ParquetSchema: typeof ParquetSchema;
    ParquetEnvelopeWriter: typeof ParquetEnvelopeWriter;
    ParquetWriter: new (
      schema: ParquetSchema,
      envelope: ParquetEnvelopeWriter,
      options: WriterOptions,
    ) => ParquetWriter;
  };
  export default parquetjs;
}
