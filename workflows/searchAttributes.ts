import { defineSearchAttributeKey, type SearchAttributePair } from '@temporalio/common';
import { SEARCH_ATTRIBUTES } from '../config/names.js';

type Values = {
  RunName: string;
  SnapshotId: string;
  ModelId: string;
  Stage: string;
  Quarantined: number;
};

/** Typed search attributes for those of `values` that are given. */
export function searchAttributes(values: Partial<Values>): SearchAttributePair[] {
  return Object.entries(values).map(([name, value]) => {
    const type = SEARCH_ATTRIBUTES[name as keyof Values];
    return type === 'Keyword'
      ? { key: defineSearchAttributeKey(name, 'KEYWORD'), value: String(value) }
      : { key: defineSearchAttributeKey(name, 'INT'), value: Number(value) };
  });
}
