import { Connection } from '@temporalio/client';
import proto from '@temporalio/proto';

const { IndexedValueType } = proto.temporal.api.enums.v1;
const INDEXED_TYPES = {
  Text: IndexedValueType.INDEXED_VALUE_TYPE_TEXT,
  Keyword: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
  Int: IndexedValueType.INDEXED_VALUE_TYPE_INT,
  Double: IndexedValueType.INDEXED_VALUE_TYPE_DOUBLE,
  Bool: IndexedValueType.INDEXED_VALUE_TYPE_BOOL,
  Datetime: IndexedValueType.INDEXED_VALUE_TYPE_DATETIME,
  KeywordList: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
} as const;

/** Custom search attributes, name to type, the types as Temporal's command line and UI write them. */
export type SearchAttributes = Readonly<Record<string, keyof typeof INDEXED_TYPES>>;

/**
 * Registers the attributes that the namespace lacks, so that a server started by an older koine serves a newer one.
 * @throws Error when one exists with another type, or the server refuses (for instance past its limit of attributes)
 */
export async function registerSearchAttributes(
  address: string,
  namespace: string,
  wanted: SearchAttributes,
): Promise<void> {
  if (Object.keys(wanted).length === 0) return;
  const connection = await Connection.connect({ address });
  try {
    const { operatorService } = connection;
    const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
    const missing: Record<string, number> = {};
    for (const [name, type] of Object.entries(wanted)) {
      const present = customAttributes[name];
      if (present === undefined) missing[name] = INDEXED_TYPES[type];
      else if (present !== INDEXED_TYPES[type]) {
        const has = Object.entries(INDEXED_TYPES).find(([, value]) => value === present)?.[0] ?? `type ${present}`;
        throw new Error(
          `search attribute ${name} of namespace ${namespace} at ${address} is ${has}; koine needs ${type}`,
        );
      }
    }
    if (Object.keys(missing).length === 0) return;
    await operatorService.addSearchAttributes({ namespace, searchAttributes: missing });
  } finally {
    await connection.close();
  }
}
