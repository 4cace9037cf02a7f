import { Connection } from '@temporalio/client';
import { SearchAttributeType } from '@temporalio/common';
import proto from '@temporalio/proto';

/** Custom search attributes, name to type. */
export type SearchAttributes = Readonly<Record<string, SearchAttributeType>>;

const { IndexedValueType } = proto.temporal.api.enums.v1;
const indexedType: Record<SearchAttributeType, number> = {
  [SearchAttributeType.TEXT]: IndexedValueType.INDEXED_VALUE_TYPE_TEXT,
  [SearchAttributeType.KEYWORD]: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
  [SearchAttributeType.INT]: IndexedValueType.INDEXED_VALUE_TYPE_INT,
  [SearchAttributeType.DOUBLE]: IndexedValueType.INDEXED_VALUE_TYPE_DOUBLE,
  [SearchAttributeType.BOOL]: IndexedValueType.INDEXED_VALUE_TYPE_BOOL,
  [SearchAttributeType.DATETIME]: IndexedValueType.INDEXED_VALUE_TYPE_DATETIME,
  [SearchAttributeType.KEYWORD_LIST]: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
};

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
      if (present === undefined) missing[name] = indexedType[type];
      else if (present !== indexedType[type]) {
        throw new Error(
          `search attribute ${name} of namespace ${namespace} at ${address} is ${IndexedValueType[present]}, koine needs ${type}`,
        );
      }
    }
    if (Object.keys(missing).length === 0) return;
    await operatorService.addSearchAttributes({ namespace, searchAttributes: missing });
  } finally {
    await connection.close();
  }
}
